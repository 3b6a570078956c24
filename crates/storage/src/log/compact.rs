//! What compaction sees of a log, and the one thing that it changes: the list of segments.

use std::sync::Arc;

use milena_protocol::Offset;

use super::Log;
use crate::{
    compaction::{Bounds, Cleanable, Facts, cleanable},
    directory::Shared,
    error::StorageError,
    names::FileKind,
    segment::{Segment, scan::Scanner},
};

/// A segment to which nothing is written any more, and where the next one begins.
#[derive(Debug)]
pub(crate) struct Finished {
    pub segment: Arc<Segment>,
    pub next_base: Offset,
}

impl Log {
    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The segments at the log's start that are whole in their files; `None` once it is closed.
    pub(crate) fn finished_segments(&self) -> Option<Vec<Finished>> {
        let state = self.lock();
        if state.closed {
            return None;
        }
        let segments = self.segments.load();
        let written = self.written_end();
        let pairs = segments.iter().zip(segments.iter().skip(1));
        let finished = pairs
            .map(|(segment, next)| (segment, next.base_offset()))
            .take_while(|(segment, next_base)| segment.is_finished() && *next_base <= written)
            .map(|(segment, next_base)| Finished { segment: Arc::clone(segment), next_base });
        Some(finished.collect())
    }

    /// How much of the log could be compacted, given how far it is replicated.
    pub(crate) fn cleanable(&self, high_watermark: Offset) -> Option<Cleanable> {
        let last_stable = self.last_stable_offset(high_watermark);
        let finished = self.finished_segments()?;
        let facts: Vec<Facts> = finished
            .iter()
            .map(|Finished { segment, next_base }| Facts {
                base: segment.base_offset(),
                next_base: *next_base,
                bytes: segment.written(),
                max_timestamp: segment.max_timestamp().timestamp,
            })
            .collect();
        let bounds = Bounds {
            start: self.start_offset(),
            end: self.appended_end(),
            last_stable,
            cleaned: self.shared.cleaned.get(&self.name),
            now_ms: self.shared.clock.now_ms(),
            min_lag_ms: self.config().min_compaction_lag_ms,
        };
        Some(cleanable(&facts, &bounds))
    }

    /// Whether a record has waited for longer than `max.compaction.lag.ms`, as the first batch of
    /// each dirty segment tells.
    pub(crate) fn is_compaction_overdue(&self, first_dirty: Offset) -> Result<bool, StorageError> {
        let lag_ms = self.config().max_compaction_lag_ms.max(0);
        let oldest_ms = self.shared.clock.now_ms().saturating_sub(lag_ms);
        if oldest_ms <= 0 {
            return Ok(false);
        }
        for Finished { segment, next_base } in self.finished_segments().unwrap_or_default() {
            if next_base <= first_dirty || segment.written() == 0 {
                continue;
            }
            let open = self.shared.files.get(&segment)?;
            let mut scanner = Scanner::headers(&open.file, 0, segment.written());
            let path = || segment.path(FileKind::Log);
            let first = scanner.next().map_err(|e| StorageError::io("read", &path())(e))?;
            if first.is_ok_and(|batch| (1..oldest_ms).contains(&batch.max_timestamp)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Lets readers see `new` where `old` were.
    pub(crate) fn replace_segments(&self, old: &[Arc<Segment>], new: &Arc<Segment>) {
        let _state = self.lock();
        let segments = self.segments.load();
        let is_first = |s: &Arc<Segment>| old.first().is_some_and(|first| Arc::ptr_eq(first, s));
        let at = segments.iter().position(is_first);
        let mut replaced = Vec::clone(&segments);
        let at = at.filter(|at| {
            let there = segments.get(*at..at + old.len()).unwrap_or_default();
            there.len() == old.len() && there.iter().zip(old).all(|(a, b)| Arc::ptr_eq(a, b))
        });
        assert!(at.is_some(), "nobody takes segments away in compaction's turn");
        let at = at.unwrap_or_default();
        replaced.splice(at..at + old.len(), [Arc::clone(new)]);
        self.segments.store(Arc::new(replaced));
    }
}
