//! What lies in a log's folder. Whatever a crash left half done there is finished or tidied away;
//! what the files hold is for others to judge.

use std::{collections::BTreeSet, sync::Arc};

use milena_protocol::Offset;

use super::{Segments, rebuild::Rebuild};
use crate::{
    compaction::finish_swaps,
    directory::Doomed,
    error::StorageError,
    names::{FileKind, SegmentFile, Stage},
    segment::{Folder, Segment},
};

/// What lies in a log's folder.
pub(super) struct Listed {
    /// In order.
    pub(super) segments: Segments,
    /// All that are in use.
    pub(super) files: BTreeSet<SegmentFile>,
    pub(super) snapshots: BTreeSet<Offset>,
    /// The base of the first whose transaction index is not to be trusted, because compaction was
    /// finished only now.
    pub(super) swapped: Option<Offset>,
}

/// The offsets of the producer snapshots among the files of a folder.
pub(super) fn snapshots_of<'a>(
    files: impl IntoIterator<Item = &'a SegmentFile>,
) -> BTreeSet<Offset> {
    let is_snapshot =
        |f: &&SegmentFile| f.kind == FileKind::ProducerSnapshot && f.stage == Stage::Live;
    files.into_iter().filter(is_snapshot).map(|f| f.base_offset).collect()
}

impl Rebuild<'_> {
    /// What lies in a folder; whatever a crash left half done is finished or tidied away.
    pub(super) fn list(&self, folder: &Arc<Folder>, start: Offset) -> Result<Listed, StorageError> {
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
            let has_log = logs.contains(&file.base_offset);
            let is_left_over = file.stage == Stage::Deleted;
            let is_orphan =
                file.stage == Stage::Live && file.kind != FileKind::ProducerSnapshot && !has_log;
            if is_left_over && file.kind == FileKind::Log && !has_log {
                // It may be large, and nobody has to wait for its removal.
                let gone = Arc::new(Segment::new(folder, file.base_offset));
                self.shared.doom(Doomed::Segment(gone));
            } else if is_left_over || is_orphan {
                let path = path.join(file.to_string());
                disk.remove_file(&path).map_err(StorageError::io("remove", &path))?;
            }
        }
        let files: BTreeSet<SegmentFile> =
            files.into_iter().filter(|file| file.stage == Stage::Live).collect();
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
        Ok(Listed { segments, snapshots: snapshots_of(&files), files, swapped })
    }
}
