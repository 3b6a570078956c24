//! Getting back from the batches what no file says: producers, and what their markers decided.
//!
//! It reads headers and control batches alone, from the newest sound snapshot on, and never decides
//! where a log ends: `stands` has done that before.

use std::{collections::BTreeSet, sync::Arc};

use milena_protocol::Offset;

use super::{Segments, append::read_marker, files::store_lazily, listed::snapshots_of};
use crate::{
    config::LogConfig,
    directory::Shared,
    epochs::EpochCache,
    error::StorageError,
    names::{FileKind, SegmentFile},
    producers::ProducerStates,
    segment::{
        Folder, Segment,
        scan::{Scanned, Scanner},
    },
};

/// Gets back from the batches what no file says.
pub(super) struct Rebuild<'a> {
    pub shared: &'a Arc<Shared>,
    pub log_config: &'a LogConfig,
}

impl Rebuild<'_> {
    /// The newest sound snapshot of these at or below `at_most`; damaged ones are passed over.
    pub(super) fn snapshot(
        &self,
        folder: &Folder,
        snapshots: &BTreeSet<Offset>,
        at_most: Offset,
    ) -> Option<ProducerStates> {
        let path = folder.path();
        for offset in snapshots.range(..=at_most).rev() {
            let file = SegmentFile::live(*offset, FileKind::ProducerSnapshot).to_string();
            let Ok(bytes) = self.shared.disk.read(&path.join(file)) else { continue };
            match ProducerStates::from_snapshot(*offset, &bytes) {
                Ok(producers) => return Some(producers),
                Err(error) => tracing::warn!(
                    folder = %path.display(),
                    %error,
                    "producer snapshot is damaged; the producers are found again from the log"
                ),
            }
        }
        None
    }

    /// Snapshots belong to the start of a segment; of the others only the newest is of use.
    pub(super) fn remove_stray_snapshots(
        &self,
        folder: &Folder,
        snapshots: &BTreeSet<Offset>,
        segments: &Segments,
        end: Offset,
    ) -> Result<(), StorageError> {
        let newest = snapshots.range(..=end).next_back().copied();
        for &offset in snapshots {
            let is_base = segments.iter().any(|s| s.base_offset() == offset);
            if !is_base && Some(offset) != newest {
                let path = folder.file(offset, FileKind::ProducerSnapshot);
                let removed = self.shared.disk.remove_file(&path);
                removed.map_err(StorageError::io("remove", &path))?;
            }
        }
        Ok(())
    }

    /// Finds the aborted transactions of a segment that has no index of them: it was lost, or there
    /// were none. That is certain where no producer had any by the time `next_base` was reached;
    /// else its batches tell.
    pub(super) fn transactions(
        &self,
        folder: &Arc<Folder>,
        segments: &Segments,
        segment: &Arc<Segment>,
        next_base: Offset,
    ) -> Result<(), StorageError> {
        let base = segment.base_offset();
        let snapshot = self.shared.disk.read(&folder.file(next_base, FileKind::ProducerSnapshot));
        let known = snapshot.ok().and_then(|s| ProducerStates::from_snapshot(next_base, &s).ok());
        let found = Arc::new(Segment::existing(folder, base, segment.written(), false));
        // It stands for the segment, whose files are not its own.
        found.begin_cut();
        found.finish();
        if known.is_none_or(|producers| producers.have_transactions()) {
            let mut producers = self.producers(folder, segments, base)?;
            let alone = vec![Arc::clone(&found)];
            self.replay(&alone, next_base, &mut producers, None, Some(base))?;
            self.shared.files.close(&found)?;
        }
        segment.adopt_transactions(&found);
        Ok(())
    }

    /// The producers as they were at `end`.
    pub(super) fn producers(
        &self,
        folder: &Folder,
        segments: &Segments,
        end: Offset,
    ) -> Result<ProducerStates, StorageError> {
        let path = folder.path();
        let entries = self.shared.disk.list(&path).map_err(StorageError::io("list", &path))?;
        let files: Vec<_> = entries.iter().filter_map(|e| SegmentFile::parse(&e.name)).collect();
        let found = self.snapshot(folder, &snapshots_of(&files), end);
        let first = segments.first().map_or(end, |s| s.base_offset());
        let mut producers = found.unwrap_or_else(|| ProducerStates::new(first));
        self.replay(segments, end, &mut producers, None, None)?;
        Ok(producers)
    }

    /// Takes in what lies behind the producers' end. Transaction indexes are filled from `doubtful`
    /// on, where they were forgotten.
    pub(super) fn replay(
        &self,
        segments: &Segments,
        end: Offset,
        producers: &mut ProducerStates,
        mut epochs: Option<&mut EpochCache>,
        doubtful: Option<Offset>,
    ) -> Result<(), StorageError> {
        let disk = &*self.shared.disk;
        let from = producers.end_offset();
        if from >= end {
            return Ok(());
        }
        let first = base_of(segments, from);
        for segment in segments.iter().filter(|s| s.base_offset() >= first) {
            if segment.base_offset() > from && segment.base_offset() <= end {
                self.keep_snapshot(segment, producers)?;
            }
            if segment.base_offset() >= end {
                break;
            }
            let index_it = doubtful.is_some_and(|base| segment.base_offset() >= base);
            self.walk(segment, from, |batch, bytes| {
                let Some(header) = batch.header.filter(|h| h.next_offset() <= end) else {
                    return Ok(());
                };
                if let Some(epochs) = &mut epochs {
                    epochs.confirm(header.leader_epoch, header.base_offset);
                }
                if index_it && header.attributes.is_transactional() {
                    segment.expect_transactions();
                }
                if let Some(bytes) = bytes
                    && let Ok(Some(marker)) = read_marker(&bytes, &header)
                    && let Some(done) = producers.end_transaction(&marker)
                    && let Some(aborted) = done.aborted()
                    && index_it
                {
                    segment.add_aborted(disk, aborted)?;
                }
                producers.update(&header);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Makes up for the snapshot of a roll that a crash swallowed or tore: it will be missed when
    /// the segments before it are deleted.
    fn keep_snapshot(
        &self,
        segment: &Segment,
        producers: &ProducerStates,
    ) -> Result<(), StorageError> {
        let path = segment.path(FileKind::ProducerSnapshot);
        let is_sound =
            |bytes: Vec<u8>| ProducerStates::from_snapshot(segment.base_offset(), &bytes).is_ok();
        if self.shared.disk.read(&path).is_ok_and(is_sound) {
            // Whoever wrote it may have been killed before it was synced.
            self.shared.dirty.add_file(path);
            return Ok(());
        }
        store_lazily(self.shared, path, &producers.to_snapshot())
    }

    /// Visits the batches of a segment from `from` on; control batches with their bytes.
    pub(super) fn walk(
        &self,
        segment: &Arc<Segment>,
        from: Offset,
        mut visit: impl FnMut(&Scanned, Option<Vec<u8>>) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let written = segment.written();
        if written == 0 {
            return Ok(());
        }
        let open = self.shared.files.get(segment)?;
        let path = segment.path(FileKind::Log);
        let position = open.indexes().offsets.entries().look_up(from).position;
        let mut scanner = Scanner::headers(&open.file, u64::from(position), written);
        while let Ok(batch) = scanner.next().map_err(StorageError::io("read", &path))? {
            if batch.last_offset < from {
                continue;
            }
            let is_control = batch.header.is_some_and(|h| h.attributes.is_control());
            let bytes = is_control.then(|| {
                let mut bytes = vec![0; batch.size as usize];
                open.file.read_exact_at(&mut bytes, batch.position).map(|()| bytes)
            });
            let bytes = bytes.transpose().map_err(StorageError::io("read", &path))?;
            visit(&batch, bytes)?;
        }
        Ok(())
    }
}

/// The base of the segment that holds `offset`.
pub(super) fn base_of(segments: &Segments, offset: Offset) -> Offset {
    let after = segments.partition_point(|s| s.base_offset() <= offset);
    let holds = segments.get(after.saturating_sub(1)).or(segments.first());
    holds.map_or(offset, |s| s.base_offset())
}
