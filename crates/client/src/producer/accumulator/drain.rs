//! Which batches are to be sent now, to whom, and when to look again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use milena_protocol::records::HEADER_LEN;

use super::{Accumulator, Finished, Identification};
use crate::{
    error::Error,
    producer::batch::{Batch, Place},
    types::TopicPartition,
};

/// What the sender is to do.
#[derive(Debug, Default)]
pub(in crate::producer) struct Step {
    /// By leader: what to send, one batch a partition.
    pub(in crate::producer) requests: BTreeMap<i32, Vec<Batch>>,
    /// What ran out of time.
    pub(in crate::producer) finished: Vec<Finished>,
    /// There is memory for those who wait for it.
    pub(in crate::producer) has_room: bool,
    /// When there will be something to do, if nothing happens before.
    pub(in crate::producer) wake_at: Option<Duration>,
    /// A broker has to say who this producer is.
    pub(in crate::producer) lacks_identity: bool,
    /// The coordinator has to be told that these belong to the transaction.
    pub(in crate::producer) to_add: Vec<(Place, TopicPartition)>,
    /// Somebody has to lead a partition for which there are batches.
    pub(in crate::producer) lacks_leader: bool,
    /// Nothing is left to be done, ever.
    pub(in crate::producer) is_over: bool,
}

impl Step {
    pub(in crate::producer) fn wake_by(&mut self, at: Duration) {
        self.wake_at = Some(self.wake_at.map_or(at, |wake_at| wake_at.min(at)));
    }
}

/// What one look at a queue came to.
enum Look {
    Nothing,
    Take(i32),
}

impl Accumulator {
    /// Takes out all batches that are to be sent now. `can_take` says whether another request may
    /// be sent to a broker.
    pub(in crate::producer) fn drain(
        &mut self,
        now: Duration,
        mut can_take: impl FnMut(i32) -> bool,
    ) -> Step {
        let mut step = Step::default();
        let mut sizes = BTreeMap::<i32, usize>::new();
        let is_hurried = self.blocked > 0 || self.flushing > 0 || self.is_closing;
        self.forget_idle();
        let count = self.active.len();
        self.turn = if count == 0 { 0 } else { (self.turn + 1) % count };
        for at in 0..count {
            let Some(place) = self.active.get((self.turn + at) % count).copied() else { break };
            self.expire(place, now, &mut step);
            let Look::Take(leader) = self.look(place, now, is_hurried, &mut can_take, &mut step)
            else {
                continue;
            };
            let size = sizes.entry(leader).or_default();
            let len = self.first_len(place);
            if *size > 0 && *size + len > self.rules.request_size {
                // The next request takes it, soon.
                step.wake_by(now);
                continue;
            }
            if !self.is_in_transaction(place) {
                step.to_add.extend(self.named(place));
                continue;
            }
            if self.stamp_first(place).is_none() {
                step.lacks_identity |= matches!(self.identification, Identification::Missing);
                continue;
            }
            if let Some(batch) = self.take_first(place) {
                *size += len;
                step.requests.entry(leader).or_default().push(batch);
            }
        }
        step.is_over = self.is_closing && (self.active.is_empty() || self.failed.is_some());
        self.sleeps_until = step.wake_at.unwrap_or(Duration::MAX);
        step
    }

    fn named(&self, place: Place) -> Option<(Place, TopicPartition)> {
        let name = Arc::clone(&self.topics.get(place.topic)?.name);
        Some((place, TopicPartition::new(name, place.partition as i32)))
    }

    /// Whether the first batch of a queue is due, and who is to get it.
    fn look(
        &mut self,
        place: Place,
        now: Duration,
        is_hurried: bool,
        can_take: impl FnOnce(i32) -> bool,
        step: &mut Step,
    ) -> Look {
        let linger = self.rules.linger;
        let Some(queue) = self.queue_mut(place) else { return Look::Nothing };
        queue.settle_gap();
        let several = queue.waiting.len() > 1;
        let Some(first) = queue.waiting.front() else { return Look::Nothing };
        let Some(leader) = queue.leader else {
            step.lacks_leader = true;
            return Look::Nothing;
        };
        if first.retry_at > now {
            step.wake_by(first.retry_at);
            return Look::Nothing;
        }
        let is_ready = several || first.is_full || first.attempts > 0 || is_hurried;
        if !is_ready && first.created + linger > now {
            step.wake_by(first.created + linger);
            return Look::Nothing;
        }
        // An answer will make place at the broker, and wake the sender.
        if can_take(leader) { Look::Take(leader) } else { Look::Nothing }
    }

    /// Bytes that the first batch of a queue will have on the wire, as far as one knows.
    fn first_len(&self, place: Place) -> usize {
        let Some(queues) = self.topics.get(place.topic) else { return 0 };
        let queue = queues.partitions.get(place.partition);
        let Some(first) = queue.and_then(|queue| queue.waiting.front()) else { return 0 };
        match first.open_len() {
            Some(plain) => HEADER_LEN + queues.ratio.compressed(plain),
            None => first.len(),
        }
    }

    fn take_first(&mut self, place: Place) -> Option<Batch> {
        let queue = self.queue_mut(place)?;
        let mut batch = queue.waiting.pop_front()?;
        if batch.attempts == 0 {
            queue.last_len = batch.len();
        }
        batch.attempts += 1;
        let entry = (batch.order, Arc::clone(&batch.completion));
        let at = queue.in_flight.partition_point(|(order, _)| *order < batch.order);
        queue.in_flight.insert(at, entry);
        Some(batch)
    }

    /// Gives up what has waited for too long.
    fn expire(&mut self, place: Place, now: Duration, step: &mut Step) {
        let (limit, trouble) = (self.rules.delivery_timeout, self.trouble.clone());
        let broken = self.check_transaction().err().filter(|error| error.remedy().is_some());
        let Some(queue) = self.queue_mut(place) else { return };
        let (mut released, mut errors) = (0, Vec::new());
        while let Some(first) = queue.waiting.front() {
            let end = first.created + limit;
            // Others may have given it up, too, and a broken transaction needs nothing new.
            let is_needless = broken.is_some() && first.stamp.is_none();
            if end > now && !first.completion.is_done() && !is_needless {
                step.wake_by(end);
                break;
            }
            let Some(mut batch) = queue.waiting.pop_front() else { break };
            queue.give_up(batch.stamp);
            released += batch.charged;
            let last = batch.last_error.take().map(Arc::new).or_else(|| trouble.clone());
            let what = batch.what().into();
            let too_late = || Error::Timeout { what, limit, key: "delivery.timeout.ms", last };
            let error = broken.clone().filter(|_| is_needless).unwrap_or_else(too_late);
            errors.push((batch.completion, error));
        }
        for (completion, error) in errors {
            let error = self.break_transaction(error);
            step.finished.push(Finished::failed(completion, error));
        }
        if released > 0 {
            step.has_room |= self.release(released);
        }
    }

    /// Queues without batches are not looked at until they get one.
    fn forget_idle(&mut self) {
        let topics = &mut self.topics;
        self.active.retain(|place| {
            let partitions = topics.get_mut(place.topic).map(|topic| &mut topic.partitions);
            let queue = partitions.and_then(|partitions| partitions.get_mut(place.partition));
            queue.is_some_and(|queue| {
                queue.settle_gap();
                queue.is_active = !queue.is_idle();
                queue.is_active
            })
        });
    }
}
