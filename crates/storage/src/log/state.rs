//! What an append decides by: the next offset, epochs, producers, and where the active segment
//! stands. Changed under the partition's lock, in memory alone.

use std::sync::Arc;

use milena_protocol::Offset;

use super::tail::TailEnd;
use crate::{
    config::LogConfig,
    epochs::EpochCache,
    producers::ProducerStates,
    segment::{MaxTimestamp, Segment},
};

/// Bytes of an entry of the offset and of the time index.
const OFFSET_ENTRY_LEN: u64 = 8;
const TIME_ENTRY_LEN: u64 = 12;

#[derive(Debug)]
pub(super) struct State {
    pub next_offset: Offset,
    pub epochs: EpochCache,
    pub producers: ProducerStates,
    pub active: Active,
    pub tail_end: TailEnd,
    /// Counts truncations, so that what was queued before one is not taken for what came after.
    pub incarnation: u32,
    /// The epochs changed since `leader-epoch-checkpoint` was written.
    pub epochs_changed: bool,
    /// The latest epoch has no record yet, and the file does not say it.
    pub epoch_announced: bool,
    /// Appends are refused.
    pub closed: bool,
    /// The partition is no longer this directory's: nothing of it is saved any more.
    pub left: bool,
}

/// The segment that batches are appended to, as it will be once all of them are written.
#[derive(Debug)]
pub(super) struct Active {
    pub segment: Arc<Segment>,
    pub size: u64,
    /// Bytes since the last entry in the sparse indexes.
    pub since_entry: u64,
    /// How many entries the indexes have at most.
    pub entries: u64,
    /// The first batch's timestamp, from which `segment.ms` counts where there is one.
    pub first_timestamp: Option<i64>,
    pub created_ms: i64,
    /// By how much this segment rolls earlier than `segment.ms` says.
    pub jitter_ms: i64,
    pub max: MaxTimestamp,
}

/// A batch that is about to be appended, as far as segments care.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incoming {
    pub size: u64,
    pub last_offset: Offset,
    pub max_timestamp: i64,
    pub now_ms: i64,
}

impl Active {
    pub(super) fn new(segment: Arc<Segment>, now_ms: i64, config: &LogConfig) -> Self {
        let base_offset = segment.base_offset();
        Self {
            segment,
            size: 0,
            since_entry: 0,
            entries: 0,
            first_timestamp: None,
            created_ms: now_ms,
            jitter_ms: jitter(base_offset, now_ms, config.segment_jitter_ms),
            max: MaxTimestamp::none(base_offset),
        }
    }

    /// Whether this batch must go to a new segment.
    pub(super) fn must_roll(&self, batch: &Incoming, config: &LogConfig) -> bool {
        if self.size == 0 {
            return !self.reaches(batch.last_offset);
        }
        let index_is_full = (self.entries + 1) * OFFSET_ENTRY_LEN
            > u64::from(config.segment_index_bytes)
            || (self.entries + 2) * TIME_ENTRY_LEN > u64::from(config.segment_index_bytes);
        self.size + batch.size > u64::from(config.segment_bytes)
            || self.is_old(batch.max_timestamp, batch.now_ms, config)
            || index_is_full
            || !self.reaches(batch.last_offset)
    }

    /// Whether `segment.ms` has passed: by the records' own time where they have one.
    fn is_old(&self, max_timestamp: i64, now_ms: i64, config: &LogConfig) -> bool {
        let age = match self.first_timestamp {
            Some(first) if max_timestamp >= 0 => max_timestamp.saturating_sub(first),
            _ => now_ms.saturating_sub(self.created_ms),
        };
        let mut segment_ms = config.segment_ms;
        if config.compact && config.max_compaction_lag_ms > 0 {
            // The active segment is never compacted: it must not outlast what compaction may wait.
            segment_ms = segment_ms.min(config.max_compaction_lag_ms);
        }
        age > segment_ms.saturating_sub(self.jitter_ms)
    }

    /// Whether an index can say an offset relative to this segment.
    fn reaches(&self, offset: Offset) -> bool {
        i32::try_from(offset.0 - self.segment.base_offset().0).is_ok()
    }

    /// Takes a batch in; says whether the sparse indexes get an entry for it.
    pub(super) fn take(&mut self, batch: &Incoming, config: &LogConfig) -> bool {
        self.max.include(batch.max_timestamp, batch.last_offset);
        if self.first_timestamp.is_none() && batch.max_timestamp >= 0 {
            self.first_timestamp = Some(batch.max_timestamp);
        }
        let indexed = self.since_entry > u64::from(config.index_interval_bytes);
        if indexed {
            self.since_entry = 0;
            self.entries += 1;
        }
        self.since_entry += batch.size;
        self.size += batch.size;
        indexed
    }
}

/// Spreads the rolls of many partitions; the same for the same segment, so that a test can know.
fn jitter(base_offset: Offset, now_ms: i64, max_ms: i64) -> i64 {
    if max_ms <= 0 {
        return 0;
    }
    let mixed = (base_offset.0 ^ now_ms.rotate_left(17)).wrapping_mul(0x5851_f42d_4c95_7f2d);
    (mixed >> 16).rem_euclid(max_ms)
}
