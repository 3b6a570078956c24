//! Fault 37: retention, DeleteRecords and compaction racing with reads, a follower and power
//! failures. The start of a log never moves back.

use std::{sync::Arc, time::Duration};

use milena_env::Random;
use milena_protocol::Offset;
use milena_storage::{Limit, Log, LogConfig};

use super::{
    deletion::{check_start, fill},
    world::{HOUR_MS, TOPIC, compact, config},
};
use crate::{faults::for_each_seed, rig::Rig};

/// A follower takes over the leader's start, whatever it has itself.
fn follow(leader: &Log, follower: &Arc<Log>, context: &str) {
    let start = leader.start_offset();
    if follower.appended_end() < start {
        follower.reset_to(start).unwrap();
    }
    let (mut from, end) = (follower.appended_end(), leader.durable_end());
    while from < end {
        let limit = Limit { bytes_max: 700, at_least_one: true };
        let bytes = leader.read(from, end, limit).unwrap().read().unwrap();
        let reached = follower.append_as_follower(&bytes.into()).unwrap();
        assert!(reached > from, "{context}");
        from = reached;
    }
    follower.delete_records(start);
    assert_eq!(follower.start_offset(), start, "{context}");
}

#[test]
fn fault_37_the_start_of_a_log_never_moves_back() {
    for_each_seed(0..500, |seed| {
        let mut random = Random::from_seed(seed);
        let compacted = random.chance(1, 2);
        let log_config = LogConfig {
            compact: compacted,
            delete: true,
            retention_bytes: if random.chance(1, 2) { 3000 } else { -1 },
            ..config()
        };
        let mut rig = Rig::new(seed, log_config);
        let mut directory = rig.open().unwrap();
        let mut log = rig.log(&directory, TOPIC);
        let mut follower = rig.log(&directory, "follower");
        let mut acknowledged = Offset::ZERO;
        for life in 0..3 {
            let context = format!("seed {seed}, life {life}");
            for _ in 0..12 {
                let before = log.start_offset();
                match random.below(8) {
                    0..3 => fill(&log, random.below(20)),
                    3 => drop(log.delete_records(Offset(random.below(200) as i64))),
                    4 => {
                        rig.clock.advance(Duration::from_millis(random.below(80 * HOUR_MS as u64)));
                        log.apply_retention(log.durable_end());
                    }
                    5 => drop(compact(&directory).unwrap()),
                    6 => directory.checkpoint().unwrap(),
                    _ => follow(&log, &follower, &context),
                }
                assert!(log.start_offset() >= before, "{context}");
                if random.chance(1, 2) {
                    // What comes behind it in the queue is durable: so is the start, then. A full
                    // journal takes neither.
                    let start = log.start_offset();
                    fill(&log, 1);
                    directory.run_pending();
                    if log.durable_end() == log.appended_end() {
                        acknowledged = start;
                    }
                    check_start(&log, &context);
                }
            }
            if random.chance(1, 4) {
                rig.disk.crash_after(random.below(40));
                log.delete_records(Offset(random.below(200) as i64));
                directory.run_pending();
                let _ = compact(&directory);
                let _ = directory.checkpoint();
            }
            drop((log, follower, directory));
            rig.crash();
            directory = rig.open().unwrap();
            log = rig.log(&directory, TOPIC);
            follower = rig.log(&directory, "follower");
            assert!(log.start_offset() >= acknowledged, "{context}: after a crash");
            check_start(&log, &context);
            follow(&log, &follower, &context);
        }
    });
}
