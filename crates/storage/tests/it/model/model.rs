//! The log as the plainest thing there is: a list of the batches that were ever appended and not
//! cut off, and where it starts.

use std::collections::BTreeMap;

use bytes::Bytes;
use milena_protocol::{
    LeaderEpoch, Offset,
    records::{Batch, BatchHeader, Budget, Scratch},
};
use milena_storage::{epochs::EpochCache, index::AbortedTransaction};

/// A batch as it lies in the log.
#[derive(Clone, Debug)]
pub(super) struct ModelBatch {
    pub(super) header: BatchHeader,
    pub(super) bytes: Bytes,
    /// Offset and timestamp of each record.
    pub(super) records: Vec<(Offset, i64)>,
    /// Of a marker: whether it aborts.
    pub(super) aborts: Option<bool>,
}

impl ModelBatch {
    pub(super) fn new(bytes: Bytes) -> Self {
        let batch = Batch::check(&bytes).unwrap();
        let header = *batch.header();
        let mut scratch = Scratch::new();
        let records = batch.records(&mut scratch, Budget::default()).unwrap();
        let records: Vec<_> = records.map(Result::unwrap).collect();
        let aborts = records[0].key.filter(|_| header.attributes.is_control()).map(|k| k[3] == 0);
        let records = records.iter().map(|record| (record.offset, record.timestamp)).collect();
        Self { header, records, aborts, bytes: bytes.clone() }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) start: Offset,
    pub(super) end: Offset,
    /// Also those below the start: a transaction may have begun there.
    pub(super) batches: Vec<ModelBatch>,
    pub(super) epochs: EpochCache,
    /// Where the first segment began at the start and at each kill: what was known of producers
    /// from deleted segments below may be forgotten then, as if it had expired.
    pub(super) known_from: Vec<Offset>,
}

impl Model {
    pub(super) fn new() -> Self {
        let epochs = EpochCache::default();
        let (start, end) = (Offset::ZERO, Offset::ZERO);
        Self { start, end, batches: Vec::new(), epochs, known_from: vec![start] }
    }

    pub(super) fn append(&mut self, batch: ModelBatch) {
        assert!(batch.header.base_offset >= self.end);
        self.epochs.assign(batch.header.leader_epoch, batch.header.base_offset);
        self.end = batch.header.next_offset();
        self.batches.push(batch);
    }

    pub(super) fn truncate(&mut self, to: Offset) {
        if to < self.start {
            self.reset(to);
        } else if to < self.end {
            self.batches.retain(|batch| batch.header.base_offset < to);
            self.epochs.truncate_from_end(to);
            self.end = to;
        }
    }

    pub(super) fn reset(&mut self, start: Offset) {
        *self = Self { start, end: start, ..Self::new() };
    }

    pub(super) fn raise_start(&mut self, start: Offset) {
        if start > self.start {
            self.start = start;
            self.epochs.truncate_from_start(start);
        }
    }

    /// What a new process makes of it: an epoch in which nothing was written is forgotten.
    pub(super) fn reopen(&mut self) {
        self.epochs.truncate_from_end(self.end);
    }

    /// All batches that a reader from `from` may see below `bound`.
    pub(super) fn readable(
        &self,
        from: Offset,
        bound: Offset,
    ) -> impl Iterator<Item = &ModelBatch> {
        let is_readable = move |batch: &&ModelBatch| {
            batch.header.next_offset() > from && batch.header.next_offset() <= bound
        };
        self.batches.iter().filter(is_readable)
    }

    fn records(&self, bound: Offset) -> impl Iterator<Item = (i64, Offset, LeaderEpoch)> {
        let records = self
            .batches
            .iter()
            .flat_map(|batch| batch.records.iter().map(|r| (r.1, r.0, batch.header.leader_epoch)));
        records.filter(move |(_, offset, _)| *offset >= self.start && *offset < bound)
    }

    pub(super) fn at_time(&self, time: i64, bound: Offset) -> Option<(i64, Offset, LeaderEpoch)> {
        self.records(bound).find(|record| record.0 >= time)
    }

    /// The newest record of all, unless it lies beyond the bound.
    pub(super) fn newest(&self, bound: Offset) -> Option<(i64, Offset, LeaderEpoch)> {
        let newest = self.records(self.end).map(|record| record.0).max()?;
        self.records(bound).find(|record| record.0 == newest && newest >= 0)
    }

    /// Whether a record below the start is newer than all that can be read.
    pub(super) fn hides_newest(&self) -> bool {
        let hidden = self.batches.iter().filter(|batch| batch.header.base_offset < self.start);
        let newest = self.records(self.end).map(|record| record.0).max();
        hidden.map(|batch| batch.header.max_timestamp).max() > newest
    }

    /// Every transaction that was aborted, and where those that are open began, as far as the
    /// batches from `from` on tell.
    pub(super) fn transactions(
        &self,
        from: Offset,
    ) -> (Vec<AbortedTransaction>, BTreeMap<i64, Offset>) {
        let (mut aborted, mut open) = (Vec::new(), BTreeMap::new());
        for batch in self.batches.iter().filter(|batch| batch.header.base_offset >= from) {
            let header = &batch.header;
            let (id, offset) = (header.producer_id, header.base_offset);
            if let Some(aborts) = batch.aborts {
                let Some(first_offset) = open.remove(&id.0) else {
                    continue;
                };
                let oldest = open.values().min().copied();
                if aborts {
                    aborted.push(AbortedTransaction {
                        producer_id: id,
                        first_offset,
                        last_offset: offset,
                        last_stable_offset: oldest.unwrap_or(offset.next()),
                    });
                }
            } else if header.attributes.is_transactional() {
                open.entry(id.0).or_insert(offset);
            }
        }
        (aborted, open)
    }

    /// The greatest timestamp among the batches of a segment.
    pub(super) fn newest_within(&self, base: Offset, next_base: Offset) -> i64 {
        let within =
            |b: &&ModelBatch| b.header.base_offset >= base && b.header.base_offset < next_base;
        let times = self.batches.iter().filter(within).map(|b| b.header.max_timestamp);
        times.max().unwrap_or(-1)
    }
}
