//! Looking records up by time, for ListOffsets.

use std::sync::Arc;

use milena_protocol::{
    LeaderEpoch, Offset,
    records::{Batch, BatchHeader, Budget, LegacyMessage, Record, Scratch},
};

use super::{
    Log, Segments,
    read::{Limit, ReadError, find},
};
use crate::{error::StorageError, names::FileKind, segment::scan::Scanner};

/// A record's time and place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampedOffset {
    pub timestamp: i64,
    pub offset: Offset,
    pub epoch: LeaderEpoch,
}

impl Log {
    /// The first record below `bound` whose timestamp is at least `timestamp`.
    pub fn offset_for_timestamp(
        &self,
        timestamp: i64,
        bound: Offset,
    ) -> Result<Option<TimestampedOffset>, ReadError> {
        self.first_record(bound, timestamp, |max| max >= timestamp)
    }

    /// The first record below `bound` that has the greatest timestamp of all.
    pub fn max_timestamp(&self, bound: Offset) -> Result<Option<TimestampedOffset>, ReadError> {
        let segments = self.segments.load_full();
        let in_files = segments.iter().map(|s| s.max_timestamp().timestamp).max().unwrap_or(-1);
        let mut newest = in_files;
        self.tail.visit_from(Offset::ZERO, |batch| {
            newest = newest.max(batch.max_timestamp);
            true
        });
        if newest < 0 {
            return Ok(None);
        }
        self.first_record(bound, newest, |max| max >= newest)
    }

    /// The first record with at least `timestamp`, in the first batch whose greatest one is wanted.
    fn first_record(
        &self,
        bound: Offset,
        timestamp: i64,
        is_wanted: impl Fn(i64) -> bool,
    ) -> Result<Option<TimestampedOffset>, ReadError> {
        let start = self.start_offset();
        let mut from = loop {
            let segments = self.segments.load_full();
            match self.first_batch_in_files(&segments, start, timestamp, &is_wanted) {
                // Segments were taken away or replaced: the others are to be asked.
                Err(_) if !Arc::ptr_eq(&segments, &self.segments.load()) => {}
                other => break other?,
            }
        };
        if from.is_none() {
            self.tail.visit_from(start, |batch| {
                from = is_wanted(batch.max_timestamp).then_some(batch.base_offset);
                from.is_none()
            });
        }
        let Some(mut from) = from else { return Ok(None) };
        // A batch may hold the timestamp below the log's start only; then the next ones count.
        let mut scratch = Scratch::new();
        while from < bound {
            let limit = Limit { bytes_max: 1, at_least_one: true };
            let bytes = self.read(from.max(start), bound, limit)?;
            let bytes = bytes.read().map_err(StorageError::io("read", &self.folder.path()))?;
            let is_it = |found: &TimestampedOffset| {
                found.timestamp >= timestamp && found.offset >= start && found.offset < bound
            };
            match first_in_batch(&bytes, &mut scratch, is_it) {
                Some((None, next)) => from = next,
                other => return Ok(other.and_then(|(found, _)| found)),
            }
        }
        Ok(None)
    }

    fn first_batch_in_files(
        &self,
        segments: &Segments,
        start: Offset,
        timestamp: i64,
        is_wanted: &impl Fn(i64) -> bool,
    ) -> Result<Option<Offset>, StorageError> {
        for segment in segments {
            let written = segment.written();
            if written == 0 || !is_wanted(segment.max_timestamp().timestamp) {
                continue;
            }
            let open = self.shared.files.get(segment)?;
            let known = open.indexes().times.entries().look_up(timestamp).offset;
            let from = find(&open, segment, known.max(start), written)?;
            let Some(from) = from else { continue };
            let path = segment.path(FileKind::Log);
            let mut scanner = Scanner::headers(&open.file, from.position, written);
            while let Ok(batch) = scanner.next().map_err(StorageError::io("read", &path))? {
                if is_wanted(batch.max_timestamp) && batch.last_offset >= start {
                    return Ok(Some(batch.base_offset()));
                }
            }
        }
        Ok(None)
    }
}

/// The first record that is wanted of the batch at the start of `bytes`, and the offset after the
/// batch; `None` where it cannot be read.
fn first_in_batch(
    bytes: &[u8],
    scratch: &mut Scratch,
    is_wanted: impl Fn(&TimestampedOffset) -> bool,
) -> Option<(Option<TimestampedOffset>, Offset)> {
    let budget = Budget::default();
    let found = |record: Record<'_>, epoch| {
        let (timestamp, offset) = (record.timestamp, record.offset);
        TimestampedOffset { timestamp, offset, epoch }
    };
    if let Ok(batch) = Batch::read(bytes) {
        let BatchHeader { leader_epoch, .. } = *batch.header();
        let records = batch.records(scratch, budget).ok()?.map_while(Result::ok);
        let first = records.map(|record| found(record, leader_epoch)).find(is_wanted);
        return Some((first, batch.header().next_offset()));
    }
    let message = LegacyMessage::read(bytes).ok()?;
    let records = message.records(scratch, budget).ok()?.map_while(Result::ok);
    let first = records.map(|record| found(record, LeaderEpoch::UNKNOWN)).find(is_wanted);
    Some((first, message.offset.next()))
}
