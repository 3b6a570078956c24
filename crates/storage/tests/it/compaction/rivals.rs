//! Compaction beside those who cut, delete, stop or read the same log.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use milena_env::{Clock, spawn_thread};
use milena_protocol::{
    Offset, ProducerEpoch, ProducerId,
    records::{BatchBuilder, BatchHeader, Batches},
};
use milena_storage::{
    Cleaner, CleanerOptions, Limit, Log, LogConfig, LogDirectory, index::AbortedTransaction,
};

use super::world::{TOPIC, compact, config, keyed, marker, put, read};
use crate::rig::{NOW_MS, Rig, append, partition};

fn filled(rig: &Rig) -> (Arc<LogDirectory>, Arc<Log>) {
    let directory = rig.open().unwrap();
    let log = rig.log(&directory, TOPIC);
    for index in 0..60 {
        let value = format!("a value of some length {index}");
        put(&log, &[(["a", "b", "c"][index % 3], Some(&value))]);
    }
    directory.run_pending();
    (directory, log)
}

fn cleaner_at(bytes_per_second: u64) -> Cleaner {
    Cleaner::new(CleanerOptions {
        dedupe_buffer_bytes: 1 << 20,
        io_bytes_per_second: Some(bytes_per_second),
        secret: [5; 16],
    })
}

#[test]
fn compaction_keeps_its_rate() {
    let rig = Rig::new(1, config());
    let (directory, _log) = filled(&rig);
    let (began, rate) = (rig.clock.monotonic(), 500);
    let done = directory.compact_dirtiest(&mut cleaner_at(rate), &Log::durable_end).unwrap();
    let bytes = done.map(|done| done.bytes_read + done.bytes_written).unwrap();
    let took = rig.clock.monotonic() - began;
    assert!(took >= Duration::from_secs(bytes / rate), "{bytes} bytes in {took:?}");
}

#[test]
fn compaction_is_given_up_soon_when_it_is_to_stop() {
    let rig = Rig::new(1, config());
    let (directory, log) = filled(&rig);
    let before = read(&log);
    let is_stopped = Arc::new(AtomicBool::new(true));
    let mut cleaner = cleaner_at(1).stopped_by(is_stopped);
    assert_eq!(directory.compact_dirtiest(&mut cleaner, &Log::durable_end).unwrap(), None);
    assert_eq!((rig.clock.monotonic(), read(&log)), (Duration::ZERO, before));
    assert!(compact(&directory).unwrap().is_some(), "it is begun anew");
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
fn a_reader_of_committed_records_knows_every_abort_while_they_are_compacted_away() {
    for seed in 0..30 {
        let rig = Rig::new(seed, config());
        let directory = rig.open().unwrap();
        let log = rig.log(&directory, TOPIC);
        for index in 0..40 {
            let (id, key) = (index % 4, ["a", "b", "c"][index as usize % 3]);
            let builder = BatchBuilder::new(Offset::ZERO);
            let builder = builder.with_producer(ProducerId(id), ProducerEpoch(index as i16), 0);
            let value = format!("a value of some length {index}");
            let data = keyed(builder.with_transactional(), NOW_MS, &[(key, Some(&value))]);
            append(&log, data, 0).unwrap();
            let marker = marker(id, index as i16 + 1, id > 1, NOW_MS);
            append(&log, marker, 0).unwrap();
        }
        directory.run_pending();
        let compaction = {
            let directory = Arc::clone(&directory);
            spawn_thread("cleaner", move || compact(&directory).unwrap()).unwrap()
        };
        let mut is_last = false;
        while !is_last {
            is_last = compaction.is_finished();
            let mut from = Offset::ZERO;
            while let Some(next) = read_one(&log, from) {
                from = next;
            }
        }
        assert!(compaction.join().unwrap().is_some());
    }
}

/// Reads some batches from `from` on, and holds them to what is said of aborts; says where they
/// end.
fn read_one(log: &Log, from: Offset) -> Option<Offset> {
    let limit = Limit { bytes_max: 500, at_least_one: true };
    let stable = log.last_stable_offset(log.durable_end());
    let (plan, aborted) = log.read_committed(from, stable, limit).unwrap();
    let bytes = plan.read().unwrap();
    let headers = Batches::new(&bytes).filter_map(|batch| BatchHeader::read(batch.bytes()).ok());
    let headers: Vec<BatchHeader> = headers.collect();
    for header in headers.iter().filter(|h| !h.attributes.is_control() && h.producer_id.0 < 2) {
        let is_of = |t: &&AbortedTransaction| {
            t.producer_id == header.producer_id
                && (t.first_offset..=t.last_offset).contains(&header.base_offset)
        };
        assert!(aborted.iter().any(|t| is_of(&t)), "{} in {aborted:?}", header.base_offset);
    }
    headers.last().map(BatchHeader::next_offset)
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

fn put_nothing(log: &Log) {
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
