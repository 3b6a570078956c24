//! The start after a kill: cheap for each log, the same on several threads, and it believes no
//! index that the crash may have left wrong.

use std::{io::IoSlice, path::Path};

use milena_env::{Disk, disk::Open};
use milena_protocol::Offset;
use milena_storage::{LogConfig, LogDirectory};

use crate::rig::{Rig, append, batch, partition, path, read_all, values};

/// With a journal that has room for all that is written here.
fn rig(seed: u64, config: LogConfig) -> Rig {
    let mut rig = Rig::new(seed, config);
    rig.directory_config.journal_first_file_bytes = 512 << 10;
    rig
}

fn topic(number: usize) -> String {
    format!("orders{number}")
}

/// Appends to so many logs.
fn fill(rig: &Rig, directory: &LogDirectory, logs: usize) {
    for number in 0..logs {
        let log = rig.log(directory, &topic(number));
        for record in 0..5 {
            append(&log, batch(&[&format!("{number}.{record}")]), 0).unwrap();
        }
    }
    directory.run_pending();
}

/// What a start asks of the disk for each log, after what `before` has done.
fn calls_per_log(before: impl Fn(&mut Rig, usize)) -> u64 {
    let calls = |logs| {
        let mut rig = rig(1, LogConfig::default());
        before(&mut rig, logs);
        rig.kill();
        let before = rig.disk.calls();
        rig.open().unwrap();
        rig.disk.calls() - before
    };
    (calls(90) - calls(70)) / 20
}

#[test]
fn a_start_after_a_kill_asks_little_of_the_disk() {
    let written = calls_per_log(|rig, logs| fill(rig, &rig.open().unwrap(), logs));
    assert!(written <= 21, "{written} calls for a log that the journal speaks of");
    let idle = |rig: &mut Rig, logs| {
        let directory = rig.open().unwrap();
        fill(rig, &directory, logs);
        directory.close(1).unwrap();
        rig.kill();
        drop(rig.open().unwrap());
    };
    let idle = calls_per_log(idle);
    assert!(idle <= 2, "{idle} calls for a log that nobody wrote to since the last stop");
}

#[test]
fn a_clean_stop_after_it_is_one_like_any_other() {
    let calls = calls_per_log(|rig, logs| {
        fill(rig, &rig.open().unwrap(), logs);
        rig.kill();
        rig.open().unwrap().close(1).unwrap();
    });
    assert!(calls <= 2, "{calls} calls for a log");
}

#[test]
fn on_several_threads_it_replays_every_partition() {
    for threads in [1, 2, 3, 7] {
        let mut rig = rig(3, LogConfig::default());
        rig.threads = threads;
        let directory = rig.open().unwrap();
        fill(&rig, &directory, 100);
        directory.delete(&partition(&topic(5))).unwrap();
        directory.run_pending();
        // The process dies before the segments have what the journal has.
        for number in (0..100).filter(|number| *number != 5) {
            let file = format!("/data/{}-0/00000000000000000000.log", topic(number));
            let file = rig.disk.open(Path::new(&file), Open::ReadWrite).unwrap();
            file.set_len(number as u64 % 3 * 10).unwrap();
        }
        drop(directory);
        rig.kill();
        let directory = rig.open().unwrap();
        assert!(directory.log(&partition(&topic(5))).is_none());
        for number in (0..100).filter(|number| *number != 5) {
            let log = directory.log(&partition(&topic(number))).unwrap();
            let expected: Vec<String> = (0..5).map(|record| format!("{number}.{record}")).collect();
            assert_eq!(values(&log), expected, "on {threads} threads");
        }
    }
}

#[test]
fn an_index_from_before_it_is_not_believed_and_is_written_anew() {
    let config = LogConfig { index_interval_bytes: 1, ..LogConfig::default() };
    let mut rig = rig(1, config);
    let directory = rig.open().unwrap();
    fill(&rig, &directory, 1);
    directory.close(1).unwrap();
    drop(directory);
    rig.kill();
    drop(rig.open().unwrap());
    rig.kill();
    // As an index of what was cut and written again: in order, and at no batch's position.
    let index = path().join("orders0-0/00000000000000000000.index");
    let file = rig.disk.open(&index, Open::ReadWrite).unwrap();
    let right = (&*rig.disk as &dyn Disk).read(&index).unwrap();
    let entry =
        |offset: u32, position: u32| [offset.to_be_bytes(), position.to_be_bytes()].concat();
    let wrong = [entry(2, 33), entry(3, 77)].concat();
    file.set_len(0).unwrap();
    file.write_all_at(&[IoSlice::new(&wrong)], 0).unwrap();

    let directory = rig.open().unwrap();
    let log = directory.log(&partition("orders0")).unwrap();
    assert_eq!(read_all(&log, Offset(3)).unwrap().len(), 2);
    directory.close(2).unwrap();
    let written = (&*rig.disk as &dyn Disk).read(&index).unwrap();
    assert!(!written.starts_with(&wrong[..8]), "{right:?} {written:?}");
}

/// Its leader has lost what a follower's log starts behind. Seed 1805 of `fault_03`.
#[test]
fn a_file_that_went_after_a_cut_at_the_start_of_the_log_is_not_missed() {
    let config = LogConfig { segment_bytes: 250, ..LogConfig::default() };
    let mut rig = rig(1, config);
    let directory = rig.open().unwrap();
    let log = rig.log(&directory, "orders0");
    for value in ["one", "two", "three"] {
        append(&log, batch(&[value]), 0).unwrap();
    }
    directory.run_pending();
    directory.checkpoint().unwrap();
    log.delete_records(Offset(1));
    log.truncate_to(Offset(1)).unwrap();
    // It needs a segment of its own, and all that was in the first one is gone.
    let long = "another two".repeat(12);
    append(&log, batch(&[&long]), 0).unwrap();
    directory.run_pending();
    drop((log, directory));
    // As the next checkpoint does, while no round follows: the journal still speaks of the file.
    rig.disk.remove_file(Path::new("/data/orders0-0/00000000000000000000.log")).unwrap();
    rig.kill();
    let directory = rig.open().unwrap();
    let log = directory.log(&partition("orders0")).unwrap();
    assert_eq!((log.start_offset(), values(&log)), (Offset(1), vec![long]));
}
