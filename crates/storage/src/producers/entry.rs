//! One producer as a partition's log knows it.

use milena_protocol::{Offset, ProducerEpoch, ProducerId, records::BatchHeader};

use super::{Marker, Origin, SequenceError};

/// How many batches are remembered, so that a retry of any of them is answered and not appended.
/// Producers have at most as many requests in flight.
pub const BATCHES_KEPT: usize = 5;

/// What is remembered of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducedBatch {
    /// -1 where a coordinator wrote it: those count no sequences.
    pub last_sequence: i32,
    pub last_offset: Offset,
    /// Last offset minus first one; sequences span as much.
    pub offset_delta: i32,
    pub timestamp: i64,
}

impl ProducedBatch {
    pub(super) const NONE: Self =
        Self { last_sequence: -1, last_offset: Offset(-1), offset_delta: 0, timestamp: -1 };

    /// Sequences wrap after `i32::MAX` to 0.
    #[must_use]
    pub fn first_sequence(&self) -> i32 {
        let first = i64::from(self.last_sequence) - i64::from(self.offset_delta);
        first.rem_euclid(1 << 31) as i32
    }

    #[must_use]
    pub const fn first_offset(&self) -> Offset {
        self.last_offset.plus(-(self.offset_delta as i64))
    }
}

/// What is known of one producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerEntry {
    pub epoch: ProducerEpoch,
    /// Of the transaction coordinator that wrote the last marker; -1 where none did.
    pub coordinator_epoch: i32,
    /// Of the last batch or marker; expiry counts from it.
    pub last_timestamp: i64,
    /// Where its open transaction began.
    pub open_transaction: Option<Offset>,
    /// The offset that made this entry, and that of its last marker; -1 where unknown or none.
    created_at: Offset,
    marked_at: Offset,
    /// All of the current epoch, oldest first; `kept` of them, then none.
    batches: [ProducedBatch; BATCHES_KEPT],
    kept: u8,
}

impl ProducerEntry {
    pub(super) const fn new(created_at: Offset) -> Self {
        Self {
            epoch: ProducerEpoch::NONE,
            coordinator_epoch: -1,
            last_timestamp: -1,
            open_transaction: None,
            created_at,
            marked_at: Offset(-1),
            batches: [ProducedBatch::NONE; BATCHES_KEPT],
            kept: 0,
        }
    }

    /// The batches that are remembered, oldest first.
    #[must_use]
    pub fn batches(&self) -> &[ProducedBatch] {
        self.batches.get(..usize::from(self.kept)).unwrap_or_default()
    }

    #[must_use]
    pub fn last_batch(&self) -> Option<ProducedBatch> {
        self.batches().last().copied()
    }

    pub(super) fn duplicate_of(&self, header: &BatchHeader) -> Option<ProducedBatch> {
        let (first, last) = (header.base_sequence, header.last_sequence());
        let is_same =
            |batch: &&ProducedBatch| batch.first_sequence() == first && batch.last_sequence == last;
        let is_current = header.producer_epoch == self.epoch;
        self.batches().iter().find(is_same).copied().filter(|_| is_current)
    }

    /// The oldest batch that is remembered, where there was one before it that this may be.
    pub(super) fn has_forgotten(&self, header: &BatchHeader) -> Option<ProducedBatch> {
        let oldest = *self.batches().first()?;
        let is_older = header.base_sequence < oldest.first_sequence();
        let is_short = usize::from(self.kept) < BATCHES_KEPT;
        (is_short && is_older && header.producer_epoch == self.epoch).then_some(oldest)
    }

    /// Remembers batches that came before those that it does.
    pub(super) fn recall(&mut self, older: &[ProducedBatch]) {
        let known = self.batches().to_vec();
        self.kept = 0;
        older.iter().chain(&known).for_each(|batch| self.push(*batch));
    }

    pub(super) fn check(&self, header: &BatchHeader, origin: Origin) -> Result<(), SequenceError> {
        let producer_id = header.producer_id;
        self.check_epoch(producer_id, header.producer_epoch, 0)?;
        if origin == Origin::Client {
            let expected = self.next_sequence(header.producer_epoch);
            let got = header.base_sequence;
            if expected.is_some_and(|expected| expected != got) {
                let expected = expected.unwrap_or_default();
                return Err(SequenceError::OutOfOrderSequence { producer_id, expected, got });
            }
        }
        match self.open_transaction {
            Some(first_offset) if !header.attributes.is_transactional() => {
                Err(SequenceError::InvalidTransactionState { producer_id, first_offset })
            }
            _ => Ok(()),
        }
    }

    /// The sequence with which a batch of `epoch` has to begin; `None` where any will do.
    pub(super) fn next_sequence(&self, epoch: ProducerEpoch) -> Option<i32> {
        if self.epoch == ProducerEpoch::NONE {
            return None;
        }
        let last = self.last_batch().filter(|_| epoch == self.epoch);
        Some(last.map_or(0, |last| last.last_sequence.checked_add(1).unwrap_or(0)))
    }

    pub(super) fn check_marker(
        &self,
        marker: &Marker,
        transaction_version: i16,
    ) -> Result<(), SequenceError> {
        let Marker { producer_id, coordinator_epoch: got, .. } = *marker;
        // Since version 2 a coordinator raises the epoch before every marker, unless there is no
        // higher one: a marker of the known epoch that finds a transaction open is late, and
        // would end one that it knows nothing of. Where none is open it is a harmless repetition.
        let is_late = transaction_version >= 2
            && self.open_transaction.is_some()
            && marker.producer_epoch.0 < i16::MAX;
        let raise = i32::from(is_late);
        self.check_epoch(producer_id, marker.producer_epoch, raise)?;
        let known = self.coordinator_epoch;
        if got < known {
            return Err(SequenceError::CoordinatorFenced { producer_id, known, got });
        }
        Ok(())
    }

    /// Whether a transaction of this epoch is open.
    pub(super) fn has_open(&self, epoch: ProducerEpoch) -> bool {
        self.open_transaction.is_some() && self.epoch == epoch
    }

    pub(super) fn check_epoch(
        &self,
        producer_id: ProducerId,
        got: ProducerEpoch,
        raise: i32,
    ) -> Result<(), SequenceError> {
        if i32::from(got.0) < i32::from(self.epoch.0) + raise {
            let known = self.epoch;
            return Err(SequenceError::InvalidProducerEpoch { producer_id, known, got });
        }
        Ok(())
    }

    /// Takes in a batch; says whether it began a transaction.
    pub(super) fn append(&mut self, header: &BatchHeader) -> bool {
        self.set_epoch(header.producer_epoch);
        self.push(ProducedBatch {
            last_sequence: header.last_sequence(),
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta,
            timestamp: header.max_timestamp,
        });
        self.last_timestamp = header.max_timestamp;
        let begins = header.attributes.is_transactional() && self.open_transaction.is_none();
        if begins {
            self.open_transaction = Some(header.base_offset);
        }
        begins
    }

    /// Takes in a marker; says where the transaction began that it ended.
    pub(super) fn end_transaction(&mut self, marker: &Marker) -> Option<Offset> {
        self.set_epoch(marker.producer_epoch);
        self.coordinator_epoch = marker.coordinator_epoch;
        self.last_timestamp = marker.timestamp;
        self.marked_at = marker.offset;
        self.open_transaction.take()
    }

    /// Sequences begin anew with each epoch.
    const fn set_epoch(&mut self, epoch: ProducerEpoch) {
        if self.epoch.0 != epoch.0 {
            self.epoch = epoch;
            self.batches = [ProducedBatch::NONE; BATCHES_KEPT];
            self.kept = 0;
        }
    }

    pub(super) fn push(&mut self, batch: ProducedBatch) {
        if usize::from(self.kept) == BATCHES_KEPT {
            self.batches.rotate_left(1);
            self.kept -= 1;
        }
        if let Some(free) = self.batches.get_mut(usize::from(self.kept)) {
            *free = batch;
            self.kept += 1;
        }
    }

    pub(super) const fn is_expired(&self, now_ms: i64, expiration_ms: i64) -> bool {
        self.open_transaction.is_none()
            && now_ms.saturating_sub(self.last_timestamp) >= expiration_ms
    }

    /// Whether this entry came to be at or after `end`.
    pub(super) fn is_from(&self, end: Offset) -> bool {
        self.created_at >= end
    }

    /// Whether what it was before `end` can be told from what is remembered: there was no marker
    /// since, and a batch of the same epoch is left.
    pub(super) fn can_cut(&self, end: Offset) -> bool {
        let is_below = |batch: &ProducedBatch| batch.last_offset < end;
        let is_untouched = self.last_batch().is_none_or(|last| is_below(&last));
        self.marked_at < end && (is_untouched || self.batches().first().is_some_and(is_below))
    }

    /// Forgets what is at or above `end`.
    pub(super) fn cut(&mut self, end: Offset) {
        while let Some(last) = self.last_batch()
            && last.last_offset >= end
        {
            self.kept -= 1;
            if let Some(free) = self.batches.get_mut(usize::from(self.kept)) {
                *free = ProducedBatch::NONE;
            }
            self.last_timestamp = self.last_batch().map_or(-1, |last| last.timestamp);
        }
        self.open_transaction = self.open_transaction.filter(|first| *first < end);
    }
}
