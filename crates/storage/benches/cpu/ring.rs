//! How a round is best written: through the page cache with one fdatasync, or past it with
//! O_DIRECT and O_DSYNC. The journal does the former; this is what the choice rests on.

use std::{
    fs::File,
    io::{Read, Write},
    os::unix::fs::FileExt,
    time::Instant,
};

use rustix::{
    fs::{Mode, OFlags},
    io::pwrite,
};

use crate::rig::{Folder, cpu, micros, percentile};

const RING: usize = 64 << 20;
const SIZES: [usize; 4] = [4 << 10, 16 << 10, 192 << 10, 768 << 10];

pub(crate) fn run() {
    println!("a round in a ring of 64 MiB: p50 / p99, own CPU");
    for size in SIZES {
        let rounds = (256 << 20) / size.max(256 << 10);
        for direct in [false, true] {
            let folder = Folder::new("ring");
            let path = folder.path().join("ring");
            let mut file = File::create(&path).unwrap();
            std::io::copy(&mut std::io::repeat(0).take(RING as u64), &mut file).unwrap();
            file.flush().unwrap();
            file.sync_data().unwrap();
            let flags = OFlags::WRONLY | OFlags::DIRECT | OFlags::DSYNC;
            let raw = rustix::fs::open(&path, flags, Mode::empty()).unwrap();
            // O_DIRECT asks for aligned memory: a whole number of pages behind any address.
            let mut memory = vec![7_u8; size + 4096];
            let from = memory.as_ptr().align_offset(4096);
            let source = vec![8_u8; size];
            let mut samples = Vec::with_capacity(rounds);
            let before = cpu();
            for round in 0..rounds {
                let position = ((round * size) % (RING - size)) as u64 & !4095;
                let start = Instant::now();
                if direct {
                    // Batches lie anywhere: they have to be copied together first.
                    let aligned = &mut memory[from..from + size];
                    aligned.copy_from_slice(&source);
                    assert_eq!(pwrite(&raw, aligned, position).unwrap(), size);
                } else {
                    file.write_all_at(&source, position).unwrap();
                    file.sync_data().unwrap();
                }
                samples.push(start.elapsed());
            }
            let cpu = micros(cpu() - before) / rounds as f64;
            println!(
                "  {} KiB, {}: {:.0} / {:.0} us, {cpu:.0} us",
                size >> 10,
                if direct { "O_DIRECT + O_DSYNC" } else { "buffered + fdatasync" },
                micros(percentile(&mut samples, 50.0)),
                micros(percentile(&mut samples, 99.0)),
            );
        }
    }
}
