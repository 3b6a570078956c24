//! Everything that can be done to a directory, in random order, until the power fails.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use milena_env::Random;
use milena_protocol::{
    LeaderEpoch, Offset, ProducerEpoch, ProducerId, Uuid, records::BatchBuilder,
};
use milena_storage::{Limit, Log, LogDirectory, producers::Origin};

use super::{
    history::{Deed, History, Life, Stored},
    machine::Machine,
};
use crate::rig::{NOW_MS, partition, validated};

/// What a workload may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix {
    pub(crate) topics: &'static [&'static str],
    pub(crate) steps: u64,
    /// Whether logs are cut and emptied.
    pub(crate) cuts: bool,
    pub(crate) deletes_topics: bool,
}

impl Machine {
    /// Does things until they are enough or the power is off. `false` once it is.
    pub(crate) fn work(
        &mut self,
        directory: &Arc<LogDirectory>,
        history: &mut History,
        mix: Mix,
    ) -> bool {
        for _ in 0..mix.steps {
            let at = self.random.below(mix.topics.len() as u64) as usize;
            self.do_something(directory, history, mix.topics[at], mix);
            history.observe(|topic| Some(directory.log(&partition(topic))?.durable_end().0));
            if self.disk.is_power_off() {
                return false;
            }
        }
        true
    }

    fn do_something(
        &mut self,
        directory: &Arc<LogDirectory>,
        history: &mut History,
        topic: &str,
        mix: Mix,
    ) {
        let Some(log) = directory.log(&partition(topic)) else {
            let id = Uuid::from_u128(u128::from(self.random.next_u64()) + 1);
            if directory.create(partition(topic), id, self.log_config(topic)).is_ok() {
                history.push(topic, Deed::Create(id));
            }
            return;
        };
        match self.random.below(100) {
            0..55 => self.append(&log, history, topic),
            55..75 => directory.run_pending(),
            75..83 => drop(directory.checkpoint()),
            83..86 => {
                directory.run_pending();
                if directory.checkpoint().is_ok() {
                    directory.run_pending();
                    if directory.unwritten_bytes() == 0 && directory.checkpoint().is_ok() {
                        history.all_durable();
                    }
                }
            }
            86..90 => {
                let (start, end) = (log.start_offset().0, log.appended_end().0);
                let to = start + self.random.below((end - start + 1) as u64) as i64;
                log.delete_records(Offset(to));
                history.push(topic, Deed::DeleteRecords(to));
            }
            90..96 if mix.cuts => {
                let to = cut(&mut self.random, &history.now()[topic]);
                if log.truncate_to(Offset(to)).is_ok() {
                    history.push(topic, Deed::Truncate(to));
                }
            }
            96..97 if mix.cuts => {
                let start = log.appended_end().0 + self.random.below(50) as i64 - 5;
                if log.reset_to(Offset(start.max(0))).is_ok() {
                    history.push(topic, Deed::Reset(start.max(0)));
                }
            }
            97..99 if mix.deletes_topics => {
                // Where it fails half-way, it may be done or not.
                drop(directory.delete(&partition(topic)));
                history.push(topic, Deed::Delete);
            }
            _ => {}
        }
    }

    /// Appends one batch of a producer, of a coordinator's kind or of a retry.
    pub(crate) fn append(&mut self, log: &Arc<Log>, history: &mut History, topic: &str) {
        let life = &history.now()[topic];
        let producer_id = self.random.below(4) as i64;
        let sequence = life.next_sequence(producer_id);
        let latest = life.epochs.last().map_or(0, |last| last.0);
        let epoch = latest + i32::from(self.random.chance(1, 10));
        let count = 1 + self.random.below(5);
        let mut builder = BatchBuilder::new(Offset::ZERO);
        // Producer 0 is none.
        let producer = (producer_id > 0).then_some((producer_id, sequence));
        if producer.is_some() {
            builder = builder.with_producer(ProducerId(producer_id), ProducerEpoch(0), sequence);
        }
        for index in 0..count {
            let most = [20, 20, 20, 200, 2_000][self.random.below(5) as usize];
            let len = (self.random.below(most) as usize).min(self.segment_bytes as usize / 8);
            let value = value(&mut self.random, len);
            builder.append(NOW_MS + index as i64, None, Some(&value), []);
        }
        let mut bytes = Vec::new();
        builder.build(&mut bytes).unwrap();
        let sent = BytesMut::from(&bytes[..]);
        let validated = validated(&sent);
        let epoch_given = LeaderEpoch(epoch);
        let appended = log.append_as_leader(sent.clone(), &validated, epoch_given, Origin::Client);
        let appended = match appended {
            Ok(appended) => appended,
            Err(_) if self.disk.is_power_off() => return,
            Err(error) => panic!("seed {}: append to {topic}: {error}", self.seed),
        };
        let seed = self.seed;
        assert!(!appended.is_duplicate, "seed {seed}: a new batch was taken for an old one");
        assert_eq!(appended.base_offset.0, life.end, "seed {seed}: {topic} goes on at its end");
        let (base, next) = (appended.base_offset.0, appended.end.0);
        let bytes = stored(log, appended.base_offset, appended.end);
        let stored = Stored { base, next, epoch, bytes, sent, producer };
        history.push(topic, Deed::Append(Arc::new(stored)));
    }
}

/// The bytes of one batch as the log has them.
fn stored(log: &Log, base: Offset, end: Offset) -> Bytes {
    let limit = Limit { bytes_max: 1, at_least_one: true };
    Bytes::from(log.read(base, end, limit).unwrap().read().unwrap())
}

/// Mostly between two batches, now and then inside of one.
fn cut(random: &mut Random, life: &Life) -> i64 {
    let at = random.below(life.batches.len() as u64 + 1) as usize;
    match life.batches.get(at) {
        Some(batch) if random.chance(1, 6) => {
            batch.base + random.below((batch.next - batch.base) as u64) as i64
        }
        Some(batch) => batch.base,
        None => life.end,
    }
}

fn value(random: &mut Random, len: usize) -> Vec<u8> {
    let mut value = vec![0; len];
    random.fill(&mut value);
    value
}
