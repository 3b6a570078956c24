//! Who an idempotent producer is to the brokers, and which sequences it gives to batches.
//!
//! A broker stores a batch only if its sequence follows the last one of that producer and epoch.
//! So order is kept and nothing is stored twice, as long as sequences are given once. If a batch
//! is given up, what follows it can only be stored under another epoch, where sequences begin
//! anew; that is done when nothing of the old epoch can still arrive.

use milena_protocol::ProducerEpoch;

use super::{Accumulator, Rules, queue::Queue};
use crate::producer::batch::{Identity, Place, Stamp, next_sequence};

/// What is known of who this producer is.
#[derive(Debug)]
pub(in crate::producer) enum Identification {
    /// Nobody wants to know.
    Needless,
    /// A broker has to be asked.
    Missing,
    Known(Identity),
}

impl Identification {
    pub(super) fn new(rules: &Rules) -> Self {
        if rules.is_idempotent { Self::Missing } else { Self::Needless }
    }

    pub(super) fn known(&self) -> Option<Identity> {
        match self {
            Self::Known(identity) => Some(*identity),
            _ => None,
        }
    }
}

impl Accumulator {
    /// A broker has said who this producer is.
    pub(in crate::producer) fn identify(&mut self, identity: Identity) {
        self.identification = Identification::Known(identity);
    }

    /// Whether the first batch of a queue may be sent now as far as sequences go; it has one then.
    /// None if the queue has to wait for answers, or for an identity.
    pub(super) fn stamp_first(&mut self, place: Place) -> Option<()> {
        if matches!(self.identification, Identification::Needless) {
            return Some(());
        }
        let current = self.identification.known()?;
        let queue = self.queue(place)?;
        let starts_anew = queue.is_reset && queue.in_flight.is_empty();
        let current = match starts_anew && queue.identity == Some(current) {
            // The end of the transaction brings another epoch.
            true if self.rules.is_transactional => return None,
            true => self.bump_epoch(current)?,
            false => current,
        };
        let is_transactional = self.rules.is_transactional;
        let queue = self.queue_mut(place)?;
        if starts_anew {
            queue.begin_anew(current);
        }
        if queue.is_reset {
            return None;
        }
        let oldest = queue.in_flight.front().map(|(order, _)| *order);
        let first = queue.waiting.front()?;
        if first.stamp.is_some() {
            // It failed before. What was sent behind it cannot be stored before it is.
            return oldest.is_none_or(|oldest| first.order < oldest).then_some(());
        }
        if queue.has_gap {
            return None;
        }
        if queue.identity != Some(current) {
            // Batches of the old identity are waited for: they keep their sequences.
            if !queue.in_flight.is_empty() {
                return None;
            }
            queue.begin_anew(current);
        }
        let sequence = queue.next_sequence;
        let first = queue.waiting.front_mut()?;
        first.set_stamp(Stamp { identity: current, sequence, is_transactional });
        queue.next_sequence = next_sequence(sequence, first.count);
        Some(())
    }

    /// The same producer under the next epoch, as Kafka's own idempotent producers do it by
    /// themselves. If there is no next one, a broker is asked for another id.
    fn bump_epoch(&mut self, old: Identity) -> Option<Identity> {
        match old.epoch.0.checked_add(1) {
            Some(epoch) => {
                let next = Identity { epoch: ProducerEpoch(epoch), ..old };
                self.identification = Identification::Known(next);
                Some(next)
            }
            None => {
                self.identification = Identification::Missing;
                None
            }
        }
    }
}

impl Queue {
    /// Sequences begin at 0, also those of batches that are to be sent again.
    fn begin_anew(&mut self, identity: Identity) {
        self.identity = Some(identity);
        (self.next_sequence, self.acknowledged) = (0, 0);
        (self.has_gap, self.is_reset) = (false, false);
        for batch in &mut self.waiting {
            if let Some(stamp) = batch.stamp {
                batch.set_stamp(Stamp { identity, sequence: self.next_sequence, ..stamp });
                self.next_sequence = next_sequence(self.next_sequence, batch.count);
            }
        }
    }

    /// A batch was given up that may have been sent: what follows it has to be told from it.
    pub(super) fn give_up(&mut self, stamp: Option<Stamp>) {
        self.has_gap |= stamp.is_some_and(|stamp| Some(stamp.identity) == self.identity);
    }

    /// When all that had sequences is done with, a gap is closed: either what came behind it was
    /// stored, so that it was stored too, or sequences begin anew.
    pub(super) fn settle_gap(&mut self) {
        let is_pending = self.waiting.front().is_some_and(|batch| batch.stamp.is_some());
        if self.has_gap && self.in_flight.is_empty() && !is_pending {
            self.has_gap = false;
            self.is_reset = self.acknowledged != self.next_sequence;
        }
    }
}
