//! What becomes of a batch by its answer: stored, sent again, split, or given up.

use std::{sync::Arc, time::Duration};

use milena_protocol::{ErrorCode, records::HEADER_LEN};

use super::Accumulator;
use crate::{
    error::Error,
    producer::{
        batch::{Batch, next_sequence},
        delivery::{Completion, Outcome},
    },
};

/// What a broker said of a batch, or why it said nothing.
#[derive(Debug)]
pub(in crate::producer) enum Answered {
    Stored { base_offset: Option<i64>, append_time: Option<i64> },
    Failed { error: Error, blamed: Vec<(u32, Box<str>)> },
}

/// A batch that is done with. Whoever waits for it is told when no lock is held.
#[derive(Debug)]
pub(in crate::producer) struct Finished {
    completion: Arc<Completion>,
    outcome: Outcome,
}

impl Finished {
    pub(super) fn failed(completion: Arc<Completion>, error: Error) -> Self {
        Self { completion, outcome: Outcome::Failed { error, blamed: Vec::new() } }
    }

    pub(in crate::producer) fn tell(self) {
        self.completion.finish(self.outcome);
    }
}

/// What an answer led to.
#[derive(Debug, Default)]
pub(in crate::producer) struct Done {
    pub(in crate::producer) finished: Option<Finished>,
    /// There is memory for those who wait for it.
    pub(in crate::producer) has_room: bool,
    /// The leader of the partition seems to be another one.
    pub(in crate::producer) wants_view: bool,
}

/// What is to be done about a failure.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Retry,
    /// The broker has lost or never had what came before: sequences begin anew.
    Reset,
    Split,
    /// It was there already.
    Stored,
    GiveUp,
}

impl Accumulator {
    /// Takes back a batch that was sent. After a failure it waits for `pause` if it is sent again.
    pub(in crate::producer) fn answer(
        &mut self,
        mut batch: Batch,
        answered: Answered,
        now: Duration,
        pause: Duration,
    ) -> Done {
        let mut done = Done::default();
        let place = batch.place;
        if let Some(queue) = self.queue_mut(place) {
            queue.in_flight.retain(|(order, _)| *order != batch.order);
        }
        match answered {
            Answered::Stored { base_offset, append_time } => {
                self.store(batch, base_offset, append_time, &mut done);
            }
            Answered::Failed { error, blamed } => {
                done.wants_view = is_about_leader(&error);
                match self.judge(&batch, &error, now) {
                    Verdict::Stored => self.store(batch, None, None, &mut done),
                    Verdict::Split => self.split(batch, &mut done),
                    Verdict::GiveUp => self.give_up(batch, error, blamed, &mut done),
                    verdict => {
                        tracing::debug!(what = batch.what(), %error, "sending a batch again");
                        batch.retry_at = now + pause;
                        batch.last_error = Some(error);
                        let Some(queue) = self.queue_mut(place) else { return done };
                        // Others behind it may have been told the same.
                        let is_of_now =
                            batch.stamp.is_some_and(|it| Some(it.identity) == queue.identity);
                        queue.is_reset |= verdict == Verdict::Reset && is_of_now;
                        queue.put_back(batch);
                    }
                }
            }
        }
        self.wake();
        done
    }

    /// A batch has its bytes now: how far compression went is remembered, and what memory it has
    /// freed is free. True if somebody waits for it.
    pub(in crate::producer) fn sealed(&mut self, batch: &mut Batch) -> bool {
        let len = batch.len();
        if batch.attempts == 1
            && let Some(queues) = self.topics.get_mut(batch.place.topic)
        {
            queues.ratio.learn(batch.plain, len.saturating_sub(HEADER_LEN));
        }
        // What compression has added is little, and soon gone.
        let freed = batch.charged.saturating_sub(len);
        batch.charged -= freed;
        freed > 0 && self.release(freed)
    }

    fn judge(&self, batch: &Batch, error: &Error, now: Duration) -> Verdict {
        let code = error.code();
        if code == Some(ErrorCode::DuplicateSequenceNumber) {
            return Verdict::Stored;
        }
        if code == Some(ErrorCode::MessageTooLarge) && batch.count > 1 {
            return Verdict::Split;
        }
        let is_late = batch.created + self.rules.delivery_timeout <= now;
        if is_late || batch.attempts > self.rules.retries || batch.completion.is_done() {
            return Verdict::GiveUp;
        }
        let breaks_order = matches!(
            code,
            Some(ErrorCode::OutOfOrderSequenceNumber | ErrorCode::UnknownProducerId)
        );
        if breaks_order && batch.stamp.is_some() {
            let is_first = self.queue(batch.place).is_some_and(|queue| {
                let waiting = queue.waiting.front().filter(|first| first.stamp.is_some());
                let waiting = waiting.map(|first| first.order);
                let in_flight = queue.in_flight.front().map(|(order, _)| *order);
                [waiting, in_flight].into_iter().flatten().all(|other| batch.order < other)
            });
            return match is_first {
                // What came before it is not known to be stored yet.
                false => Verdict::Retry,
                true if self.rules.is_transactional => Verdict::GiveUp,
                true => Verdict::Reset,
            };
        }
        if error.is_retriable() { Verdict::Retry } else { Verdict::GiveUp }
    }

    fn store(
        &mut self,
        batch: Batch,
        base_offset: Option<i64>,
        append_time: Option<i64>,
        done: &mut Done,
    ) {
        if let Some(queue) = self.queue_mut(batch.place)
            && let Some(stamp) = batch.stamp
            && Some(stamp.identity) == queue.identity
        {
            queue.acknowledged = next_sequence(stamp.sequence, batch.count);
        }
        done.has_room = self.release(batch.charged);
        let outcome = Outcome::Stored { base_offset, append_time };
        done.finished = Some(Finished { completion: batch.completion, outcome });
    }

    fn give_up(
        &mut self,
        batch: Batch,
        error: Error,
        blamed: Vec<(u32, Box<str>)>,
        done: &mut Done,
    ) {
        if let Some(queue) = self.queue_mut(batch.place) {
            queue.give_up(batch.stamp);
        }
        done.has_room = self.release(batch.charged);
        self.break_transaction(error.clone());
        let outcome = Outcome::Failed { error, blamed };
        done.finished = Some(Finished { completion: batch.completion, outcome });
    }

    fn split(&mut self, batch: Batch, done: &mut Done) {
        let (completion, charged) = (Arc::clone(&batch.completion), batch.charged);
        let (place, stamp) = (batch.place, batch.stamp);
        if let Some(queues) = self.topics.get_mut(place.topic) {
            queues.ratio.disappoint(batch.plain, batch.len());
        }
        let parts = batch.split(self.rules.batch_size);
        let Some(queue) = self.queue_mut(place) else { return };
        match parts {
            Ok(parts) => parts.into_iter().for_each(|part| queue.put_back(part)),
            Err(error) => {
                queue.give_up(stamp);
                done.has_room = self.release(charged);
                done.finished = Some(Finished::failed(completion, error));
            }
        }
    }
}

/// Whether an error says that another broker may lead, or that this one is not to be reached.
fn is_about_leader(error: &Error) -> bool {
    match error {
        Error::Connection { .. } | Error::Protocol { .. } | Error::Timeout { .. } => true,
        Error::Broker { code, .. } => matches!(
            code,
            ErrorCode::NotLeaderOrFollower
                | ErrorCode::LeaderNotAvailable
                | ErrorCode::UnknownTopicOrPartition
                | ErrorCode::UnknownTopicId
                | ErrorCode::InconsistentTopicId
                | ErrorCode::FencedLeaderEpoch
                | ErrorCode::UnknownLeaderEpoch
                | ErrorCode::ReplicaNotAvailable
                | ErrorCode::KafkaStorageError
                | ErrorCode::NetworkException
        ),
        _ => false,
    }
}
