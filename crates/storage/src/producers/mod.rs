//! What a partition's log knows of its idempotent and transactional producers.
//!
//! A batch is checked before it is appended and taken in afterwards; both only change memory. From
//! this follow the answers to retries, the refusal of gaps and of fenced producers, and how far
//! transactions are decided (the first unstable offset). The rules are those of Kafka's
//! `ProducerStateManager`; `verification` keeps late batches out of transactions that have ended.
//!
//! It never reads a file: snapshots come and go as bytes, and after a truncation that is deeper
//! than memory reaches it asks to be loaded anew ([`Truncation::Reload`]). Entries live until
//! [`ProducerStates::expire`] removes them; a partition without producers costs 16 bytes.

mod entry;
mod error;
mod snapshot;
#[cfg(test)]
mod test;
mod verification;

use std::collections::BTreeMap;

use milena_protocol::{Offset, ProducerEpoch, ProducerId, records::BatchHeader};

pub use entry::{BATCHES_KEPT, ProducedBatch, ProducerEntry};
pub use error::SequenceError;
pub use snapshot::SnapshotError;
pub use verification::{Claim, Proof, VerificationGuard};

use self::verification::Verifying;
use crate::index::AbortedTransaction;

/// Who appends, and thus what has to be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A producer: everything.
    Client,
    /// A group or transaction coordinator, whose batches count no sequences.
    Coordinator,
    /// A transaction coordinator that ends a transaction: the version that its request names.
    Marker { transaction_version: i16 },
    /// A leader's log or our own: nothing, it was checked when it was written.
    Replication,
}

/// What is to become of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is to be appended.
    New,
    /// It has been before; the answer is what it was then.
    Duplicate { base_offset: Offset, last_offset: Offset, timestamp: i64 },
}

/// A control record that ends a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    /// Of the transaction coordinator that wrote it.
    pub coordinator_epoch: i32,
    pub is_abort: bool,
    pub offset: Offset,
    pub timestamp: i64,
}

/// A transaction whose marker was appended. An aborted one belongs into the transaction index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompletedTransaction {
    pub producer_id: ProducerId,
    pub first_offset: Offset,
    /// The marker's.
    pub last_offset: Offset,
    /// Where the oldest transaction begins that is still open, or else the offset after the
    /// marker.
    pub last_stable_offset: Offset,
    pub is_abort: bool,
}

impl CompletedTransaction {
    /// What the transaction index keeps of it; nothing of one that was committed.
    #[must_use]
    pub fn aborted(&self) -> Option<AbortedTransaction> {
        self.is_abort.then_some(AbortedTransaction {
            producer_id: self.producer_id,
            first_offset: self.first_offset,
            last_offset: self.last_offset,
            last_stable_offset: self.last_stable_offset,
        })
    }
}

/// Whether memory reached back far enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truncation {
    /// Everything is as it was at that offset (of each producer's last batches there may be
    /// fewer than five).
    Exact,
    /// Everything is forgotten: load a snapshot at or below the offset, then the log from there.
    Reload,
}

/// The producers of one partition.
#[derive(Clone, Debug)]
pub struct ProducerStates {
    end_offset: Offset,
    /// Most partitions have no producer to remember.
    table: Option<Box<Table>>,
}

#[derive(Clone, Debug)]
struct Table {
    /// In the order of ids. New producers have the highest id, so they go to the end.
    producers: Vec<(ProducerId, Box<ProducerEntry>)>,
    /// Open transactions by their first offset, which is the order in which they began.
    open: Vec<(Offset, ProducerId)>,
    /// First and last offset of decided transactions whose marker is not below the high
    /// watermark; in the order of last offsets.
    unreplicated: Vec<(Offset, Offset)>,
    /// Producers whose next transaction is being verified.
    verifying: BTreeMap<ProducerId, Verifying>,
    /// What happened before this offset came from a snapshot, without its history.
    loaded_at: Offset,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            producers: Vec::new(),
            open: Vec::new(),
            unreplicated: Vec::new(),
            verifying: BTreeMap::new(),
            loaded_at: Offset::ZERO,
        }
    }
}

impl Table {
    fn find(&self, producer_id: ProducerId) -> Result<usize, usize> {
        self.producers.binary_search_by_key(&producer_id, |producer| producer.0)
    }

    fn get(&self, producer_id: ProducerId) -> Option<&ProducerEntry> {
        let at = self.find(producer_id).ok()?;
        self.producers.get(at).map(|producer| producer.1.as_ref())
    }

    /// Lets `change` have the producer's entry, which is made where there is none.
    fn with_entry<R>(
        &mut self,
        producer_id: ProducerId,
        offset: Offset,
        change: impl FnOnce(&mut ProducerEntry) -> R,
    ) -> R {
        if let Ok(at) = self.find(producer_id)
            && let Some((_, entry)) = self.producers.get_mut(at)
        {
            return change(entry);
        }
        let mut entry = Box::new(ProducerEntry::new(offset));
        let result = change(&mut entry);
        let at = self.producers.partition_point(|producer| producer.0 < producer_id);
        self.producers.insert(at, (producer_id, entry));
        result
    }

    fn is_empty(&self) -> bool {
        self.producers.is_empty() && self.unreplicated.is_empty() && self.verifying.is_empty()
    }

    fn can_cut(&self, end: Offset) -> bool {
        end >= self.loaded_at
            && self.unreplicated.last().is_none_or(|decided| decided.1 < end)
            && self.producers.iter().all(|(_, entry)| entry.is_from(end) || entry.can_cut(end))
    }

    fn cut(&mut self, end: Offset) {
        self.verifying.clear();
        self.open.retain(|open| open.0 < end);
        self.producers.retain_mut(|(_, entry)| {
            let stays = !entry.is_from(end);
            if stays {
                entry.cut(end);
            }
            stays
        });
    }
}

impl ProducerStates {
    /// Of a log from which nothing is known before `start`.
    #[must_use]
    pub const fn new(start: Offset) -> Self {
        Self { end_offset: start, table: None }
    }

    /// The offset up to which everything is taken in; a snapshot is named by it.
    #[must_use]
    pub const fn end_offset(&self) -> Offset {
        self.end_offset
    }

    /// The producers that are known, in the order of their ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (ProducerId, &ProducerEntry)> {
        let producers = self.table.as_ref().map(|table| table.producers.as_slice());
        producers.unwrap_or_default().iter().map(|(id, entry)| (*id, entry.as_ref()))
    }

    #[must_use]
    pub fn get(&self, producer_id: ProducerId) -> Option<&ProducerEntry> {
        self.table.as_ref()?.get(producer_id)
    }

    /// Whether any of them ever had a transaction here.
    #[must_use]
    pub fn have_transactions(&self) -> bool {
        let has = |entry: &ProducerEntry| {
            entry.coordinator_epoch >= 0 || entry.open_transaction.is_some()
        };
        self.iter().any(|(_, entry)| has(entry))
    }

    /// What is to become of a batch of data; it may not have its offsets yet. A producer of which
    /// nothing is known may begin with any sequence: what it wrote before may have expired.
    pub fn check(
        &self,
        header: &BatchHeader,
        origin: Origin,
        proof: Proof<'_>,
    ) -> Result<Admission, SequenceError> {
        if origin == Origin::Replication || !header.has_producer_id() {
            return Ok(Admission::New);
        }
        let entry = self.get(header.producer_id);
        if origin == Origin::Client
            && let Some(batch) = entry.and_then(|entry| entry.duplicate_of(header))
        {
            return Ok(Admission::Duplicate {
                base_offset: batch.first_offset(),
                last_offset: batch.last_offset,
                timestamp: batch.timestamp,
            });
        }
        if header.attributes.is_transactional() {
            self.check_transaction(header.producer_id, header.producer_epoch, proof)?;
        }
        if origin == Origin::Client {
            self.check_turn(header)?;
        }
        entry.map_or(Ok(()), |entry| entry.check(header, origin)).map(|()| Admission::New)
    }

    /// Whether this may be the retry of a batch that memory does not reach back to, as after a
    /// restart; then the oldest one that it does.
    #[must_use]
    pub fn has_forgotten(&self, header: &BatchHeader, origin: Origin) -> Option<ProducedBatch> {
        if origin != Origin::Client || !header.has_producer_id() {
            return None;
        }
        self.get(header.producer_id)?.has_forgotten(header)
    }

    /// Remembers the batches before `oldest`, unless the producer has gone on without them.
    pub fn recall(&mut self, header: &BatchHeader, oldest: ProducedBatch, older: &[ProducedBatch]) {
        if let Some(table) = &mut self.table
            && let Ok(at) = table.find(header.producer_id)
            && let Some((_, entry)) = table.producers.get_mut(at)
            && entry.has_forgotten(header) == Some(oldest)
        {
            entry.recall(older);
        }
    }

    /// Whether a marker may be appended; its offset does not matter yet.
    pub fn check_marker(&self, marker: &Marker, origin: Origin) -> Result<(), SequenceError> {
        let Some(entry) = self.get(marker.producer_id) else { return Ok(()) };
        match origin {
            Origin::Replication => Ok(()),
            Origin::Marker { transaction_version } => {
                entry.check_marker(marker, transaction_version)
            }
            // Nobody said by which rules: the strictest.
            Origin::Client | Origin::Coordinator => entry.check_marker(marker, i16::MAX),
        }
    }

    /// Takes in a batch that was appended and has its offsets. Of a control batch only the end
    /// counts: its marker is [`Self::end_transaction`]'s, before this.
    pub fn update(&mut self, header: &BatchHeader) {
        if header.has_producer_id() && !header.attributes.is_control() {
            let (producer_id, first) = (header.producer_id, header.base_offset);
            let table = self.table.get_or_insert_default();
            if header.attributes.is_transactional() {
                table.verifying.remove(&producer_id);
            }
            let begins = table.with_entry(producer_id, first, |entry| entry.append(header));
            if begins {
                table.open.push((first, producer_id));
            }
        }
        self.end_offset = header.next_offset();
    }

    /// Takes in a marker that was appended; `None` where it ended nothing of this partition.
    pub fn end_transaction(&mut self, marker: &Marker) -> Option<CompletedTransaction> {
        let Marker { producer_id, producer_epoch, offset, is_abort, .. } = *marker;
        self.end_offset = self.end_offset.max(offset.next());
        let table = self.table.get_or_insert_default();
        table.verifying.retain(|id, it| *id != producer_id || it.outlives(producer_epoch));
        let ended = table.with_entry(producer_id, offset, |entry| entry.end_transaction(marker));
        let first_offset = ended?;
        table.open.retain(|open| *open != (first_offset, producer_id));
        table.unreplicated.push((first_offset, offset));
        let last_stable_offset = table.open.first().map_or(offset.next(), |oldest| oldest.0);
        Some(CompletedTransaction {
            producer_id,
            first_offset,
            last_offset: offset,
            last_stable_offset,
            is_abort,
        })
    }

    /// Where the oldest transaction begins that is open, or whose marker may still be lost; it
    /// may lie below the log's start. Consumers of committed records see nothing from it on.
    #[must_use]
    pub fn first_unstable_offset(&self) -> Option<Offset> {
        let table = self.table.as_ref()?;
        let open = table.open.first().map(|open| open.0);
        let unreplicated = table.unreplicated.iter().map(|decided| decided.0).min();
        open.into_iter().chain(unreplicated).min()
    }

    /// Transactions whose marker is below the high watermark are decided for good.
    pub fn raise_high_watermark(&mut self, high_watermark: Offset) {
        if let Some(table) = &mut self.table {
            let decided = |txn: &(Offset, Offset)| txn.1 < high_watermark;
            let count = table.unreplicated.partition_point(decided);
            table.unreplicated.drain(..count);
            self.free_if_empty();
        }
    }

    /// After records below `log_start` were deleted. Producers stay known until they expire.
    pub fn raise_log_start(&mut self, log_start: Offset) {
        self.raise_high_watermark(log_start);
        self.end_offset = self.end_offset.max(log_start);
    }

    /// Forgets producers that were silent for `producer.id.expiration.ms`, except while they have
    /// an open transaction; says how many.
    pub fn expire(&mut self, now_ms: i64, expiration_ms: i64) -> usize {
        let Some(table) = &mut self.table else {
            return 0;
        };
        let before = table.producers.len();
        table.producers.retain(|(_, entry)| !entry.is_expired(now_ms, expiration_ms));
        table.verifying.retain(|_, it| !it.is_expired(now_ms, expiration_ms));
        let expired = before - table.producers.len();
        self.free_if_empty();
        expired
    }

    /// Forgets what was at or above `end`, because the log was cut there or the appends failed.
    pub fn truncate_to(&mut self, end: Offset) -> Truncation {
        if end >= self.end_offset {
            return Truncation::Exact;
        }
        match &mut self.table {
            Some(table) if !table.can_cut(end) => {
                *self = Self::new(end);
                return Truncation::Reload;
            }
            Some(table) => table.cut(end),
            None => {}
        }
        self.end_offset = end;
        self.free_if_empty();
        Truncation::Exact
    }

    fn free_if_empty(&mut self) {
        self.table.take_if(|table| table.is_empty());
    }
}
