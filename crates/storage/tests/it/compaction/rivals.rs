//! Compaction beside those who cut, delete, stop or read the same log.

use milena_protocol::Offset;
use milena_storage::{Limit, LogConfig};

use super::world::{TOPIC, compact, config, put, read};
use crate::rig::{Rig, partition};

fn filled(
    rig: &Rig,
) -> (std::sync::Arc<milena_storage::LogDirectory>, std::sync::Arc<milena_storage::Log>) {
    let directory = rig.open().unwrap();
    let log = rig.log(&directory, TOPIC);
    for index in 0..60 {
        let value = format!("a value of some length {index}");
        put(&log, &[(["a", "b", "c"][index % 3], Some(&value))]);
    }
    directory.run_pending();
    (directory, log)
}

#[test]
fn a_read_that_was_planned_before_gives_what_was_there() {
    let rig = Rig::new(1, LogConfig { segment_bytes: 1500, ..config() });
    let (directory, log) = filled(&rig);
    let limit = Limit { bytes_max: 1000, at_least_one: true };
    let plan = log.read(Offset(0), log.appended_end(), limit).unwrap();
    let before = plan.read().unwrap();
    compact(&directory).unwrap().unwrap();
    directory.checkpoint().unwrap();
    assert_eq!(plan.read().unwrap(), before);
    assert!(log.read(Offset(0), log.appended_end(), limit).unwrap().read().unwrap() != before);
}

#[test]
fn after_a_cut_what_seemed_clean_is_dirty_again() {
    let mut rig = Rig::new(2, config());
    let (directory, log) = filled(&rig);
    let cleaned_to = compact(&directory).unwrap().unwrap().cleaned_to;
    assert!(log.truncate_to(Offset(20)).unwrap());
    for index in 0..60 {
        let value = format!("a value of some length {index}");
        put(&log, &[(["a", "d"][index % 2], Some(&value))]);
    }
    directory.run_pending();
    drop((log, directory));
    rig.crash();
    let directory = rig.open().unwrap();
    let log = directory.log(&partition(TOPIC)).unwrap();
    let again = compact(&directory).unwrap().unwrap();
    assert!(again.cleaned_to >= cleaned_to);
    let between = read(&log).range(20..cleaned_to.0).count();
    assert_eq!(between, 0, "all of these were written again later");
}

#[test]
fn a_topic_that_is_created_anew_is_not_taken_for_clean() {
    let mut rig = Rig::new(3, config());
    let (directory, log) = filled(&rig);
    let first = compact(&directory).unwrap().unwrap();
    drop(log);
    assert!(directory.delete(&partition(TOPIC)).unwrap());
    assert_eq!(compact(&directory).unwrap(), None);
    drop(directory);
    rig.crash();
    let (directory, log) = filled(&rig);
    assert_eq!(compact(&directory).unwrap().unwrap(), first);
    directory.close(1).unwrap();
    put_nothing(&log);
    assert_eq!(compact(&directory).unwrap(), None, "a stopped directory is left alone");
}

fn put_nothing(log: &milena_storage::Log) {
    assert!(log.durable_end() == log.appended_end());
}

#[test]
fn how_far_a_log_is_clean_survives_a_stop() {
    let rig = Rig::new(4, config());
    let (directory, log) = filled(&rig);
    compact(&directory).unwrap().unwrap();
    directory.close(1).unwrap();
    drop((log, directory));
    let directory = rig.open().unwrap();
    assert_eq!(compact(&directory).unwrap(), None);
}
