//! How fast a directory comes back: the scan of a log that nobody vouched for, and the replay of a
//! full journal.

use std::{process::Command, sync::Arc, time::Instant};

use crate::rig::{Folder, append, batch, log_config, logs, measure, micros, open, wait_durable};

pub(crate) fn run() {
    scan();
    replay();
}

/// A log of 1 GiB without journal, left without a clean stop.
fn scan() {
    let folder = Folder::new("scan");
    let config = log_config(false);
    crash_after(folder.path(), false, 16_384);
    let path = folder.path().to_owned();
    let mut bytes = 0;
    let (wall, cpu) = measure(|| {
        let directory = open(&path, &config);
        bytes = directory.logs().iter().map(|log| log.size_bytes()).sum();
        directory.close(0).unwrap();
    });
    println!(
        "recovery scan: {:.2} GB in {:.2} s, {:.2} GB per CPU second (target 1)",
        bytes as f64 / 1e9,
        wall.as_secs_f64(),
        bytes as f64 / 1e9 / cpu.as_secs_f64(),
    );
}

/// A journal that is as full as it gets before a checkpoint.
fn replay() {
    let folder = Folder::new("replay");
    let config = log_config(true);
    crash_after(folder.path(), true, 4_000);
    let ring: u64 = std::fs::read_dir(folder.path())
        .unwrap()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("milena-journal"))
        .map(|entry| entry.metadata().map_or(0, |m| m.len()))
        .sum();
    let start = Instant::now();
    let directory = open(folder.path(), &config);
    let open_ms = micros(start.elapsed()) / 1e3;
    directory.close(0).unwrap();
    println!("replay: a ring of {} MiB, opened in {open_ms:.0} ms (target 1000)", ring >> 20);
}

/// Another process of this very program fills a directory and dies.
fn crash_after(path: &std::path::Path, journalled: bool, batches: usize) {
    let status = Command::new(std::env::current_exe().unwrap())
        .arg("die")
        .arg(path)
        .arg(journalled.to_string())
        .arg(batches.to_string())
        .status()
        .unwrap();
    assert!(!status.success(), "it ends by aborting");
}

/// What that other process does.
pub(crate) fn die(words: &[String]) -> ! {
    let journalled = words[2] == "true";
    let config = log_config(journalled);
    let directory = open(words[1].as_ref(), &config);
    let logs = logs(&directory, 4, &config);
    let (bytes, validated) = batch(64 << 10);
    let count: usize = words[3].parse().unwrap();
    for index in 0..count {
        let log = &logs[index % logs.len()];
        let end = append(log, bytes.clone(), &validated);
        if index % 16 == 15 {
            wait_durable(&[(Arc::clone(log), end)]);
        }
    }
    std::process::abort();
}
