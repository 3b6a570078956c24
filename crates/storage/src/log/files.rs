//! The small files of a partition's folder: made by the journal's writer and the checkpoint, never
//! on the way of an append.

use std::{
    io::{self, IoSlice},
    path::PathBuf,
    sync::{Arc, PoisonError},
};

use milena_env::disk::Open;
use milena_protocol::Offset;

use super::{Log, TopicPartition};
use crate::{
    checkpoints,
    directory::{Doomed, Shared},
    error::StorageError,
    journal::segments::unless_missing,
    names::{self, FileKind, Mark, SegmentFile},
    partition_metadata,
};

impl Log {
    /// The journal's writer: makes the partition's folder, with its topic's id in it.
    pub(crate) fn make_folder(&self, shared: &Shared) -> Result<(), StorageError> {
        self.folder.make(|path| {
            shared.disk.create_dir_all(path).map_err(StorageError::io("create folder", path))?;
            shared.dirty.add_folder(path);
            shared.dirty.add_folder(&shared.path);
            let metadata = path.join(names::PARTITION_METADATA);
            if self.config().is_journalled() {
                store_lazily(shared, metadata, &partition_metadata::format(self.topic_id))
            } else {
                // No journal knows the topic's id.
                partition_metadata::store_topic_id(&*shared.disk, &metadata, self.topic_id)
            }
        })
    }

    /// For a checkpoint: everything that the journal alone knows of this log and that is in no
    /// segment. A log that was emptied gets an empty segment.
    pub(crate) fn save_files(self: &Arc<Self>, shared: &Shared) -> Result<(), StorageError> {
        let _here = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let (epochs, active, is_settled) = {
            let mut state = self.lock();
            // Without a folder there was no record either, or the writer still has it.
            if state.left || !self.folder.exists() {
                return Ok(());
            }
            // While a cut is on its way the file keeps what a crash may bring back.
            let is_settled = self.ends.is_settled();
            let changed = is_settled && std::mem::take(&mut state.epochs_changed);
            let epochs = changed.then(|| state.epochs.clone());
            (epochs, Arc::clone(&state.active.segment), is_settled)
        };
        // Never a segment that the journal does not know yet: after a crash its name would speak
        // of offsets that were never reached, or hide records that a cut has not yet taken away.
        if is_settled && active.written() == 0 && active.base_offset() == self.durable_start() {
            let path = active.path(FileKind::Log);
            let made = shared.disk.open(&path, Open::Create);
            made.map_err(StorageError::io("create", &path))?;
        }
        if let Some(epochs) = epochs {
            let path = self.folder.path().join(names::LEADER_EPOCHS);
            let stored = store_lazily(shared, path, &checkpoints::format_epochs(&epochs));
            if stored.is_err() {
                self.lock().epochs_changed = true;
            }
            stored?;
        }
        Ok(())
    }

    /// The journal's writer: the partition has left. Its folder gets a name that nobody else has,
    /// and is nobody's any more; it is removed if it was deleted.
    pub(crate) fn set_aside(&self, shared: &Shared, mark: Mark) -> Result<(), StorageError> {
        let _here = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        self.lock().left = true;
        // Before the folder has its new name: who fails to sync them then knows why.
        self.segments.load().iter().for_each(|segment| segment.retire());
        if !self.folder.exists() {
            return Ok(());
        }
        let (path, TopicPartition { topic, partition }) = (self.folder.path(), &self.name);
        let mut id = u128::from_be_bytes(self.topic_id.to_be_bytes());
        let marked = loop {
            let marked = names::marked_partition_folder(topic, *partition, mark, id);
            let marked = shared.path.join(marked);
            // Another life of it may have been set aside before, and that stays.
            if shared.disk.metadata(&marked).is_err() {
                break marked;
            }
            id = id.wrapping_add(1);
        };
        shared.disk.rename(&path, &marked).map_err(StorageError::io("rename", &path))?;
        self.folder.left_for(&marked);
        shared.dirty.add_folder(&shared.path);
        if mark == Mark::Delete {
            let segments = self.segments.load().iter().map(Arc::clone).collect();
            shared.doom(Doomed::Folder(marked, segments));
        }
        Ok(())
    }

    /// For a clean stop: indexes, producers and epochs as they are now.
    pub(crate) fn save_at_stop(self: &Arc<Self>, shared: &Shared) -> Result<(), StorageError> {
        if !self.folder.exists() {
            return Ok(());
        }
        self.save_files(shared)?;
        for segment in self.segments.load().iter() {
            // Kafka recovers a segment whose index has no file, even an empty one.
            let index = segment.path(FileKind::OffsetIndex);
            if segment.written() == 0 && shared.disk.metadata(&index).is_err() {
                shared.files.get_or_create(segment)?;
            }
            // What was appended to may have been closed to make room, without its last entry.
            let lacks_end = segment.has_fresh_indexes() && !segment.is_finished();
            if segment.is_open() || segment.doubts_indexes() || lacks_end {
                let open = shared.files.get(segment)?;
                open.indexes().close(segment.max_timestamp());
                drop(open);
                shared.files.close(segment)?;
            }
            if segment.save_transactions(&*shared.disk)? {
                shared.dirty.add_file(segment.path(FileKind::TransactionIndex));
            }
            // Also those whose files were closed long ago to make room for others.
            if segment.has_fresh_indexes() {
                shared.dirty.add_file(segment.path(FileKind::OffsetIndex));
                shared.dirty.add_file(segment.path(FileKind::TimeIndex));
            }
        }
        let (end, snapshot) = {
            let state = self.lock();
            (state.next_offset, state.producers.to_snapshot())
        };
        let path = self.folder.file(end, FileKind::ProducerSnapshot);
        if shared.disk.metadata(&path).is_err() {
            store_lazily(shared, path, &snapshot)?;
            // That of the last stop is of no use any more, unless a segment begins there.
            let segments = self.segments.load();
            let is_base = |at| segments.iter().any(|segment| segment.base_offset() == at);
            self.remove_snapshots(shared, |at| at != end && !is_base(at))?;
        }
        Ok(())
    }

    /// Removes producer snapshots whose offset is refused.
    pub(crate) fn remove_snapshots(
        &self,
        shared: &Shared,
        is_refused: impl Fn(Offset) -> bool,
    ) -> Result<(), StorageError> {
        let folder = self.folder.path();
        let entries = match shared.disk.list(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(StorageError::io("list", &folder))?,
        };
        for entry in entries {
            let Some(file) = SegmentFile::parse(&entry.name) else { continue };
            if file.kind == FileKind::ProducerSnapshot && is_refused(file.base_offset) {
                let path = folder.join(&entry.name);
                unless_missing(shared.disk.remove_file(&path), "remove", &path)?;
                shared.dirty.add_folder(&folder);
            }
        }
        Ok(())
    }
}

/// Replaces a small file; the next checkpoint syncs it. Until then the journal holds what it says,
/// or it can be had from the batches: one that a crash leaves empty or torn is found out by its
/// form and made anew.
pub(super) fn store_lazily(
    shared: &Shared,
    path: PathBuf,
    bytes: &[u8],
) -> Result<(), StorageError> {
    let temporary = path.with_added_extension("tmp");
    let write = || {
        let file = shared.disk.open(&temporary, Open::Create)?;
        // Only where a crash left one: ext4 writes a file out at once that was cut and closed.
        if file.size()? > 0 {
            file.set_len(0)?;
        }
        file.write_all_at(&[IoSlice::new(bytes)], 0)?;
        shared.disk.rename(&temporary, &path)
    };
    write().map_err(StorageError::io("write", &path))?;
    shared.dirty.add_file(path);
    Ok(())
}
