//! What is kept for a topic and for one of its partitions.

use std::{collections::VecDeque, sync::Arc};

use milena_env::Random;
use milena_protocol::ErrorCode;

use super::{CAPACITY_MIN, Choice, Rules, ratio::Ratio};
use crate::{
    cluster::Topic,
    error::{Error, Result},
    producer::{
        batch::{Batch, Identity},
        delivery::Completion,
        partitioner::Sticky,
    },
};

#[derive(Debug)]
pub(super) struct TopicQueues {
    pub(super) name: Arc<str>,
    pub(super) topic: Arc<Topic>,
    pub(super) partitions: Vec<Queue>,
    /// What compression does to its records.
    pub(super) ratio: Ratio,
    sticky: Sticky,
}

/// One partition's batches.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) leader: Option<i32>,
    /// In order. Those that failed and are to be sent again come first.
    pub(super) waiting: VecDeque<Batch>,
    /// Those that the sender has, in order.
    pub(super) in_flight: VecDeque<((u64, u32), Arc<Completion>)>,
    pub(super) is_active: bool,
    /// Who the sequences below belong to; an idempotent producer may have become another one.
    pub(super) identity: Option<Identity>,
    pub(super) next_sequence: i32,
    /// The sequence behind the last one that is known to be stored.
    pub(super) acknowledged: i32,
    /// A batch was given up whose sequence nobody else can have: nothing new is sent until it is
    /// known whether it was stored.
    pub(super) has_gap: bool,
    /// Sequences begin anew, under another identity.
    pub(super) is_reset: bool,
    /// Bytes of the last batch, so that the next one begins with memory of that size.
    pub(super) last_len: usize,
}

impl TopicQueues {
    pub(super) fn new(topic: &Arc<Topic>) -> Self {
        let (name, topic) = (Arc::from(&*topic.name), Arc::clone(topic));
        let mut queues = Self {
            name,
            topic: Arc::clone(&topic),
            partitions: Vec::new(),
            ratio: Ratio::default(),
            sticky: Sticky::default(),
        };
        queues.take(&topic);
        queues
    }

    /// A newer picture of the topic. Partitions do not become fewer while it exists, and what
    /// waits for one that is gone fails by its time.
    pub(super) fn learn(&mut self, topic: &Arc<Topic>) {
        if !Arc::ptr_eq(&self.topic, topic) {
            self.take(topic);
        }
    }

    fn take(&mut self, topic: &Arc<Topic>) {
        if topic.partitions.len() > self.partitions.len() {
            self.partitions.resize_with(topic.partitions.len(), Queue::default);
        }
        for queue in &mut self.partitions {
            queue.leader = None;
        }
        for (queue, partition) in self.partitions.iter_mut().zip(&topic.partitions) {
            queue.leader = partition.leader;
        }
        // Who cannot say what partitions there are is not believed about their number.
        if topic.error == ErrorCode::None {
            self.topic = Arc::clone(topic);
        }
    }

    /// How large a batch becomes before compression: so that it has `batch.size` bytes behind it.
    pub(super) fn batch_limit(&self, rules: &Rules) -> usize {
        // However well something compresses, nobody must make more of it than of a request.
        self.ratio.plain(rules.batch_size).min(rules.request_size.max(rules.batch_size))
    }

    /// The partition of a record, and the one that was left full for it.
    pub(super) fn choose(
        &mut self,
        choice: Choice,
        bytes: usize,
        rules: &Rules,
        random: &mut Random,
    ) -> Result<(usize, Option<usize>)> {
        let count = self.partitions.len();
        let limit = self.batch_limit(rules);
        match choice {
            Choice::Hash(hash) => Ok(((hash & 0x7fff_ffff) as usize % count.max(1), None)),
            Choice::Any => {
                let queues = &self.partitions;
                let queued = |partition| {
                    let queue: &Queue = queues.get(partition)?;
                    queue.leader.map(|_| if rules.is_adaptive { queue.waiting.len() } else { 0 })
                };
                // A batch has a header, which its records must leave room for.
                let size = limit.saturating_sub(milena_protocol::records::HEADER_LEN);
                Ok(self.sticky.choose(bytes, size, count, random, queued))
            }
            Choice::Partition(partition) => usize::try_from(partition)
                .ok()
                .filter(|partition| *partition < count)
                .map(|partition| (partition, None))
                .ok_or_else(|| {
                    let name = &self.name;
                    Error::Invalid(
                        format!("{name} has {count} partitions, and none is {partition}").into(),
                    )
                }),
        }
    }
}

impl Queue {
    /// The last batch gets no more records; true if there is one.
    pub(super) fn close_last(&mut self) -> bool {
        self.waiting.back_mut().map(|batch| batch.is_full = true).is_some()
    }

    /// How much memory a new batch begins with.
    pub(super) fn capacity_for(&self, needed: usize, limit: usize) -> usize {
        let usual = self.last_len.saturating_mul(2).max(CAPACITY_MIN).min(limit);
        needed.max(usual)
    }

    /// Puts a batch where it belongs by its order.
    pub(super) fn put_back(&mut self, batch: Batch) {
        let at = self.waiting.partition_point(|other| other.order < batch.order);
        self.waiting.insert(at, batch);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.in_flight.is_empty()
    }
}
