//! Opening a log that lies on disk: as it was left cleanly, behind the journal's replay, or after
//! somebody's crash, with a scan.
//!
//! Whatever can be had from the batches (indexes, producers, epochs) is had from them where its
//! file is lost or not to be trusted. A bad batch above the recovery point ends the log there; one
//! below it is corruption, and nothing behind it is touched.

use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, Mutex},
};

use arc_swap::ArcSwap;
use milena_env::disk::Open;
use milena_protocol::{Offset, Uuid};

use super::{
    Log, Segments, TopicPartition,
    ends::Ends,
    rebuild::{Rebuild, base_of},
    state::{Active, State},
    tail::{Tail, TailEnd},
};
use crate::{
    checkpoints,
    compaction::{Turn, finish_swaps},
    config::LogConfig,
    directory::Shared,
    epochs::EpochCache,
    error::StorageError,
    index::TimeIndex,
    names::{self, FileKind, SegmentFile, Stage},
    producers::ProducerStates,
    segment::{
        Folder, MaxTimestamp, Segment,
        scan::{End, Scanner},
    },
};

/// How a log was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// Stopped: every file is as it should be.
    Clean,
    /// By a crash, but the journal has vouched for every byte. Derived files are rebuilt.
    Journalled,
    /// By a crash without journal: what lies beyond the recovery point is to be proven.
    Unproven,
}

/// What is known of a log before its folder is looked at.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    pub name: TopicPartition,
    pub topic_id: Uuid,
    pub config: Arc<LogConfig>,
    pub left: Left,
    pub recovery_point: Offset,
    pub start: Offset,
}

impl Log {
    /// A log that exists in memory alone, yet.
    pub(crate) fn create(shared: &Arc<Shared>, folder: Folder, opening: Opening) -> Self {
        let folder = Arc::new(folder);
        let segment = Arc::new(Segment::new(&folder, opening.start));
        let now_ms = shared.clock.now_ms();
        let active = Active::new(Arc::clone(&segment), now_ms, &opening.config);
        let parts = Parts {
            segments: vec![segment],
            active,
            producers: ProducerStates::new(opening.start),
            epochs: EpochCache::default(),
            epochs_changed: false,
            start: opening.start,
            end: opening.start,
            doubtful: None,
        };
        Self::from_parts(shared, folder, opening, parts)
    }

    /// Opens what lies in a folder.
    pub(crate) fn open(
        shared: &Arc<Shared>,
        folder: Folder,
        opening: Opening,
    ) -> Result<Arc<Self>, StorageError> {
        let folder = Arc::new(folder);
        let rebuild = Rebuild { shared, log_config: &opening.config };
        let parts = rebuild.open(&folder, &opening)?;
        let doubtful = parts.doubtful;
        let log = Arc::new(Self::from_parts(shared, folder, opening, parts));
        if log.lock().epochs_changed {
            shared.dirty.add_log(&log);
        }
        // Their indexes are in memory alone, and the recovery point must not pass them so.
        let is_rebuilt = |s: &&Arc<Segment>| doubtful.is_some_and(|from| s.base_offset() >= from);
        for segment in log.segments.load().iter().filter(is_rebuilt) {
            if segment.is_finished() && segment.written() > 0 && segment.soil() {
                shared.dirty.add_segment(&log, segment);
            }
        }
        Ok(log)
    }

    fn from_parts(
        shared: &Arc<Shared>,
        folder: Arc<Folder>,
        opening: Opening,
        parts: Parts,
    ) -> Self {
        let recovery_point = match opening.left {
            Left::Clean => parts.end,
            _ => opening.recovery_point.min(parts.end),
        };
        let state = State {
            next_offset: parts.end,
            epochs: parts.epochs,
            producers: parts.producers,
            active: parts.active,
            tail_end: TailEnd::default(),
            incarnation: 0,
            epochs_changed: parts.epochs_changed,
            epoch_announced: false,
            closed: false,
            left: false,
        };
        Self {
            name: opening.name,
            topic_id: opening.topic_id,
            alias: shared.next_alias(),
            shared: Arc::clone(shared),
            folder,
            config: ArcSwap::new(opening.config),
            state: state.into(),
            segments: ArcSwap::from_pointee(parts.segments),
            tail: Tail::default(),
            ends: Ends::new(parts.start, parts.end, recovery_point),
            compaction: Turn::default(),
            saving: Mutex::default(),
            pauses: false.into(),
            opened_in: 0.into(),
            listener: std::sync::OnceLock::new(),
        }
    }
}

/// A log taken apart.
struct Parts {
    segments: Segments,
    active: Active,
    producers: ProducerStates,
    epochs: EpochCache,
    /// They are not what their file says.
    epochs_changed: bool,
    start: Offset,
    end: Offset,
    /// From here on the indexes are not what their files say.
    doubtful: Option<Offset>,
}

/// What lies in a log's folder.
struct Listed {
    /// In order.
    segments: Segments,
    snapshots: BTreeSet<Offset>,
    /// The base of the first whose transaction index is not to be trusted, because compaction was
    /// finished only now.
    swapped: Option<Offset>,
}

/// The offsets of the producer snapshots among the files of a folder.
pub(super) fn snapshots_of(files: &[SegmentFile]) -> BTreeSet<Offset> {
    let is_snapshot =
        |f: &&SegmentFile| f.kind == FileKind::ProducerSnapshot && f.stage == Stage::Live;
    files.iter().filter(is_snapshot).map(|f| f.base_offset).collect()
}

impl Rebuild<'_> {
    fn open(&self, folder: &Arc<Folder>, opening: &Opening) -> Result<Parts, StorageError> {
        let Listed { mut segments, snapshots, swapped } = self.list(folder, opening.start)?;
        let doubtful = match opening.left {
            Left::Clean => self.first_rotten_transactions(&segments),
            // One that ends at the recovery point may have been finished after it was synced, and
            // its indexes not.
            _ => Some(base_of(&segments, opening.recovery_point.plus(-1))),
        };
        let doubtful = doubtful.into_iter().chain(swapped).min();
        if opening.left == Left::Unproven {
            self.prove(folder, &mut segments, opening.recovery_point)?;
        }
        if let Some(from) = doubtful {
            self.forget_indexes(&segments, from)?;
        }
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
        let epochs_path = folder.path().join(names::LEADER_EPOCHS);
        let stored = checkpoints::load_epochs(&*self.shared.disk, &epochs_path).ok().flatten();
        let mut epochs = match &stored {
            // An empty one is right for a log of old messages, and else all that is left of it.
            Some(stored) if !stored.entries().is_empty() || !self.have_epochs(&segments)? => {
                stored.clone()
            }
            _ => self.epochs(&segments)?,
        };
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
        producers.raise_log_start(start);
        self.remove_stray_snapshots(folder, &snapshots, &segments, end)?;
        // An epoch in which nothing was written may stay in the file: the first record of another
        // one writes it anew.
        let mut stored = stored.unwrap_or_default();
        stored.truncate_from_end(end);
        let epochs_changed = epochs != stored;
        Ok(Parts { segments, active, producers, epochs, epochs_changed, start, end, doubtful })
    }

    /// What lies in a folder; whatever a crash left half done is finished or tidied away.
    fn list(&self, folder: &Arc<Folder>, start: Offset) -> Result<Listed, StorageError> {
        let path = folder.path();
        let disk = &*self.shared.disk;
        let list = || -> Result<Vec<SegmentFile>, StorageError> {
            let entries = disk.list(&path).map_err(StorageError::io("list", &path))?;
            Ok(entries.iter().filter_map(|e| SegmentFile::parse(&e.name)).collect())
        };
        let mut files = list()?;
        let mut swapped = None;
        if files.iter().any(|f| matches!(f.stage, Stage::Cleaned | Stage::Swap)) {
            swapped = finish_swaps(disk, &path, &files)?;
            files = list()?;
        }
        let is_log = |f: &&SegmentFile| f.kind == FileKind::Log && f.stage == Stage::Live;
        let logs: BTreeSet<Offset> = files.iter().filter(is_log).map(|f| f.base_offset).collect();
        for file in &files {
            let is_left_over = file.stage == Stage::Deleted;
            let is_orphan = file.stage == Stage::Live
                && file.kind != FileKind::ProducerSnapshot
                && !logs.contains(&file.base_offset);
            if is_left_over || is_orphan {
                let path = path.join(file.to_string());
                disk.remove_file(&path).map_err(StorageError::io("remove", &path))?;
            }
        }
        let mut segments = Segments::new();
        for base_offset in logs {
            let file = SegmentFile::live(base_offset, FileKind::Log);
            let file_path = path.join(file.to_string());
            let metadata = disk.metadata(&file_path);
            let len = metadata.map_err(StorageError::io("look at", &file_path))?.len;
            let transactions = SegmentFile::live(base_offset, FileKind::TransactionIndex);
            let has_transactions = files.contains(&transactions);
            segments.push(Arc::new(Segment::existing(folder, base_offset, len, has_transactions)));
        }
        if segments.is_empty() {
            segments.push(Arc::new(Segment::new(folder, start)));
        }
        Ok(Listed { segments, snapshots: snapshots_of(&files), swapped })
    }

    /// The base of the first segment whose transaction index cannot be read.
    fn first_rotten_transactions(&self, segments: &Segments) -> Option<Offset> {
        let disk = &*self.shared.disk;
        let is_rotten = |s: &&Arc<Segment>| {
            s.aborted_transactions(disk, s.base_offset(), s.base_offset()).is_err()
        };
        segments.iter().find(is_rotten).map(|s| s.base_offset())
    }

    /// Indexes of segments from `from` on are not to be trusted.
    fn forget_indexes(&self, segments: &Segments, from: Offset) -> Result<(), StorageError> {
        for segment in segments.iter().filter(|s| s.base_offset() >= from) {
            segment.forget_transactions();
            for kind in [FileKind::OffsetIndex, FileKind::TimeIndex, FileKind::TransactionIndex] {
                let path = segment.path(kind);
                match self.shared.disk.remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(StorageError::io("remove", &path)(error));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Checks every batch from the recovery point's segment on; ends the log at the first that is
    /// bad, unless that lies below the recovery point.
    fn prove(
        &self,
        folder: &Folder,
        segments: &mut Segments,
        recovery_point: Offset,
    ) -> Result<(), StorageError> {
        let from = base_of(segments, recovery_point);
        let first = segments.partition_point(|s| s.base_offset() < from);
        for (index, segment) in segments.iter().enumerate().skip(first) {
            if segment.written() == 0 {
                // There may be no file: a crash has left the folder alone.
                continue;
            }
            let path = segment.path(FileKind::Log);
            let open = self.shared.disk.open(&path, Open::ReadWrite);
            let file = open.map_err(StorageError::io("open", &path))?;
            let mut scanner = Scanner::checked(&file, 0, segment.written());
            let mut reached = segment.base_offset();
            let end = loop {
                match scanner.next().map_err(StorageError::io("read", &path))? {
                    Ok(batch) if batch.base_offset() < reached && batch.header.is_some() => {
                        let reason = "offsets go backwards";
                        break End::Invalid { position: batch.position, reason };
                    }
                    Ok(batch) => reached = batch.last_offset.next(),
                    Err(end) => break end,
                }
            };
            let End::Invalid { position, reason } = end else { continue };
            if reached < recovery_point {
                return Err(StorageError::corrupt(&path, position, reason));
            }
            tracing::warn!(
                file = %path.display(),
                position,
                reason,
                log_end = reached.0,
                "the log ends here after an unclean stop; what follows was never acknowledged"
            );
            segment.set_written(position);
            // For good before the cut, after which nothing would tell that a batch is missing.
            let removed = segments.split_off(index + 1);
            crate::journal::segments::remove(self.shared, &removed)?;
            let folder = self.shared.disk.sync_dir(&folder.path());
            folder.map_err(StorageError::io("sync the folder of", &path))?;
            let cut = || file.set_len(position).and_then(|()| file.sync_data());
            cut().map_err(StorageError::io("cut", &path))?;
            return Ok(());
        }
        Ok(())
    }

    /// Finds a finished segment's greatest timestamp: the last entry of its time index.
    fn date(&self, segment: &Arc<Segment>) -> Result<(), StorageError> {
        let path = segment.path(FileKind::TimeIndex);
        let last_entry = || {
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
        let read = StorageError::io("read", &path);
        let mut first = Scanner::headers(&open.file, 0, written);
        if let Ok(batch) = first.next().map_err(read)? {
            active.first_timestamp = (batch.max_timestamp >= 0).then_some(batch.max_timestamp);
        }
        active.max = MaxTimestamp { timestamp: newest.timestamp, offset: newest.offset };
        active.entries = entries as u64;
        let from = last.map_or(0, |entry| u64::from(entry.position));
        let mut end = segment.base_offset();
        let mut scanner = Scanner::headers(&open.file, from, written);
        while let Ok(batch) = scanner.next().map_err(StorageError::io("read", &path))? {
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
