//! Letting old records go: by time, by size, and below an offset that somebody named
//! (DeleteRecords).
//!
//! The log's start moves first, through the journal; the files follow behind it, so that a crash
//! in between never leaves a hole.

use std::sync::Arc;

use milena_protocol::Offset;

use super::{Log, Segments, state::State};
use crate::{journal::queue::What, segment::Segment};

impl Log {
    /// Deletes records below `offset`, or below the end where it is greater. The start never
    /// moves back.
    pub fn delete_records(self: &Arc<Self>, offset: Offset) -> Offset {
        let mut state = self.lock();
        let start = offset.min(state.next_offset);
        if start > self.start_offset() && !state.closed {
            self.raise_start(&mut state, start);
        }
        self.start_offset()
    }

    /// Deletes segments that are older or larger together than the topic allows, below `bound`
    /// (the high watermark). Says how many.
    pub fn apply_retention(self: &Arc<Self>, bound: Offset) -> usize {
        let config = self.config();
        if !config.delete {
            return 0;
        }
        let now_ms = self.shared.clock.now_ms();
        self.prove_dates(now_ms);
        let mut state = self.lock();
        if state.closed {
            return 0;
        }
        self.roll_if_expired(&mut state, now_ms);
        let segments = self.segments.load_full();
        let total: u64 = segments.iter().map(|s| s.written()).sum();
        let mut surplus = match u64::try_from(config.retention_bytes) {
            Ok(max) => total.saturating_sub(max),
            Err(_) => 0,
        };
        let mut start = self.start_offset();
        let mut deleted = 0;
        // The last segment stays: somebody appends to it.
        for (segment, next) in segments.iter().zip(segments.iter().skip(1)) {
            let is_too_much = surplus > 0 && surplus >= segment.written();
            let is_old = config.retention_ms >= 0
                && now_ms.saturating_sub(time_of(segment, now_ms)) > config.retention_ms;
            if next.base_offset() > bound || !(is_too_much || is_old) {
                break;
            }
            surplus = surplus.saturating_sub(segment.written());
            start = start.max(next.base_offset());
            deleted += 1;
        }
        let is_left = segments.get(1).is_some_and(|next| next.base_offset() <= start);
        if deleted > 0 || is_left {
            self.raise_start(&mut state, start);
        }
        deleted
    }

    /// Opens segments that seem too old, whereby a rotten time index shows: nothing is deleted on
    /// its word alone.
    fn prove_dates(&self, now_ms: i64) {
        let retention_ms = self.config().retention_ms;
        let is_old = |segment: &&Arc<Segment>| {
            retention_ms >= 0
                && segment.is_finished()
                && now_ms.saturating_sub(time_of(segment, now_ms)) > retention_ms
        };
        for segment in self.segments.load().iter().take_while(is_old) {
            // One that cannot be opened may just have been taken away.
            drop(self.shared.files.get(segment));
        }
    }

    /// Forgets producers that were silent for `producer.id.expiration.ms`.
    pub fn expire_producers(&self) -> usize {
        let expiration_ms = self.config().producer_id_expiration_ms;
        let now_ms = self.shared.clock.now_ms();
        self.lock().producers.expire(now_ms, expiration_ms)
    }

    /// An active segment whose records are all too old is finished, so that it can go too.
    fn roll_if_expired(self: &Arc<Self>, state: &mut State, now_ms: i64) {
        let retention_ms = self.config().retention_ms;
        let newest = state.active.max.timestamp;
        let is_old =
            retention_ms >= 0 && newest >= 0 && now_ms.saturating_sub(newest) > retention_ms;
        if is_old && state.active.size > 0 && self.written_end() == state.next_offset {
            let next_offset = state.next_offset;
            self.roll(state, next_offset, now_ms);
        }
    }

    /// Lets segments go that compaction kept while the start was raised beyond them.
    pub(crate) fn remove_below_start(self: &Arc<Self>) {
        let mut state = self.lock();
        let start = self.start_offset();
        let is_left = |next: &Arc<Segment>| next.base_offset() <= start;
        if !state.closed && self.segments.load().get(1).is_some_and(is_left) {
            self.raise_start(&mut state, start);
        }
    }

    /// Moves the start, and takes segments out of the view that lie wholly below it.
    fn raise_start(self: &Arc<Self>, state: &mut State, start: Offset) {
        self.ends.raise_start(start);
        let segments = self.segments.load_full();
        // Compaction may be giving other files their names; it lets them go when it is done.
        let alone = self.compaction.try_take();
        let below = segments.iter().skip(1).take_while(|next| next.base_offset() <= start).count();
        let gone = if alone.is_some() { below } else { 0 };
        let (removed, stay) = segments.split_at_checked(gone).unwrap_or((&[], &segments));
        let removed: Segments = removed.to_vec();
        if gone > 0 {
            self.segments.store(Arc::new(stay.to_vec()));
        }
        state.epochs_changed |= state.epochs.truncate_from_start(start);
        state.producers.raise_log_start(start);
        self.enqueue(What::LogStart { offset: start, removed });
    }
}

/// By which a segment is dated: its records' greatest timestamp. One without any stays.
fn time_of(segment: &Segment, now_ms: i64) -> i64 {
    let newest = segment.max_timestamp().timestamp;
    if newest >= 0 { newest } else { now_ms }
}
