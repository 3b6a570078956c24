//! CPU per append of 64 KiB batches, with and without the journal, and from several threads.

use std::{sync::Arc, time::Duration};

use bytes::BytesMut;

use crate::{
    bare,
    rig::{Folder, append, batch, log_config, logs, measure, micros, open, validate, wait_durable},
};

const SIZE: usize = 64 << 10;
const COUNT: u32 = 4_000;
/// Batches that are under way at once.
const GROUP: u32 = 8;
/// Pairs of runs, bare and ours in turn; the median ratio counts.
const PAIRS: usize = 5;

pub(crate) fn run() {
    println!("append of 64 KiB batches, CPU per batch (median of {PAIRS} pairs)");
    let (bytes, _) = batch(SIZE);
    for journalled in [false, true] {
        let mut pairs: Vec<(f64, f64)> = (0..PAIRS)
            .map(|_| {
                let folder = Folder::new("append");
                let bare = if journalled {
                    bare::journal_and_segment(folder.path(), rounds(&bytes))
                } else {
                    bare::write_and_checksum(folder.path(), rounds(&bytes))
                };
                drop(folder);
                (micros(bare), micros(ours(journalled)))
            })
            .collect();
        pairs.sort_by(|a, b| (a.1 / a.0).total_cmp(&(b.1 / b.0)));
        let (bare, ours) = pairs[PAIRS / 2];
        let (name, target) = if journalled {
            ("journalled; bare: two writes, CRC, one fdatasync for 8", 1.2)
        } else {
            ("not journalled; bare: one write and CRC", 1.5)
        };
        println!(
            "  {name}: bare {bare:.1} us, ours {ours:.1} us, ratio {:.2} (target {target})",
            ours / bare
        );
    }
}

/// The batches of a run, each in memory of its own as if a socket had filled it.
fn rounds(bytes: &BytesMut) -> Vec<Vec<BytesMut>> {
    (0..COUNT / GROUP).map(|_| vec![bytes.clone(); GROUP as usize]).collect()
}

/// CPU per batch: validate, append and write one batch, `GROUP` of them under way at once.
fn ours(journalled: bool) -> Duration {
    let folder = Folder::new("append");
    let config = log_config(journalled);
    let directory = open(folder.path(), &config);
    let log = logs(&directory, 1, &config).remove(0);
    let (bytes, _) = batch(SIZE);
    let rounds = rounds(&bytes);
    let (_, cpu) = measure(|| {
        for round in rounds {
            let mut end = log.appended_end();
            for batch in round {
                let validated = validate(&batch);
                end = append(&log, batch, &validated);
            }
            wait_durable(&[(Arc::clone(&log), end)]);
        }
        while directory.unwritten_bytes() > 0 {
            std::thread::yield_now();
        }
    });
    directory.close(0).unwrap();
    cpu / COUNT
}

/// CPU per append to 100 partitions, from one thread and from two.
pub(crate) fn run_threads() {
    let mut ratios: Vec<(f64, f64)> =
        (0..PAIRS).map(|_| (micros(from_threads(1)), micros(from_threads(2)))).collect();
    ratios.sort_by(|a, b| (a.1 / a.0).total_cmp(&(b.1 / b.0)));
    let (one, two) = ratios[PAIRS / 2];
    println!(
        "append of 8 KiB to 100 partitions: 1 thread {one:.2} us, 2 threads {two:.2} us, \
         ratio {:.2} (target 1.2)",
        two / one
    );
}

fn from_threads(threads: usize) -> Duration {
    const APPENDS: usize = 40_000;
    let folder = Folder::new("threads");
    let config = log_config(true);
    let directory = open(folder.path(), &config);
    let logs = logs(&directory, 100, &config);
    let (bytes, validated) = batch(8 << 10);
    let (_, cpu) = measure(|| {
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for round in 0..APPENDS / threads / logs.len() {
                        let mut ends = Vec::with_capacity(logs.len());
                        for log in &logs {
                            let end = append(log, bytes.clone(), &validated);
                            ends.push((Arc::clone(log), end));
                        }
                        if round % 4 == 3 {
                            wait_durable(&ends);
                        }
                    }
                });
            }
        });
    });
    directory.close(0).unwrap();
    cpu / APPENDS as u32
}
