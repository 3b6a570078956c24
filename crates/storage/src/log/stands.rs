//! Where a log stands, from its files: segments, producers, epochs, ends.
//!
//! Whatever can be had from the batches (indexes, producers, epochs) is had from them where its
//! file is lost or not to be trusted. A bad batch above the recovery point ends the log there; one
//! below it is corruption, and nothing behind it is touched.

use std::sync::Arc;

use milena_env::disk::Open;
use milena_protocol::Offset;

use super::{
    Segments,
    listed::Listed,
    open::{Left, Opening, Parts},
    rebuild::{Rebuild, base_of},
    state::Active,
};
use crate::{
    checkpoints,
    epochs::EpochCache,
    error::StorageError,
    index::TimeIndex,
    names::{self, FileKind},
    producers::ProducerStates,
    segment::{Folder, MaxTimestamp, Segment, scan::Scanner},
};

impl Rebuild<'_> {
    /// Takes apart what lies in a folder.
    pub(super) fn open(
        &self,
        folder: &Arc<Folder>,
        opening: &Opening,
    ) -> Result<Parts, StorageError> {
        let mut listed = self.list(folder, opening.start)?;
        let doubtful = match opening.left {
            Left::Clean => self.first_rotten_transactions(&listed.segments),
            // One that ends at the recovery point may have been finished after it was synced, and
            // its indexes not.
            _ => Some(base_of(&listed.segments, opening.recovery_point.plus(-1))),
        };
        let doubtful = doubtful.into_iter().chain(listed.swapped).min();
        if opening.left == Left::Unproven {
            self.prove(folder, &mut listed.segments, opening.recovery_point)?;
        }
        if let Some(from) = doubtful {
            self.forget_indexes(&listed, from)?;
        }
        let Listed { segments, snapshots, .. } = listed;
        let (last, finished) =
            segments.split_last().map_or((None, &[][..]), |(last, rest)| (Some(last), rest));
        for segment in finished {
            segment.finish();
            self.date(segment)?;
        }
        let Some(last) = last else {
            return Err(StorageError::corrupt(&folder.path(), 0, "a log without a segment"));
        };
        let (active, end) = self.active(last)?;
        last.set_max_timestamp(active.max);
        let first = segments.first().map_or(opening.start, |s| s.base_offset());
        let start = opening.start.max(first);
        // Where the last records were cut off, the start still does not move back.
        let end = end.max(start);
        let (mut stored, mut epochs) = self.known_epochs(folder, &segments)?;
        let producers = self.snapshot(folder, &snapshots, doubtful.unwrap_or(end).min(end));
        let mut producers = producers.unwrap_or_else(|| ProducerStates::new(first));
        if doubtful.is_some() {
            // The file may speak of batches that were cut since; what follows is said by batches.
            epochs.truncate_from_end(producers.end_offset());
        }
        self.replay(&segments, end, &mut producers, Some(&mut epochs), doubtful)?;
        if last.misses_transactions() {
            // More may be added to it at any time.
            if producers.have_transactions() {
                self.transactions(folder, &segments, last, end)?;
            } else {
                last.forget_transactions();
            }
        }
        epochs.truncate_from_end(end);
        epochs.truncate_from_start(start);
        if start == end {
            // What the file or batches below the start say may be of records that were cut.
            epochs.clear();
        }
        producers.raise_log_start(start);
        self.remove_stray_snapshots(folder, &snapshots, &segments, end)?;
        // An epoch in which nothing was written may stay in the file: the first record of another
        // one writes it anew.
        stored.truncate_from_end(end);
        let epochs_changed = epochs != stored;
        Ok(Parts { segments, active, producers, epochs, epochs_changed, start, end, doubtful })
    }

    /// Finds a finished segment's greatest timestamp: the last entry of its time index.
    fn date(&self, segment: &Arc<Segment>) -> Result<(), StorageError> {
        let path = segment.path(FileKind::TimeIndex);
        let last_entry = || {
            if segment.doubts_indexes() {
                return None;
            }
            let file = self.shared.disk.open(&path, Open::Read).ok()?;
            let mut bytes = [0; 12];
            let at = file.size().ok()?.checked_sub(12).filter(|at| at % 12 == 0)?;
            file.read_exact_at(&mut bytes, at).ok()?;
            let last = TimeIndex::parse(segment.base_offset(), &bytes).ok()?.entries().last();
            (last.timestamp > 0).then_some(last)
        };
        let last = match last_entry() {
            Some(last) => last,
            None => self.shared.files.get(segment)?.indexes().times.entries().last(),
        };
        segment.set_max_timestamp(MaxTimestamp { timestamp: last.timestamp, offset: last.offset });
        Ok(())
    }

    /// Where a segment stands that is to be appended to, from its indexes and a walk over what
    /// lies behind their last entry.
    pub(super) fn active(&self, segment: &Arc<Segment>) -> Result<(Active, Offset), StorageError> {
        let now_ms = self.shared.clock.now_ms();
        let mut active = Active::new(Arc::clone(segment), now_ms, self.log_config);
        let written = segment.written();
        if written == 0 {
            return Ok((active, segment.base_offset()));
        }
        let open = self.shared.files.get(segment)?;
        let (last, newest, entries) = {
            let indexes = open.indexes();
            let entries = indexes.offsets.entries();
            (entries.last(), indexes.times.entries().last(), entries.len())
        };
        let path = segment.path(FileKind::Log);
        let from = last.map_or(0, |entry| u64::from(entry.position));
        if from > 0 {
            let first = Scanner::glance(&open.file, 0, written).next();
            let first = first.map_err(StorageError::io("read", &path))?;
            active.first_timestamp = first.ok().map(|b| b.max_timestamp).filter(|t| *t >= 0);
        }
        active.max = MaxTimestamp { timestamp: newest.timestamp, offset: newest.offset };
        active.entries = entries as u64;
        let mut end = segment.base_offset();
        let mut scanner = Scanner::headers(&open.file, from, written);
        while let Ok(batch) = scanner.next().map_err(StorageError::io("read", &path))? {
            if batch.position == 0 {
                active.first_timestamp = Some(batch.max_timestamp).filter(|t| *t >= 0);
            }
            end = batch.last_offset.next();
            active.max.include(batch.max_timestamp, batch.last_offset);
            active.since_entry += batch.size;
        }
        active.size = scanner.position();
        if active.size != written {
            return Err(StorageError::corrupt(&path, active.size, "no batch header"));
        }
        Ok((active, end))
    }

    /// What the file of epochs says, and what is known of them.
    fn known_epochs(
        &self,
        folder: &Folder,
        segments: &Segments,
    ) -> Result<(EpochCache, EpochCache), StorageError> {
        let path = folder.path().join(names::LEADER_EPOCHS);
        let stored = checkpoints::load_epochs(&*self.shared.disk, &path).ok().flatten();
        let is_lost = stored.is_none();
        let stored = stored.unwrap_or_default();
        // An empty one is right for a log of old messages, and else all that is left of it.
        let epochs = if is_lost || (stored.entries().is_empty() && self.have_epochs(segments)?) {
            self.epochs(segments)?
        } else {
            stored.clone()
        };
        Ok((stored, epochs))
    }

    /// Whether the batches say epochs, as the last segment's first does.
    fn have_epochs(&self, segments: &Segments) -> Result<bool, StorageError> {
        let Some(segment) = segments.iter().rev().find(|s| s.written() > 0) else {
            return Ok(false);
        };
        let open = self.shared.files.get(segment)?;
        let first = Scanner::glance(&open.file, 0, segment.written()).next();
        let path = segment.path(FileKind::Log);
        let first = first.map_err(StorageError::io("read", &path))?;
        Ok(first.is_ok_and(|batch| batch.header.is_some_and(|h| h.leader_epoch.0 >= 0)))
    }

    /// The epochs from the batches, where their file is lost.
    fn epochs(&self, segments: &Segments) -> Result<EpochCache, StorageError> {
        let mut epochs = EpochCache::default();
        for segment in segments {
            self.walk(segment, segment.base_offset(), |batch, _| {
                if let Some(header) = batch.header {
                    epochs.assign(header.leader_epoch, header.base_offset);
                }
                Ok(())
            })?;
        }
        Ok(epochs)
    }
}
