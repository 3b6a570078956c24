//! A steady load for a while, with the segments' write-back behind it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::rig::{
    Folder, append, batch, cpu, log_config, logs, micros, open, percentile, wait_durable,
};

/// Partitions, bytes of a batch, bursts per second.
const LOADS: [(usize, usize, u32); 3] =
    [(12, 16 << 10, 200), (12, 64 << 10, 130), (100, 8 << 10, 50)];

pub(crate) fn run(seconds: u64) {
    println!(
        "sustained for {seconds} s: acknowledgement p50 / p99 / p99.9, own CPU per KiB, \
         bytes to disk"
    );
    for (partitions, size, per_second) in LOADS {
        let folder = Folder::new("sustained");
        let config = log_config(true);
        let directory = open(folder.path(), &config);
        let logs = logs(&directory, partitions, &config);
        let (bytes, validated) = batch(size);
        let mut samples = Vec::new();
        let gap = Duration::from_secs(1) / per_second;
        let (start, before, written) = (Instant::now(), cpu(), disk_bytes());
        let mut due = start;
        while start.elapsed() < Duration::from_secs(seconds) {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let ends: Vec<_> = logs
                .iter()
                .map(|log| (Arc::clone(log), append(log, bytes.clone(), &validated)))
                .collect();
            wait_durable(&ends);
            // From when it was due: a stall delays those behind it too.
            samples.push(due.elapsed());
            due += gap;
        }
        let kib = (samples.len() * partitions * size) as f64 / 1024.0;
        println!(
            "  {partitions} x {size} at {per_second}/s: {:.2} / {:.2} / {:.2} ms, {:.2} us, \
             {:.2} x",
            micros(percentile(&mut samples, 50.0)) / 1e3,
            micros(percentile(&mut samples, 99.0)) / 1e3,
            micros(percentile(&mut samples, 99.9)) / 1e3,
            micros(cpu() - before) / kib,
            (disk_bytes() - written) as f64 / 1024.0 / kib,
        );
        directory.close(0).unwrap();
    }
}

/// Bytes that this process caused to be written to a device, as the kernel counts them.
fn disk_bytes() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}
