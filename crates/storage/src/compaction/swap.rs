//! Puts a compacted segment in the place of those that it was made from, so that a crash at any
//! moment leaves the old ones, the new one, or what [`finish`] makes the new one of.
//!
//! 1. The new files are durable as `.cleaned`, names and all.
//! 2. Each is renamed to `.swap`, the log last, and the folder synced: this is the point of no
//!    return. Readers get the new segment; whoever reads the old ones has them open.
//! 3. The segments that the new one swallowed are removed, and the folder synced.
//! 4. Each `.swap` is renamed over the old file, and the folder synced.
//!
//! A name is only ever taken from a file by giving it the next one, so each file's stage can be
//! read from its name. `docs/formats/directory-layout.md` has what they mean after a crash.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use milena_env::{Disk, disk::Open};
use milena_protocol::Offset;

use super::draft::{Draft, KINDS, staged};
use crate::{
    error::StorageError,
    journal::segments::{remove, unless_missing},
    log::Log,
    names::{FileKind, SegmentFile, Stage},
    segment::{Segment, scan::Scanner},
};

/// Replaces `old`, which are neighbours, by one that is written and durable. A failure takes the
/// directory offline: which names the disk knows then is for the next start to find out.
pub(super) fn install(
    log: &Arc<Log>,
    old: &[Arc<Segment>],
    draft: Draft<'_>,
) -> Result<(), StorageError> {
    let shared = log.shared();
    let _no_checkpoint = shared.hold_checkpoints();
    let install = || {
        let disk = &*shared.disk;
        let folder = log.folder().path();
        let base = draft.base();
        for kind in KINDS {
            rename(disk, &folder, base, kind, Stage::Cleaned, Stage::Swap)?;
        }
        sync_folder(disk, &folder)?;
        let (new, open, has_transactions) = draft.into_segment(log.folder());
        // Dirty: its files may not be closed before they have their names.
        new.soil();
        shared.files.adopt(&new, open)?;
        log.replace_segments(old, &new);
        let (first, swallowed) = old.split_first().map_or((None, old), |(f, s)| (Some(f), s));
        if let Some(first) = first {
            first.retire();
        }
        if !swallowed.is_empty() {
            remove(shared, swallowed)?;
            sync_folder(disk, &folder)?;
        }
        for kind in KINDS {
            rename(disk, &folder, base, kind, Stage::Swap, Stage::Live)?;
        }
        sync_folder(disk, &folder)?;
        if !has_transactions {
            let path = new.path(FileKind::TransactionIndex);
            unless_missing(disk.remove_file(&path), "remove", &path)?;
        }
        new.cleanse();
        Ok(())
    };
    install().inspect_err(|error| shared.go_offline(error))
}

/// Finishes or undoes what a crash interrupted, before a log is opened. Gives the base of the
/// first segment whose transaction index may be an old one's.
pub(crate) fn finish(
    disk: &dyn Disk,
    folder: &Path,
    files: &[SegmentFile],
) -> Result<Option<Offset>, StorageError> {
    let mut stages: BTreeMap<Offset, BTreeSet<(FileKind, Stage)>> = BTreeMap::new();
    for file in files.iter().filter(|f| matches!(f.stage, Stage::Cleaned | Stage::Swap)) {
        stages.entry(file.base_offset).or_default().insert((file.kind, file.stage));
    }
    let mut doubtful = None;
    for (base, files_of) in stages {
        let has = |kind, stage| files_of.contains(&(kind, stage));
        let is_undecided = !has(FileKind::Log, Stage::Swap)
            && files_of.iter().any(|(_, stage)| *stage == Stage::Cleaned);
        if is_undecided {
            undo(disk, folder, base, &files_of)?;
            continue;
        }
        if has(FileKind::Log, Stage::Swap) {
            let end = end_of(disk, folder, base)?;
            let is_swallowed = |file: &&SegmentFile| {
                file.base_offset > base && file.base_offset < end && file.stage == Stage::Live
            };
            for file in files.iter().filter(is_swallowed) {
                remove_file(disk, folder, *file)?;
            }
            sync_folder(disk, folder)?;
            let is_staged = [Stage::Cleaned, Stage::Swap]
                .into_iter()
                .any(|stage| has(FileKind::TransactionIndex, stage));
            if !is_staged {
                // Either the new one has its place already, or somebody else staged none.
                doubtful = doubtful.or(Some(base));
            }
        }
        // The log last: without it nobody would look for the others.
        for kind in KINDS {
            for stage in [Stage::Cleaned, Stage::Swap] {
                if has(kind, stage) {
                    rename(disk, folder, base, kind, stage, Stage::Live)?;
                }
            }
        }
        sync_folder(disk, folder)?;
    }
    Ok(doubtful)
}

/// Removes what was not finished. The log's `.cleaned` goes last: it says that the others are
/// worth nothing.
fn undo(
    disk: &dyn Disk,
    folder: &Path,
    base: Offset,
    files: &BTreeSet<(FileKind, Stage)>,
) -> Result<(), StorageError> {
    let (log, others): (Vec<_>, Vec<_>) =
        files.iter().copied().partition(|(kind, _)| *kind == FileKind::Log);
    for (kind, stage) in others {
        remove_file(disk, folder, SegmentFile::live(base, kind).with_stage(stage))?;
    }
    sync_folder(disk, folder)?;
    for (kind, stage) in log {
        remove_file(disk, folder, SegmentFile::live(base, kind).with_stage(stage))?;
    }
    Ok(())
}

/// The offset behind the last batch of a log that waits to be swapped in.
fn end_of(disk: &dyn Disk, folder: &Path, base: Offset) -> Result<Offset, StorageError> {
    let path = staged(folder, base, FileKind::Log, Stage::Swap);
    let read = || {
        let file = disk.open(&path, Open::Read)?;
        let size = file.size()?;
        let mut scanner = Scanner::headers(&file, 0, size);
        let mut end = base;
        while let Ok(batch) = scanner.next()? {
            end = batch.last_offset.next();
        }
        Ok(end)
    };
    read().map_err(StorageError::io("read", &path))
}

fn rename(
    disk: &dyn Disk,
    folder: &Path,
    base: Offset,
    kind: FileKind,
    from: Stage,
    to: Stage,
) -> Result<(), StorageError> {
    let path = staged(folder, base, kind, from);
    let renamed = disk.rename(&path, &staged(folder, base, kind, to));
    renamed.map_err(StorageError::io("rename", &path))
}

fn remove_file(disk: &dyn Disk, folder: &Path, file: SegmentFile) -> Result<(), StorageError> {
    let path = folder.join(file.to_string());
    unless_missing(disk.remove_file(&path), "remove", &path)
}

fn sync_folder(disk: &dyn Disk, folder: &Path) -> Result<(), StorageError> {
    disk.sync_dir(folder).map_err(StorageError::io("sync folder", folder))
}
