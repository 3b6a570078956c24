//! Which segments have their files open: opened on use, closed when too many are and others were
//! used since. A segment with unsynced bytes stays open, since the error of a lost write would be
//! reported to nobody once its descriptor is gone. Only where more of these are written to than
//! may be open it goes, too, and then the next sync is one of the whole file system, whose
//! descriptor is told of every loss.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use milena_env::{
    Disk,
    disk::{FileSystem, Open},
};

use super::{OpenSegment, Segment};
use crate::{error::StorageError, names::FileKind};

#[derive(Debug)]
pub(crate) struct OpenFiles {
    disk: Arc<dyn Disk>,
    /// Held from before the first write, so that no lost byte goes unreported.
    file_system: Box<dyn FileSystem>,
    open_max: usize,
    /// A segment was closed whose bytes were not synced, and nothing has been since.
    closed_unsynced: AtomicBool,
    /// A clock: the hand is at the front, and passes over what was used since its last round.
    clock: Mutex<VecDeque<Weak<Segment>>>,
}

impl OpenFiles {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        file_system: Box<dyn FileSystem>,
        open_max: usize,
    ) -> Self {
        let closed_unsynced = AtomicBool::new(false);
        Self { disk, file_system, open_max, closed_unsynced, clock: Mutex::default() }
    }

    /// Makes everything in the directory durable with one call.
    pub(crate) fn sync_all(&self) -> io::Result<()> {
        // Cleared first: what is closed during the sync belongs to the next one.
        let closed = self.closed_unsynced.swap(false, Ordering::AcqRel);
        let synced = self.file_system.sync();
        if synced.is_err() && closed {
            self.closed_unsynced.store(true, Ordering::Release);
        }
        synced
    }

    /// Makes the bytes of a segment durable.
    pub(crate) fn sync_bytes(&self, segment: &Arc<Segment>) -> Result<(), StorageError> {
        // Open from before the look, so that it is not closed behind it.
        let open = self.get(segment)?;
        let is_told = !self.closed_unsynced.load(Ordering::Acquire);
        let synced = if is_told { open.file.sync_data() } else { self.sync_all() };
        synced.map_err(StorageError::io("sync", &segment.path(FileKind::Log)))
    }

    /// The segment's files, opened if they must be.
    pub(crate) fn get(&self, segment: &Arc<Segment>) -> Result<Arc<OpenSegment>, StorageError> {
        self.get_as(segment, Open::ReadWrite)
    }

    /// The same for the writer, which makes the file of a new segment.
    pub(crate) fn get_or_create(
        &self,
        segment: &Arc<Segment>,
    ) -> Result<Arc<OpenSegment>, StorageError> {
        let open = self.get_as(segment, Open::Create)?;
        if self.clock.lock().unwrap_or_else(PoisonError::into_inner).len() > self.open_max {
            self.relieve()?;
        }
        Ok(open)
    }

    /// More segments have unsynced bytes than may be open: closes the half that was opened first.
    /// Only for the writer, beside whom nobody writes, and who does not wait for a sync here: all
    /// acknowledgements would.
    fn relieve(&self) -> Result<(), StorageError> {
        self.closed_unsynced.store(true, Ordering::Release);
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        let mut used = VecDeque::new();
        while clock.len() > self.open_max / 2 {
            let Some(candidate) = clock.pop_front() else { break };
            if let Some(segment) = candidate.upgrade()
                && !self.close_unused(&segment)?
            {
                used.push_back(candidate);
            }
        }
        clock.append(&mut used);
        Ok(())
    }

    fn get_as(&self, segment: &Arc<Segment>, how: Open) -> Result<Arc<OpenSegment>, StorageError> {
        segment.recently_used.store(true, Ordering::Relaxed);
        let mut slot = segment.open_slot();
        if let Some(open) = &*slot {
            return Ok(Arc::clone(open));
        }
        if segment.is_gone() {
            let path = segment.path(FileKind::Log);
            return Err(StorageError::io("open", &path)(io::ErrorKind::NotFound.into()));
        }
        let open = Arc::new(segment.open_files(&*self.disk, how)?);
        *slot = Some(Arc::clone(&open));
        drop(slot);
        self.register(segment)?;
        Ok(open)
    }

    /// Takes in a new segment whose files are open already.
    pub(crate) fn adopt(
        &self,
        segment: &Arc<Segment>,
        open: OpenSegment,
    ) -> Result<(), StorageError> {
        *segment.open_slot() = Some(Arc::new(open));
        self.register(segment)
    }

    fn register(&self, segment: &Arc<Segment>) -> Result<(), StorageError> {
        let crowded = {
            let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
            clock.push_back(Arc::downgrade(segment));
            clock.len() > self.open_max
        };
        if crowded { self.close_some() } else { Ok(()) }
    }

    /// Moves the hand once around at most, and closes what it may.
    fn close_some(&self) -> Result<(), StorageError> {
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..clock.len() {
            if clock.len() <= self.open_max {
                break;
            }
            let Some(candidate) = clock.pop_front() else { break };
            let Some(segment) = candidate.upgrade() else { continue };
            let used = segment.recently_used.swap(false, Ordering::Relaxed);
            if used || segment.is_dirty() || !self.close_unused(&segment)? {
                clock.push_back(candidate);
            }
        }
        Ok(())
    }

    /// Closes the segment, unless somebody is about it: what they change in its indexes would be
    /// lost; so would what a cut has left of them, which is not saved before the journal knows of
    /// it, and they would be made anew from the whole segment. `false` where it stays open.
    fn close_unused(&self, segment: &Segment) -> Result<bool, StorageError> {
        let mut slot = segment.open_slot();
        if segment.is_cut_pending() {
            return Ok(false);
        }
        if slot.as_ref().is_some_and(|open| Arc::strong_count(open) > 1) {
            return Ok(false);
        }
        self.close_slot(segment, &mut slot).map(|()| true)
    }

    /// Saves the segment's indexes and lets go of its files.
    pub(crate) fn close(&self, segment: &Segment) -> Result<(), StorageError> {
        // Held until the indexes are saved, so that nobody gives their names to others meanwhile.
        self.close_slot(segment, &mut segment.open_slot())
    }

    fn close_slot(
        &self,
        segment: &Segment,
        slot: &mut Option<Arc<OpenSegment>>,
    ) -> Result<(), StorageError> {
        let Some(open) = slot.take() else { return Ok(()) };
        if segment.is_gone() || segment.is_cut_pending() {
            return Ok(());
        }
        match open.indexes().save(&*self.disk, segment) {
            // The partition was deleted meanwhile, and its indexes with it.
            Err(StorageError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(())
            }
            other => other,
        }
    }

    /// Makes a segment's files and everything in them durable; with its indexes once it is
    /// finished.
    pub(crate) fn sync(&self, segment: &Arc<Segment>) -> Result<(), StorageError> {
        // Cleared first: what is written during the sync belongs to the next one.
        segment.cleanse();
        self.sync_bytes(segment)?;
        if segment.is_finished() {
            let has_transactions = self.save_indexes(segment)?;
            let transactions = has_transactions.then_some(FileKind::TransactionIndex);
            let kinds = [FileKind::OffsetIndex, FileKind::TimeIndex];
            for kind in kinds.into_iter().chain(transactions) {
                self.sync_file(segment, kind)?;
            }
        }
        Ok(())
    }

    /// Writes what the index files do not have. Says whether there is one of transactions.
    pub(crate) fn save_indexes(&self, segment: &Arc<Segment>) -> Result<bool, StorageError> {
        let open = self.get(segment)?;
        // Who retires it waits, and gives its files' names to others afterwards.
        let _slot = segment.open_slot();
        if segment.is_gone() {
            return Ok(false);
        }
        open.indexes().save(&*self.disk, segment)?;
        segment.save_transactions(&*self.disk)
    }

    fn sync_file(&self, segment: &Segment, kind: FileKind) -> Result<(), StorageError> {
        let path = segment.path(kind);
        let file = self.disk.open(&path, Open::ReadWrite);
        file.and_then(|file| file.sync_data()).map_err(StorageError::io("sync", &path))
    }

    #[cfg(test)]
    pub(crate) fn open_count(&self) -> usize {
        let clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        clock.iter().filter_map(Weak::upgrade).filter(|s| s.open_slot().is_some()).count()
    }
}

#[cfg(test)]
mod tests {
    use std::{io::IoSlice, path::Path};

    use milena_env::disk::{SimulatedDisk, simulated::Survival};
    use milena_protocol::Offset;

    use super::*;
    use crate::segment::Folder;

    #[test]
    fn no_more_files_are_open_than_may_be_and_what_was_closed_unsynced_is_synced_by_whoever_syncs()
    {
        let disk = SimulatedDisk::new(1);
        let folder = Arc::new(Folder::new(Path::new("/log"), true));
        disk.create_dir_all(Path::new("/log")).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        let file_system = disk.file_system(Path::new("/log")).unwrap();
        let there: Arc<dyn Disk> = disk.clone();
        let files = OpenFiles::new(there, file_system, 8);
        let segments: Vec<_> =
            (0..100).map(|base| Arc::new(Segment::new(&folder, Offset(base)))).collect();
        for segment in &segments {
            files.get_or_create(segment).unwrap();
            assert!(files.open_count() <= 8);
        }
        for segment in &segments {
            let open = files.get_or_create(segment).unwrap();
            open.file.write_all_at(&[IoSlice::new(b"unsynced")], 0).unwrap();
            segment.soil();
            assert!(files.open_count() <= 9, "the one in use may be one too many");
        }
        let closed = segments.iter().find(|s| s.is_dirty() && !s.is_open()).unwrap();
        files.sync_bytes(closed).unwrap();
        let disk: Arc<dyn Disk> = disk.crash_with(Survival::Nothing);
        for segment in &segments {
            assert_eq!(disk.read(&segment.path(FileKind::Log)).unwrap(), b"unsynced");
        }
        assert!(!files.closed_unsynced.load(Ordering::Acquire));
    }
}
