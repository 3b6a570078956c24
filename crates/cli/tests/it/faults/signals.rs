//! SIGKILL and SIGTERM while idempotent producers write to many partitions.
//!
//! `MILENA_KILLS=60 cargo test --release -p milena --test it fault_02 -- --nocapture` is the long
//! form; `MILENA_SEED` chooses another run.

use std::time::Duration;

use milena_env::Random;

use super::number_from;
use crate::{
    load::{Load, read_back},
    process::{Folder, Process},
};

const PARTITIONS: i32 = 24;
const PRODUCERS: u32 = 3;
/// Small, so that kills also hit checkpoints and files of the journal that begin anew.
const SETTINGS: [&str; 2] = ["milena.journal.bytes=4194304", "log.segment.bytes=1048576"];

#[test]
fn fault_02_killed_under_load_again_and_again() {
    let (kills, seed) = (number_from("MILENA_KILLS", 5), number_from("MILENA_SEED", 2));
    let folder = Folder::new("fault-02");
    let mut random = Random::from_seed(seed);
    let mut process = Process::start(&folder, &SETTINGS);
    let load = Load::start(process.address(), PRODUCERS, PARTITIONS, seed);
    let mut slowest_ms = 0;
    for _ in 0..kills {
        std::thread::sleep(Duration::from_millis(50 + random.below(450)));
        process.kill();
        process = Process::start(&folder, &SETTINGS);
        load.moved(process.address());
        slowest_ms = slowest_ms.max(process.start_ms);
    }
    let mut story = load.finish();
    story.found = read_back(&mut process.client(), PARTITIONS);
    story.check();
    // Once more, when everything has gone through a stop in order and a plain start.
    assert!(process.terminate().success());
    let process = Process::start(&folder, &SETTINGS);
    story.found = read_back(&mut process.client(), PARTITIONS);
    story.check();
    let records: i32 = story.acknowledged.iter().map(|batch| batch.count).sum();
    println!("{kills} kills, {records} records acknowledged, slowest start {slowest_ms} ms");
    assert!(slowest_ms < 5000, "a start after a kill took {slowest_ms} ms");
}

#[test]
fn fault_43_a_stop_under_load_is_clean_and_the_next_start_recovers_nothing() {
    let folder = Folder::new("fault-43");
    let mut process = Process::start(&folder, &SETTINGS);
    // A producer ends the test if it is told anything but what it may try again.
    let load = Load::start(process.address(), PRODUCERS, PARTITIONS, 43);
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(300));
        assert!(process.terminate().success());
        let data = folder.path().join("data");
        assert!(data.join(".kafka_cleanshutdown").exists());
        let names = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name());
        let journal: Vec<_> =
            names.filter(|name| name.to_string_lossy().contains("journal")).collect();
        assert!(journal.is_empty(), "left over: {journal:?}");
        process = Process::start(&folder, &SETTINGS);
        load.moved(process.address());
    }
    let mut story = load.finish();
    story.found = read_back(&mut process.client(), PARTITIONS);
    story.check();
}
