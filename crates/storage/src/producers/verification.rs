//! Verification of transactions (KIP-890): the first batch that a transaction has here is appended
//! only if the transaction's coordinator has said that this partition is part of it, and nothing
//! has ended the transaction since the question was asked.
//!
//! Whoever asks is given a [`VerificationGuard`] before, and shows it with the batch. A marker that
//! comes in between makes it worthless. Nothing of this is kept on disk: a producer that is refused
//! asks again.

use std::sync::Arc;

use milena_protocol::{ProducerEpoch, ProducerId, records::BatchHeader};

use super::{ProducerEntry, ProducerStates, SequenceError};

/// One question to a coordinator; it equals nothing but itself and its clones.
#[derive(Clone, Debug)]
pub struct VerificationGuard(Arc<()>);

impl VerificationGuard {
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// What a transactional batch has to show if it begins a transaction.
#[derive(Clone, Copy, Debug)]
pub enum Proof<'a> {
    /// Nothing: nobody verifies.
    NotAsked,
    /// A guard, and it has none: a transaction was open when it was looked for one.
    None,
    Guard(&'a VerificationGuard),
}

/// The batch for which a coordinator is about to be asked.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    /// Of its first record; -1 where a coordinator writes it.
    pub base_sequence: i32,
    /// Whether the coordinator adds the partition to the transaction by being asked, as it does
    /// for producers that get a new epoch with each transaction.
    pub adds: bool,
}

/// A question that is under way, or whose batch has not come yet.
#[derive(Clone, Debug)]
pub(super) struct Verifying {
    guard: VerificationGuard,
    since_ms: i64,
    epoch: ProducerEpoch,
    /// Batches behind it have to wait for the one that has it.
    lowest_sequence: i32,
    adds: bool,
}

impl Verifying {
    pub(super) const fn is_expired(&self, now_ms: i64, expiration_ms: i64) -> bool {
        now_ms.saturating_sub(self.since_ms) >= expiration_ms
    }

    /// Whether it is about the transaction after the one that a marker of this epoch ends.
    pub(super) fn outlives(&self, marker: ProducerEpoch) -> bool {
        self.adds && self.epoch == marker
    }

    fn renew(&mut self, claim: &Claim) {
        if claim.producer_epoch > self.epoch {
            (self.epoch, self.lowest_sequence) = (claim.producer_epoch, claim.base_sequence);
        } else if claim.producer_epoch == self.epoch {
            self.lowest_sequence = self.lowest_sequence.min(claim.base_sequence);
        }
    }

    /// The sequence with which the producer has to begin, if this batch begins further on.
    fn expects(&self, header: &BatchHeader, entry: Option<&ProducerEntry>) -> Option<i32> {
        let sequence = header.base_sequence;
        let is_new = entry.is_none_or(|entry| entry.batches().is_empty());
        if self.adds && is_new && sequence != 0 {
            return Some(0);
        }
        // A batch from before what is known here is late, and none of these has to wait for it.
        let known = entry.filter(|entry| entry.epoch == header.producer_epoch);
        let next = known.and_then(|entry| entry.next_sequence(entry.epoch));
        let lowest = self.lowest_sequence.max(next.unwrap_or(0));
        (sequence > lowest).then_some(lowest)
    }
}

impl ProducerStates {
    /// Begins to verify that a transaction has this partition; `None` where it has written here
    /// already, so that nobody needs to be asked.
    pub fn begin_verification(
        &mut self,
        claim: &Claim,
        now_ms: i64,
    ) -> Result<Option<VerificationGuard>, SequenceError> {
        let (producer_id, epoch) = (claim.producer_id, claim.producer_epoch);
        if let Some(entry) = self.get(producer_id) {
            entry.check_epoch(producer_id, epoch, 0)?;
            if entry.has_open(epoch) {
                return Ok(None);
            }
        }
        let known = &mut self.table.get_or_insert_default().verifying;
        let verifying = known.entry(producer_id).or_insert_with(|| Verifying {
            guard: VerificationGuard(Arc::new(())),
            since_ms: now_ms,
            epoch,
            lowest_sequence: claim.base_sequence,
            adds: claim.adds,
        });
        verifying.renew(claim);
        Ok(Some(verifying.guard.clone()))
    }

    /// Whether a producer may write to a transaction here, and begin it if none is open.
    pub fn check_transaction(
        &self,
        producer_id: ProducerId,
        epoch: ProducerEpoch,
        proof: Proof<'_>,
    ) -> Result<(), SequenceError> {
        if let Some(entry) = self.get(producer_id) {
            entry.check_epoch(producer_id, epoch, 0)?;
            if entry.has_open(epoch) {
                return Ok(());
            }
        }
        let is_proven = match (proof, self.verifying(producer_id)) {
            (Proof::NotAsked, _) => true,
            (Proof::Guard(shown), Some(known)) => known.guard.is(shown),
            (Proof::None | Proof::Guard(_), _) => false,
        };
        if is_proven { Ok(()) } else { Err(SequenceError::NotInTransaction { producer_id }) }
    }

    /// Whether a producer's batch comes before those that are being verified.
    pub(super) fn check_turn(&self, header: &BatchHeader) -> Result<(), SequenceError> {
        let producer_id = header.producer_id;
        let verifying = self.verifying(producer_id);
        match verifying.and_then(|it| it.expects(header, self.get(producer_id))) {
            Some(expected) => {
                let got = header.base_sequence;
                Err(SequenceError::OutOfOrderSequence { producer_id, expected, got })
            }
            None => Ok(()),
        }
    }

    fn verifying(&self, producer_id: ProducerId) -> Option<&Verifying> {
        self.table.as_ref()?.verifying.get(&producer_id)
    }
}
