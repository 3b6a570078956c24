//! Where is offset N: the look-up in a hot segment, as a fetch does it.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

#[path = "cpu/rig.rs"]
#[allow(dead_code)]
mod rig;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use milena_protocol::Offset;
use milena_storage::Limit;

fn look_up(criterion: &mut Criterion) {
    let folder = rig::Folder::new("look-up");
    let config = rig::log_config(true);
    let directory = rig::open(folder.path(), &config);
    let log = rig::logs(&directory, 1, &config).remove(0);
    for size in [4 << 10, 64 << 10] {
        let (bytes, validated) = rig::batch(size);
        let mut end = Offset::ZERO;
        for _ in 0..2_000 {
            end = rig::append(&log, bytes.clone(), &validated);
        }
        rig::wait_durable(&[(log.clone(), end)]);
        while directory.unwritten_bytes() > 0 {
            std::thread::yield_now();
        }
        let limit = Limit { bytes_max: 1 << 20, at_least_one: true };
        let span = log.appended_end().0;
        let mut from = 0;
        criterion.bench_function(&format!("look-up, batches of {} KiB", size >> 10), |b| {
            b.iter(|| {
                from = (from + 7_919) % span;
                black_box(log.read(Offset(from), end, limit).unwrap().len)
            });
        });
    }
    directory.close(0).unwrap();
}

criterion_group!(benches, look_up);
criterion_main!(benches);
