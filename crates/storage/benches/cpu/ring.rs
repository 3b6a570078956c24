//! How a round is best written: through the page cache with one fdatasync, or past it with
//! O_DIRECT and O_DSYNC. Both by the code that the journal uses, in turns of a few rounds, so that
//! whatever else the machine does falls on both alike.

use std::{
    io::IoSlice,
    time::{Duration, Instant},
};

use milena_env::{
    Disk, RealDisk,
    disk::{AlignedMemory, Open},
};

use crate::rig::{Folder, cpu, micros, percentile};

const RING: usize = 64 << 20;
const SIZES: [usize; 6] = [4 << 10, 16 << 10, 96 << 10, 192 << 10, 768 << 10, 1 << 20];
/// Rounds of one kind before the other has its turn.
const TURN: usize = 16;

pub(crate) fn run() {
    println!("a round in a ring of 64 MiB: p50 / p99, own CPU");
    for size in SIZES {
        let turns = ((128 << 20) / size.max(64 << 10) / TURN).max(4);
        let folder = Folder::new("ring");
        let disk: &dyn Disk = &RealDisk;
        let open = |name: &str, past_cache| {
            let path = folder.path().join(name);
            let file = disk.open(&path, Open::Create).unwrap();
            let zeros = vec![0; 1 << 20];
            for at in 0..RING >> 20 {
                file.write_all_at(&[IoSlice::new(&zeros)], (at << 20) as u64).unwrap();
            }
            file.sync_data().unwrap();
            if past_cache { disk.open_past_cache(&path, Open::ReadWrite).unwrap() } else { file }
        };
        let files = [open("buffered", false), open("direct", true)];
        let mut memory = AlignedMemory::default();
        // A round is made of entries of 8 KiB at most.
        let source = vec![8_u8; size];
        let slices: Vec<IoSlice<'_>> = source.chunks(8 << 10).map(IoSlice::new).collect();
        let mut results = [(Vec::new(), Duration::ZERO), (Vec::new(), Duration::ZERO)];
        for turn in 0..turns {
            for (file, (samples, spent)) in files.iter().zip(&mut results) {
                let before = cpu();
                for round in 0..TURN {
                    let position = (((turn * TURN + round) * size) % (RING - size)) & !4095;
                    let start = Instant::now();
                    file.write_durably(&slices, position as u64, &mut memory).unwrap();
                    samples.push(start.elapsed());
                }
                *spent += cpu() - before;
            }
        }
        for (name, (mut samples, spent)) in ["buffered", "past the cache"].iter().zip(results) {
            println!(
                "  {} KiB, {name}: {:.0} / {:.0} us, {:.0} us",
                size >> 10,
                micros(percentile(&mut samples, 50.0)),
                micros(percentile(&mut samples, 99.0)),
                micros(spent) / samples.len() as f64,
            );
        }
    }
}
