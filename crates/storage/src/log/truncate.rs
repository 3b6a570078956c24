//! Cutting a log: at an offset where replicas diverged, or as a whole to begin anew.
//!
//! Both first let the journal's writer finish what is queued, so that there is one truth to cut.
//! The files follow when the journal has made the cut durable.

use std::sync::{Arc, MutexGuard};

use milena_protocol::Offset;

use super::{
    Log, Segments,
    read::find,
    rebuild::Rebuild,
    state::{Active, State},
};
use crate::{
    error::StorageError,
    journal::queue::What,
    producers::{ProducerStates, Truncation},
    segment::Segment,
};

impl Log {
    /// Cuts everything from `to` on; says whether there was anything.
    pub fn truncate_to(self: &Arc<Self>, to: Offset) -> Result<bool, StorageError> {
        let _alone = self.compaction.take();
        self.shared.cleaned.lower(&self.shared, &self.name, to)?;
        let mut state = loop {
            self.shared.drain()?;
            let state = self.lock();
            if to >= state.next_offset {
                return Ok(false);
            }
            if self.written_end() == state.next_offset {
                break state;
            }
        };
        if to < self.start_offset() {
            self.reset_locked(state, to);
            return Ok(true);
        }
        let segments = self.segments.load_full();
        let (kept, position) = self.place_of(&segments, to)?;
        let (stay, removed) = segments.split_at_checked(kept + 1).unwrap_or((&segments, &[]));
        let Some(segment) = stay.last() else { return Ok(false) };
        let (stay, removed): (Segments, Segments) = (stay.to_vec(), removed.to_vec());

        segment.begin_cut();
        if segment.written() > 0 {
            self.shared.files.get(segment)?.indexes().truncate(to);
        }
        segment.set_written(position);
        self.find_transactions(&segments, kept)?;
        segment.truncate_transactions(&*self.shared.disk, to)?;
        let rebuild = Rebuild { log_config: &self.config(), shared: &self.shared };
        let (active, _) = rebuild.active(segment)?;
        segment.set_max_timestamp(active.max);
        state.active = active;
        let segment = Arc::clone(segment);
        self.segments.store(Arc::new(stay));
        self.tail.clear(&mut state.tail_end);
        state.epochs_changed |= state.epochs.truncate_from_end(to);
        if state.producers.truncate_to(to) == Truncation::Reload {
            state.producers = rebuild.producers(&self.folder, &self.segments.load(), to)?;
        }
        state.next_offset = to;
        state.incarnation += 1;
        self.ends.cut(to);
        self.shared.dirty.add_log(self);
        let position = position as u32;
        self.enqueue(What::Truncate { to, segment, position, removed, cut: self.ends.cuts() });
        drop(state);
        self.tell(|listener| listener.disturbed());
        Ok(true)
    }

    /// Empties the log and lets it begin at `start`.
    pub fn reset_to(self: &Arc<Self>, start: Offset) -> Result<(), StorageError> {
        let _alone = self.compaction.take();
        self.shared.cleaned.forget(&self.shared, &self.name)?;
        loop {
            self.shared.drain()?;
            let state = self.lock();
            if self.written_end() == state.next_offset {
                self.reset_locked(state, start);
                return Ok(());
            }
        }
    }

    fn reset_locked(self: &Arc<Self>, mut state: MutexGuard<'_, State>, start: Offset) {
        let segment = Arc::new(Segment::new(&self.folder, start));
        let now_ms = self.shared.clock.now_ms();
        state.active = Active::new(Arc::clone(&segment), now_ms, &self.config());
        state.epochs.clear();
        state.epochs_changed = true;
        state.producers = ProducerStates::new(start);
        state.next_offset = start;
        state.incarnation += 1;
        self.tail.clear(&mut state.tail_end);
        let removed = self.segments.swap(Arc::new(vec![segment]));
        self.ends.reset(start);
        self.shared.dirty.add_log(self);
        self.enqueue(What::Reset { start, removed: removed.to_vec(), cut: self.ends.cuts() });
        drop(state);
        self.tell(|listener| listener.disturbed());
    }

    /// The index of the segment that the log ends in when it ends at `to`, and the position there.
    fn place_of(&self, segments: &Segments, to: Offset) -> Result<(usize, u64), StorageError> {
        let first = segments.partition_point(|s| s.base_offset() <= to).saturating_sub(1);
        let Some(segment) = segments.get(first) else { return Ok((0, 0)) };
        let written = segment.written();
        if written == 0 {
            return Ok((first, 0));
        }
        let open = self.shared.files.get(segment)?;
        let found = find(&open, segment, to, written)?;
        Ok((first, found.map_or(written, |batch| batch.position)))
    }
}
