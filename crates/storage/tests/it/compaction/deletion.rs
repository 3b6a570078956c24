//! DeleteRecords, cuts and deletions while a log is compacted.

use std::{sync::Arc, time::Duration};

use milena_env::{Clock as _, RealClock, disk::simulated::Operation, spawn_thread};
use milena_protocol::{Offset, Uuid};
use milena_storage::{Limit, Log, ReadError};

use super::world::{TOPIC, compact, config, put, read};
use crate::rig::{Rig, partition};

pub(super) fn fill(log: &Arc<Log>, count: u64) {
    for index in 0..count {
        let value = format!("a value of some length {index}");
        put(log, &[(["a", "b", "c", "d"][index as usize % 4], Some(&value))]);
    }
}

/// A read below the start is out of range, one from there on gives what follows.
pub(super) fn check_start(log: &Log, context: &str) {
    let (start, end) = (log.start_offset(), log.appended_end());
    let limit = Limit { bytes_max: 300, at_least_one: true };
    for below in [start.0 - 1, start.0 / 2, 0].into_iter().filter(|o| (0..start.0).contains(o)) {
        let refused = log.read(Offset(below), end, limit);
        assert!(
            matches!(refused, Err(ReadError::OutOfRange { start: at, .. }) if at == start),
            "{context}: read at {below} with the start at {start}"
        );
    }
    if start < end {
        let plan = log.read(start, end, limit).unwrap();
        assert!(plan.len > 0 && plan.read().is_ok(), "{context}: read at the start {start}");
    }
    assert!(read(log).range(..start.0).count() < 8, "{context}: whole segments are gone");
}

#[test]
fn records_deleted_while_their_log_is_compacted_are_gone_when_it_is_done() {
    let rig = Rig::new(1, config());
    let directory = rig.open().unwrap();
    let log = rig.log(&directory, TOPIC);
    fill(&log, 80);
    directory.run_pending();
    let stall = rig.disk.stall(Operation::Write, ".log.cleaned");
    let compaction = {
        let directory = Arc::clone(&directory);
        spawn_thread("cleaner", move || compact(&directory).unwrap()).unwrap()
    };
    stall.wait_until_reached();
    assert_eq!(log.delete_records(Offset(40)), Offset(40));
    assert_eq!(log.apply_retention(log.durable_end()), 0);
    check_start(&log, "while it is compacted");
    drop(stall);
    assert!(compaction.join().unwrap().is_some());
    directory.run_pending();
    check_start(&log, "afterwards");
    assert_eq!(log.start_offset(), Offset(40));
}

#[test]
fn whoever_cuts_or_deletes_a_log_takes_turns_with_compaction() {
    for is_cut in [true, false] {
        let rig = Rig::new(2, config());
        let directory = rig.open().unwrap();
        let log = rig.log(&directory, TOPIC);
        fill(&log, 80);
        directory.run_pending();
        let stall = rig.disk.stall(Operation::Create, ".cleaned");
        let compaction = {
            let directory = Arc::clone(&directory);
            spawn_thread("cleaner", move || compact(&directory).unwrap()).unwrap()
        };
        stall.wait_until_reached();
        let rival = {
            let (directory, log) = (Arc::clone(&directory), Arc::clone(&log));
            spawn_thread("rival", move || match is_cut {
                true => log.truncate_to(Offset(10)).unwrap(),
                false => directory.delete(&partition(TOPIC)).unwrap(),
            })
            .unwrap()
        };
        // Long enough that nearly always compaction gives up; either way both come to an end.
        RealClock.sleep(Duration::from_millis(20));
        drop(stall);
        compaction.join().unwrap();
        assert!(rival.join().unwrap());
        directory.run_pending();
        directory.checkpoint().unwrap();
        if is_cut {
            assert_eq!(log.appended_end(), Offset(10));
            assert!(read(&log).keys().all(|offset| *offset < 10));
        }
        assert!(directory.offline().is_none());
    }
}

#[test]
fn a_partition_that_is_created_anew_while_the_old_one_is_deleted_keeps_its_own() {
    for seed in 0..20 {
        let mut rig = Rig::new(seed, config());
        let directory = rig.open().unwrap();
        let log = rig.log(&directory, TOPIC);
        fill(&log, 40);
        directory.run_pending();
        let stall = rig.disk.stall(Operation::Rename, "-delete");
        let deletion = {
            let directory = Arc::clone(&directory);
            spawn_thread("deletion", move || directory.delete(&partition(TOPIC)).unwrap()).unwrap()
        };
        stall.wait_until_reached();
        let id = Uuid::from_u128(99);
        let log = directory.create(partition(TOPIC), id, Arc::clone(&rig.config)).unwrap();
        let writer = {
            let (directory, log) = (Arc::clone(&directory), Arc::clone(&log));
            spawn_thread("writer", move || {
                fill(&log, 5);
                directory.run_pending();
            })
            .unwrap()
        };
        RealClock.sleep(Duration::from_millis(2));
        drop(stall);
        writer.join().unwrap();
        assert!(deletion.join().unwrap());
        directory.checkpoint().unwrap();
        if seed % 2 == 0 {
            directory.close(1).unwrap();
        }
        drop((log, directory));
        rig.crash();
        let directory = rig.open().unwrap();
        let log = directory.log(&partition(TOPIC)).unwrap();
        assert_eq!((log.topic_id(), log.appended_end()), (id, Offset(5)));
        assert_eq!(read(&log).len(), 5);
    }
}
