//! Many small partitions: what one costs in memory, and how long a directory of them takes to open.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::rig::{Folder, append, batch, log_config, logs, micros, open, wait_durable};

pub(crate) fn run(count: usize) {
    let folder = Folder::new("many");
    let config = log_config(true);
    let start = Instant::now();
    let directory = open(folder.path(), &config);
    let before = resident();
    let created = Instant::now();
    let all = logs(&directory, count, &config);
    let create_ms = micros(created.elapsed()) / 1e3;
    let (bytes, validated) = batch(200);
    for some in all.chunks(1_000) {
        let ends: Vec<_> = some
            .iter()
            .map(|log| (Arc::clone(log), append(log, bytes.clone(), &validated)))
            .collect();
        wait_durable(&ends);
    }
    let filled_s = start.elapsed().as_secs_f64();
    drop(all);
    directory.close(0).unwrap();
    drop(directory);
    println!(
        "{count} partitions: created in {create_ms:.0} ms, each with a record and all closed in \
         {filled_s:.1} + {:.1} s",
        start.elapsed().as_secs_f64() - filled_s
    );

    let start = Instant::now();
    let directory = open(folder.path(), &config);
    let open_s = start.elapsed().as_secs_f64();
    assert_eq!(directory.logs().len(), count);
    // What opening took is given back by another thread.
    std::thread::sleep(Duration::from_millis(500));
    let memory = resident().saturating_sub(before) as f64 / count as f64;
    println!(
        "  opened after the clean stop in {open_s:.2} s (target 10), {memory:.0} bytes of memory \
         a partition (target 2048)"
    );
    directory.close(0).unwrap();
}

/// Bytes of memory that this process has.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = status.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}
