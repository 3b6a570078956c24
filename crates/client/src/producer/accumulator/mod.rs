//! The records that were sent and not delivered yet: a queue of batches for every partition,
//! within a budget of memory. Pure: it is told the time, and says what is to be done.
//!
//! `append` takes records in, `drain` gives batches out to be sent, `answer` takes what became of
//! them. A batch is in one of two places: in its queue, or with the sender, while its queue knows
//! its order.

mod answer;
mod drain;
mod identity;
mod queue;
mod ratio;
#[cfg(test)]
mod test;
mod transaction;

use std::{sync::Arc, time::Duration};

use milena_env::{HashMap, Random};
use milena_protocol::records::HEADER_LEN;

pub(super) use self::{
    answer::{Answered, Done, Finished},
    drain::Step,
    identity::Identification,
};
use self::{
    queue::{Queue, TopicQueues},
    transaction::Transaction,
};
use super::{
    batch::{Batch, Fields, Identity, Place},
    config::ProducerConfig,
    delivery::{Completion, Delivery},
    interceptor::Audience,
};
use crate::{cluster::Topic, error::Error};

/// A batch begins with at least so much memory.
const CAPACITY_MIN: usize = 1 << 10;

/// What the core goes by.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) batch_size: usize,
    pub(super) linger: Duration,
    pub(super) buffer_memory: usize,
    pub(super) request_size: usize,
    pub(super) delivery_timeout: Duration,
    pub(super) retries: u32,
    pub(super) is_adaptive: bool,
    pub(super) is_idempotent: bool,
    pub(super) is_transactional: bool,
}

impl From<&ProducerConfig> for Rules {
    fn from(config: &ProducerConfig) -> Self {
        Self {
            batch_size: config.batch_size.max(1),
            linger: config.linger,
            buffer_memory: config.buffer_memory,
            request_size: config.max_request_size,
            delivery_timeout: config.delivery_timeout,
            retries: config.retries,
            is_adaptive: config.adaptive_partitioning,
            is_idempotent: config.enable_idempotence,
            is_transactional: config.transactional_id.is_some(),
        }
    }
}

impl Rules {
    /// Refuses a record of so many bytes that there never will be room for.
    fn check_size(&self, bytes: usize) -> Result<(), Error> {
        let bytes = bytes + HEADER_LEN;
        let limits =
            [(self.request_size, "max.request.size"), (self.buffer_memory, "buffer.memory")];
        match limits.iter().find(|(limit, _)| bytes > *limit) {
            None => Ok(()),
            Some((limit, key)) => Err(Error::Invalid(
                format!(
                    "a record takes up to {bytes} bytes, and {key} is {limit}; send less or set \
                     more"
                )
                .into(),
            )),
        }
    }
}

/// Which partition a record is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Choice {
    /// It was named, or a partitioner of the user's chose it.
    Partition(i32),
    /// That of a hash.
    Hash(u32),
    /// Whichever is best.
    Any,
}

/// What became of a record that should be added.
#[derive(Debug)]
pub(super) enum Appended {
    /// It is in. If `wakes`, the sender has something to do earlier than it thinks.
    Added { delivery: Delivery, wakes: bool },
    /// There is no memory left for it now.
    Full,
    /// The topic must be learned of first.
    UnknownTopic,
    /// The topic is not known to have such a partition.
    NoSuchPartition(Error),
    /// It never can be.
    Refused(Error),
}

#[derive(Debug)]
pub(super) struct Accumulator {
    rules: Rules,
    random: Random,
    audience: Option<Arc<dyn Audience>>,
    numbers: HashMap<Arc<str>, usize>,
    topics: Vec<TopicQueues>,
    /// Queues that have batches, waiting or in flight.
    active: Vec<Place>,
    /// Where the next drain begins, so that every partition has its turn.
    turn: usize,
    free: usize,
    batch_number: u64,
    /// How many wait for memory.
    blocked: usize,
    /// How many wait for all to be delivered.
    flushing: usize,
    is_closing: bool,
    identification: Identification,
    /// None for a producer without transactions.
    transaction: Option<Transaction>,
    /// Why nothing can be sent any more.
    failed: Option<Error>,
    /// Why nothing can be sent at the moment.
    trouble: Option<Arc<Error>>,
    /// Until when the sender means to sleep; zero if it is up.
    sleeps_until: Duration,
}

impl Accumulator {
    pub(super) fn new(rules: Rules, random: Random, audience: Option<Arc<dyn Audience>>) -> Self {
        Self {
            free: rules.buffer_memory,
            identification: Identification::new(&rules),
            transaction: rules.is_transactional.then(Transaction::new),
            rules,
            random,
            audience,
            numbers: HashMap::default(),
            topics: Vec::new(),
            active: Vec::new(),
            turn: 0,
            batch_number: 0,
            blocked: 0,
            flushing: 0,
            is_closing: false,
            failed: None,
            trouble: None,
            sleeps_until: Duration::ZERO,
        }
    }

    /// What is known of a topic that has been sent to.
    pub(super) fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        let number = *self.numbers.get(name)?;
        self.topics.get(number).map(|queues| Arc::clone(&queues.topic))
    }

    /// Takes over what was learned of a topic: its partitions and who leads them.
    pub(super) fn learn(&mut self, topic: &Arc<Topic>) {
        let number = *self.numbers.entry(Arc::from(&*topic.name)).or_insert(self.topics.len());
        if number == self.topics.len() {
            self.topics.push(TopicQueues::new(topic));
        } else if let Some(queues) = self.topics.get_mut(number) {
            queues.learn(topic);
        }
    }

    /// The topics that ever were sent to.
    pub(super) fn topics(&self) -> impl Iterator<Item = &Arc<str>> {
        self.topics.iter().map(|queues| &queues.name)
    }

    /// The topics for which there are batches.
    pub(super) fn active_topics(&self) -> Vec<Arc<str>> {
        let topics = self.active.iter().filter_map(|place| self.topics.get(place.topic));
        let mut names: Vec<_> = topics.map(|queues| Arc::clone(&queues.name)).collect();
        names.dedup();
        names
    }

    /// A broker says that another one leads.
    pub(super) fn lead(&mut self, place: Place, leader: i32) {
        if let Some(queue) = self.queue_mut(place) {
            queue.leader = Some(leader);
        }
    }

    /// Why a broker cannot be reached, for those whose time runs out; nothing if it can.
    pub(super) fn set_trouble(&mut self, trouble: Option<Error>) {
        self.trouble = trouble.map(Arc::new);
    }

    /// Why nothing can be sent, if so.
    pub(super) fn trouble(&self) -> Option<Arc<Error>> {
        self.trouble.clone()
    }

    /// Adds a record to the last batch of its partition, or to a new one. Who waited for memory
    /// already comes before others.
    pub(super) fn append(
        &mut self,
        topic: &str,
        choice: Choice,
        record: &Fields<'_>,
        has_waited: bool,
        now: impl FnOnce() -> Duration,
    ) -> Appended {
        if let Some(error) = &self.failed {
            return Appended::Refused(error.clone());
        }
        if self.is_closing {
            return Appended::Refused(Error::Closed);
        }
        if let Err(error) = self.check_transaction() {
            return Appended::Refused(error);
        }
        let Some(number) = self.numbers.get(topic).copied() else { return Appended::UnknownTopic };
        let Some(queues) = self.topics.get_mut(number) else { return Appended::UnknownTopic };
        let bytes = record.len_max();
        if let Err(error) = self.rules.check_size(bytes) {
            return Appended::Refused(error);
        }
        let (partition, left) = match queues.choose(choice, bytes, &self.rules, &mut self.random) {
            Ok(chosen) => chosen,
            Err(error) => return Appended::NoSuchPartition(error),
        };
        let place = Place { topic: number, partition };
        // What was full is sent, also if there is no memory for this record.
        let left = left.and_then(|left| queues.partitions.get_mut(left));
        let mut wakes = left.is_some_and(Queue::close_last);
        let limit = queues.batch_limit(&self.rules);
        let Some(queue) = queues.partitions.get_mut(partition) else {
            return Appended::UnknownTopic;
        };
        let may_take = if self.blocked == 0 || has_waited { self.free } else { 0 };
        if let Some(last) = queue.waiting.back_mut()
            && let Some(capacity) = last.room_for(bytes, limit)
        {
            let more = capacity.saturating_sub(last.charged);
            if more > may_take {
                return Appended::Full;
            }
            self.free -= more;
            let delivery = last.add(record, capacity);
            if wakes {
                wakes = self.wake();
            }
            return Appended::Added { delivery, wakes };
        }
        let capacity = queue.capacity_for(HEADER_LEN + bytes, limit);
        if capacity > may_take {
            return Appended::Full;
        }
        self.free -= capacity;
        let audience = self.audience.clone();
        let completion = Completion::new(Arc::clone(&queues.name), partition as i32, audience);
        self.batch_number += 1;
        let created = now();
        let mut batch = Batch::new(self.batch_number, place, capacity, created, completion);
        let delivery = batch.add(record, capacity);
        queue.waiting.push_back(batch);
        wakes |= queue.waiting.len() > 1 || created + self.rules.linger < self.sleeps_until;
        if !queue.is_active {
            queue.is_active = true;
            self.active.push(place);
        }
        Appended::Added { delivery, wakes: wakes && self.wake() }
    }

    /// Whether the sender sleeps and must be woken. It is told once.
    fn wake(&mut self) -> bool {
        !std::mem::take(&mut self.sleeps_until).is_zero()
    }

    /// Somebody begins to wait for memory: what there is is sent at once.
    pub(super) fn block(&mut self) -> bool {
        self.blocked += 1;
        self.wake()
    }

    pub(super) fn unblock(&mut self) {
        self.blocked = self.blocked.saturating_sub(1);
    }

    /// Somebody begins to wait until all is delivered that is here now: it is sent at once.
    pub(super) fn flush(&mut self) -> (Vec<Arc<Completion>>, bool) {
        self.flushing += 1;
        (self.incomplete(), self.wake())
    }

    pub(super) fn end_flush(&mut self) {
        self.flushing = self.flushing.saturating_sub(1);
    }

    /// All batches that are not delivered.
    fn incomplete(&self) -> Vec<Arc<Completion>> {
        let queues = self.active.iter().filter_map(|place| self.queue(*place));
        let completions = queues.flat_map(|queue| {
            let waiting = queue.waiting.iter().map(|batch| &batch.completion);
            waiting.chain(queue.in_flight.iter().map(|(_, completion)| completion))
        });
        completions.cloned().collect()
    }

    /// Takes no more records; what is here is sent at once.
    pub(super) fn close(&mut self) -> bool {
        self.is_closing = true;
        self.wake()
    }

    /// Gives up: all that is not delivered has failed, and nothing more is taken.
    pub(super) fn fail(&mut self, error: &Error) -> Vec<Finished> {
        self.failed.get_or_insert_with(|| error.clone());
        self.is_closing = true;
        self.incomplete().into_iter().map(|it| Finished::failed(it, error.clone())).collect()
    }

    pub(super) fn free(&self) -> usize {
        self.free
    }

    /// Gives back memory; true if somebody waits for it.
    pub(super) fn release(&mut self, bytes: usize) -> bool {
        self.free = (self.free + bytes).min(self.rules.buffer_memory);
        self.blocked > 0
    }

    /// Who this producer is, if the broker has said so.
    pub(super) fn identity(&self) -> Option<Identity> {
        self.identification.known()
    }

    fn queue(&self, place: Place) -> Option<&Queue> {
        self.topics.get(place.topic)?.partitions.get(place.partition)
    }

    fn queue_mut(&mut self, place: Place) -> Option<&mut Queue> {
        self.topics.get_mut(place.topic)?.partitions.get_mut(place.partition)
    }
}
