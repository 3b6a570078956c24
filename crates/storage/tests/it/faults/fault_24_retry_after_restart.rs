//! The answer to a batch is lost and its producer sends it again (fault 24), to a log that was
//! stopped, killed or lost its power meanwhile, or to a follower that leads now: each of its last
//! five batches is answered with its old offset, an older one is refused.

use std::sync::Arc;

use bytes::BytesMut;
use milena_env::Random;
use milena_protocol::{Offset, ProducerEpoch, ProducerId, records::BatchBuilder};
use milena_storage::{AppendError, Limit, Log, LogConfig, producers::SequenceError};

use super::for_each_seed;
use crate::rig::{Rig, append, batch, build, partition};

/// A batch of two records, the `nth` of a producer.
fn nth(id: i64, nth: i32) -> BytesMut {
    let builder = BatchBuilder::new(Offset::ZERO);
    build(builder.with_producer(ProducerId(id), ProducerEpoch(0), nth * 2), &["a", "b"])
}

#[test]
fn fault_24_a_retry_after_a_restart_gets_its_old_offset() {
    for_each_seed(0..500, |seed| {
        let mut random = Random::from_seed(seed);
        let segment_bytes = [400, 2_000, 1 << 20][random.below(3) as usize];
        let mut rig = Rig::new(seed, LogConfig { segment_bytes, ..LogConfig::default() });
        let directory = rig.open().unwrap();
        let log = rig.log(&directory, "orders");
        let mut sent: Vec<Vec<(BytesMut, Offset)>> = vec![Vec::new(); 3];
        for _ in 0..30 + random.below(30) {
            let id = random.below(4) as usize;
            let Some(own) = sent.get_mut(id) else {
                append(&log, batch(&["of nobody"]), 0).unwrap();
                continue;
            };
            let bytes = nth(id as i64, own.len() as i32);
            own.push((bytes.clone(), append(&log, bytes, 0).unwrap().base_offset));
        }
        directory.run_pending();
        let follower = rig.log(&directory, "follower");
        let limit = Limit { bytes_max: 1 << 20, at_least_one: true };
        while follower.appended_end() < log.appended_end() {
            let plan = log.read(follower.appended_end(), log.appended_end(), limit).unwrap();
            follower.append_as_follower(&plan.read().unwrap().into()).unwrap();
        }
        directory.run_pending();
        retry(&follower, &sent);
        if random.chance(1, 2) {
            directory.checkpoint().unwrap();
        }
        let end = log.appended_end();
        match random.below(3) {
            0 => directory.close(1).unwrap(),
            1 => rig.kill(),
            _ => rig.crash(),
        }
        drop((log, follower, directory));
        rig.kill();
        let directory = rig.open().unwrap();
        for topic in ["orders", "follower"] {
            let log = directory.log(&partition(topic)).unwrap();
            retry(&log, &sent);
            assert_eq!(log.appended_end(), end, "nothing is appended twice");
            let own = &sent[0];
            append(&log, nth(0, own.len() as i32), 0).unwrap();
        }
    });
}

fn retry(log: &Arc<Log>, sent: &[Vec<(BytesMut, Offset)>]) {
    for own in sent {
        for (age, (bytes, offset)) in own.iter().rev().enumerate() {
            match append(log, bytes.clone(), 0) {
                Ok(answer) => assert_eq!((age < 5, answer.base_offset), (true, *offset)),
                Err(AppendError::Sequence(SequenceError::OutOfOrderSequence { .. })) => {
                    assert!(age >= 5, "{age} back was refused");
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
}
