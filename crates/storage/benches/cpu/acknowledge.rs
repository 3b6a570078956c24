//! How long an acknowledgement takes: N partitions get a batch each, and all must be durable.

use std::{sync::Arc, time::Instant};

use crate::{
    bare,
    rig::{Folder, append, batch, cpu, log_config, logs, micros, open, percentile, wait_durable},
};

const CASES: [(usize, usize, usize); 7] = [
    (1, 8 << 10, 2_000),
    (12, 1 << 10, 2_000),
    (12, 8 << 10, 2_000),
    (12, 64 << 10, 500),
    (100, 8 << 10, 300),
    (1_000, 1 << 10, 60),
    (10_000, 1 << 10, 10),
];

pub(crate) fn run() {
    println!("acknowledgement of a burst: every partition gets one batch");
    println!("  partitions x bytes: bare p50, ours p50 / p99, own CPU per burst");
    for (partitions, size, rounds) in CASES {
        let folder = Folder::new("acknowledge");
        // The bare measure: the same bytes, one write and one fdatasync.
        let mut bare = bare::fdatasync(folder.path(), (partitions * size).min(1 << 20), rounds);
        let config = log_config(true);
        let directory = open(&folder.path().join("log"), &config);
        let logs = logs(&directory, partitions, &config);
        let (bytes, validated) = batch(size);
        let mut samples = Vec::with_capacity(rounds);
        let burst = |samples: &mut Vec<_>| {
            let batches = vec![bytes.clone(); partitions];
            let start = Instant::now();
            let appended = logs.iter().zip(batches);
            let ends: Vec<_> = appended
                .map(|(log, bytes)| (Arc::clone(log), append(log, bytes, &validated)))
                .collect();
            wait_durable(&ends);
            samples.push(start.elapsed());
        };
        // The first rounds make folders and files.
        for _ in 0..3 {
            burst(&mut Vec::new());
        }
        let before = cpu();
        for _ in 0..rounds {
            burst(&mut samples);
        }
        let cpu = (cpu() - before) / rounds as u32;
        println!(
            "  {partitions} x {size}: {:.0} us, {:.0} / {:.0} us, {:.0} us",
            micros(percentile(&mut bare, 50.0)),
            micros(percentile(&mut samples, 50.0)),
            micros(percentile(&mut samples, 99.0)),
            micros(cpu),
        );
        directory.close(0).unwrap();
    }
}
