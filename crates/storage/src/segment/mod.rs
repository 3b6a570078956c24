//! One segment of a log: a file of record batches and its three indexes.
//!
//! A segment that nobody uses is a few words of memory. Its files and indexes come with use
//! ([`OpenSegment`]) and go again by [`OpenFiles`], least recently used first. Appends write to the
//! file through the journal's writer alone; readers never wait for them.

mod indexes;
mod open_files;
pub(crate) mod scan;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering},
    },
};

use milena_env::{Disk, DiskFile, disk::Open};
use milena_protocol::Offset;

pub(crate) use indexes::Indexes;
pub(crate) use open_files::OpenFiles;

use crate::{
    error::StorageError,
    index::{AbortedTransaction, TransactionIndex},
    names::{FileKind, SegmentFile},
};

/// The folder of a partition; its path changes when the partition moves or is deleted.
#[derive(Debug)]
pub(crate) struct Folder {
    path: RwLock<Arc<Path>>,
    /// Whether it is known to exist.
    exists: AtomicBool,
    /// The topic's `index.interval.bytes`, for whoever makes an index anew from the log.
    index_interval: AtomicU32,
}

impl Folder {
    pub(crate) fn new(path: &Path, exists: bool) -> Self {
        Self {
            path: RwLock::new(Arc::from(path)),
            exists: AtomicBool::new(exists),
            index_interval: AtomicU32::new(0),
        }
    }

    pub(crate) fn set_index_interval(&self, bytes: u32) {
        self.index_interval.store(bytes, Ordering::Relaxed);
    }

    fn index_interval(&self) -> u64 {
        u64::from(self.index_interval.load(Ordering::Relaxed))
    }

    pub(crate) fn path(&self) -> Arc<Path> {
        Arc::clone(&self.path.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn file(&self, base_offset: Offset, kind: FileKind) -> PathBuf {
        self.path().join(SegmentFile::live(base_offset, kind).to_string())
    }

    pub(crate) fn exists(&self) -> bool {
        self.exists.load(Ordering::Acquire)
    }

    /// Lets `make` make the folder, unless it exists already. Only for the journal's writer.
    pub(crate) fn make(
        &self,
        make: impl FnOnce(&Path) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        if !self.exists() {
            make(&self.path())?;
            self.exists.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// It was given another name.
    pub(crate) fn moved_to(&self, path: &Path) {
        *self.path.write().unwrap_or_else(PoisonError::into_inner) = Arc::from(path);
    }

    /// It was given another name, and is no partition's any more.
    pub(crate) fn left_for(&self, path: &Path) {
        self.exists.store(false, Ordering::Release);
        self.moved_to(path);
    }
}

/// The greatest timestamp of some batches, and the offset that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MaxTimestamp {
    pub timestamp: i64,
    pub offset: Offset,
}

impl MaxTimestamp {
    pub(crate) const fn none(base_offset: Offset) -> Self {
        Self { timestamp: -1, offset: base_offset }
    }

    /// Takes a batch's into account; the first of equals stays.
    pub(crate) fn include(&mut self, timestamp: i64, offset: Offset) {
        if timestamp > self.timestamp {
            *self = Self { timestamp, offset };
        }
    }
}

#[derive(Debug)]
pub(crate) struct Segment {
    base_offset: Offset,
    folder: Arc<Folder>,
    /// Bytes of the file that may be read. Grows with the journal's writer; shrinks by truncation.
    written: AtomicU64,
    /// The greatest timestamp in the file, -1 where there is none.
    max_timestamp: AtomicI64,
    max_timestamp_offset: AtomicI64,
    open: Mutex<Option<Arc<OpenSegment>>>,
    /// Set by use, cleared by the hand of the clock that closes files.
    recently_used: AtomicBool,
    /// Has bytes that are not synced: its file may not be closed.
    dirty: AtomicBool,
    /// Bytes since the kernel was last asked to write back.
    fresh: AtomicU64,
    /// No more batches will come: the next checkpoint syncs the indexes too.
    finished: AtomicBool,
    /// It was cut in memory, and the journal does not know yet: its index files say what it was.
    cut_pending: AtomicBool,
    /// Its index files were written since they were last made durable.
    indexes_fresh: AtomicBool,
    /// Its index files are of before a crash, and are to be written anew before they are read.
    indexes_doubtful: AtomicBool,
    /// Removed from the log: its files are gone, or go any moment.
    gone: AtomicBool,
    transactions: Mutex<Transactions>,
    /// There is no file of them, which may have been lost.
    transactions_missing: AtomicBool,
}

/// The index of aborted transactions: nearly always empty, and then it has no file.
#[derive(Debug)]
enum Transactions {
    OnDisk,
    InMemory(Option<Box<TransactionIndex>>),
}

/// A segment's file and its indexes, while in use.
#[derive(Debug)]
pub(crate) struct OpenSegment {
    pub file: Arc<dyn DiskFile>,
    indexes: Mutex<Indexes>,
}

impl OpenSegment {
    /// Makes the offset and time index anew from the log.
    pub(crate) fn rebuild_indexes(&self, segment: &Segment) -> Result<(), StorageError> {
        let mut indexes = self.indexes();
        *indexes = Indexes::rebuild(segment, &self.file)?;
        Ok(())
    }

    pub(crate) fn new(file: Arc<dyn DiskFile>, indexes: Indexes) -> Self {
        Self { file, indexes: Mutex::new(indexes) }
    }

    pub(crate) fn indexes(&self) -> MutexGuard<'_, Indexes> {
        self.indexes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Segment {
    /// A segment whose file has `written` sound bytes already.
    pub(crate) fn existing(
        folder: &Arc<Folder>,
        base_offset: Offset,
        written: u64,
        has_transactions: bool,
    ) -> Self {
        let transactions =
            if has_transactions { Transactions::OnDisk } else { Transactions::InMemory(None) };
        Self {
            base_offset,
            folder: Arc::clone(folder),
            written: AtomicU64::new(written),
            max_timestamp: AtomicI64::new(-1),
            max_timestamp_offset: AtomicI64::new(base_offset.0),
            open: Mutex::new(None),
            recently_used: AtomicBool::new(false),
            dirty: AtomicBool::new(false),
            fresh: AtomicU64::new(0),
            finished: AtomicBool::new(false),
            cut_pending: AtomicBool::new(false),
            indexes_fresh: AtomicBool::new(false),
            indexes_doubtful: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            transactions: Mutex::new(transactions),
            transactions_missing: AtomicBool::new(!has_transactions && written > 0),
        }
    }

    /// A segment that has no file yet.
    pub(crate) fn new(folder: &Arc<Folder>, base_offset: Offset) -> Self {
        Self::existing(folder, base_offset, 0, false)
    }

    pub(crate) const fn base_offset(&self) -> Offset {
        self.base_offset
    }

    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    pub(crate) fn set_written(&self, bytes: u64) {
        self.written.store(bytes, Ordering::Release);
    }

    pub(crate) fn max_timestamp(&self) -> MaxTimestamp {
        MaxTimestamp {
            timestamp: self.max_timestamp.load(Ordering::Acquire),
            offset: Offset(self.max_timestamp_offset.load(Ordering::Acquire)),
        }
    }

    pub(crate) fn set_max_timestamp(&self, max: MaxTimestamp) {
        self.max_timestamp_offset.store(max.offset.0, Ordering::Release);
        self.max_timestamp.store(max.timestamp, Ordering::Release);
    }

    pub(crate) fn folder(&self) -> &Arc<Folder> {
        &self.folder
    }

    pub(crate) fn path(&self, kind: FileKind) -> PathBuf {
        self.folder.file(self.base_offset, kind)
    }

    pub(crate) fn finish(&self) {
        self.finished.store(true, Ordering::Release);
    }

    /// The log is cut within it: it is appended to again. A crash may undo the cut until it is
    /// durable, so no index is saved before.
    pub(crate) fn begin_cut(&self) {
        self.finished.store(false, Ordering::Release);
        self.cut_pending.store(true, Ordering::Release);
    }

    pub(crate) fn cut_is_durable(&self) {
        self.cut_pending.store(false, Ordering::Release);
    }

    pub(crate) fn is_cut_pending(&self) -> bool {
        self.cut_pending.load(Ordering::Acquire)
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }

    /// Notes fresh bytes; says whether the segment was clean before.
    pub(crate) fn soil(&self) -> bool {
        !self.dirty.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn cleanse(&self) {
        self.dirty.store(false, Ordering::Release);
    }

    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty.load(Ordering::Acquire)
    }

    pub(crate) fn indexes_are_fresh(&self) {
        self.indexes_fresh.store(true, Ordering::Release);
    }

    /// Whether somebody has yet to sync its index files.
    pub(crate) fn has_fresh_indexes(&self) -> bool {
        self.indexes_fresh.load(Ordering::Acquire)
    }

    /// A crash may have left index files that do not fit the log.
    pub(crate) fn doubt_indexes(&self) {
        self.indexes_doubtful.store(true, Ordering::Release);
    }

    /// They were written anew.
    pub(crate) fn believe_indexes(&self) {
        self.indexes_doubtful.store(false, Ordering::Release);
    }

    pub(crate) fn doubts_indexes(&self) -> bool {
        self.indexes_doubtful.load(Ordering::Acquire)
    }

    /// From here on its files are neither opened nor written, since another segment may get their
    /// names; whoever has them open goes on reading. Waits for who is about it right now.
    pub(crate) fn retire(&self) {
        let _slot = self.open_slot();
        self.gone.store(true, Ordering::Release);
    }

    /// Closes the files of a retired segment; `false` while somebody reads them.
    pub(crate) fn close_unread(&self) -> bool {
        let mut slot = self.open_slot();
        let is_read = |open: &Arc<OpenSegment>| {
            Arc::strong_count(open) > 1 || Arc::strong_count(&open.file) > 1
        };
        if slot.as_ref().is_some_and(is_read) {
            return false;
        }
        *slot = None;
        true
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Adds fresh bytes; how many there are once they are worth a write-back, and 0 before.
    pub(crate) fn count_fresh(&self, bytes: u64, worth: u64) -> u64 {
        let fresh = self.fresh.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if fresh < worth {
            return 0;
        }
        self.fresh.store(0, Ordering::Relaxed);
        fresh
    }

    /// Whether its files are open: then something may have changed since they were read.
    pub(crate) fn is_open(&self) -> bool {
        self.open_slot().is_some()
    }

    fn open_slot(&self) -> MutexGuard<'_, Option<Arc<OpenSegment>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the file and loads the indexes; rebuilds what of them is lost or rotten.
    fn open_files(&self, disk: &dyn Disk, how: Open) -> Result<OpenSegment, StorageError> {
        let path = self.path(FileKind::Log);
        let file = disk.open(&path, how).map_err(StorageError::io("open", &path))?;
        let indexes = Indexes::load(disk, self, &file)?;
        let newest = indexes.times.entries().last();
        if self.is_finished() && newest.timestamp >= 0 {
            // By then it is proven; before, its last bytes were believed.
            self.set_max_timestamp(MaxTimestamp {
                timestamp: newest.timestamp,
                offset: newest.offset,
            });
        }
        Ok(OpenSegment { file, indexes: Mutex::new(indexes) })
    }

    /// Aborted transactions that touch `[from, to)`, and whether later segments can add to them.
    pub(crate) fn aborted_transactions(
        &self,
        disk: &dyn Disk,
        from: Offset,
        to: Offset,
    ) -> Result<(Vec<AbortedTransaction>, bool), StorageError> {
        self.with_transactions(disk, |index| match index {
            Some(index) => {
                let found = index.entries().overlapping(from, to);
                (found.transactions, found.is_complete)
            }
            None => (Vec::new(), false),
        })
    }

    pub(crate) fn add_aborted(
        &self,
        disk: &dyn Disk,
        aborted: AbortedTransaction,
    ) -> Result<(), StorageError> {
        let base_offset = self.base_offset;
        let path = self.path(FileKind::TransactionIndex);
        self.with_transactions(disk, |index| {
            let index = index.get_or_insert_with(|| Box::new(TransactionIndex::new(base_offset)));
            index.append(aborted)
        })?
        .map_err(|error| StorageError::corrupt(&path, 0, error.to_string()))
    }

    pub(crate) fn truncate_transactions(
        &self,
        disk: &dyn Disk,
        to: Offset,
    ) -> Result<(), StorageError> {
        self.with_transactions(disk, |index| index.iter_mut().for_each(|i| i.truncate_to(to)))
    }

    /// Gives a segment that compaction wrote its index, which is in a file already.
    pub(crate) fn set_transactions(&self, index: TransactionIndex) {
        let index = (index.len_bytes() > 0).then(|| Box::new(index));
        self.transactions_missing.store(false, Ordering::Release);
        *self.transactions.lock().unwrap_or_else(PoisonError::into_inner) =
            Transactions::InMemory(index);
    }

    /// Whether its transaction index has a file, or gets one when it is saved.
    pub(crate) fn has_transactions(&self) -> bool {
        let state = self.transactions.lock().unwrap_or_else(PoisonError::into_inner);
        !matches!(*state, Transactions::InMemory(None))
    }

    /// Forgets the index, before it is built anew from the log.
    pub(crate) fn forget_transactions(&self) {
        self.transactions_missing.store(false, Ordering::Release);
        *self.transactions.lock().unwrap_or_else(PoisonError::into_inner) =
            Transactions::InMemory(None);
    }

    /// Whether nobody knows yet if there were any.
    pub(crate) fn misses_transactions(&self) -> bool {
        self.transactions_missing.load(Ordering::Acquire)
    }

    /// Takes over the index of one that was found again from the log, unless somebody was faster.
    pub(crate) fn adopt_transactions(&self, found: &Self) {
        let mut state = self.transactions.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = found.transactions.lock().unwrap_or_else(PoisonError::into_inner);
        if self.misses_transactions() {
            if let Transactions::InMemory(index) = &mut *found {
                // Where there were none nothing is written either.
                let index = index.take().filter(|index| index.len_bytes() > 0);
                *state = Transactions::InMemory(index);
            }
            self.transactions_missing.store(false, Ordering::Release);
        }
    }

    /// It has something of a transaction: its index gets a file even if it is empty, so that one
    /// that was lost is missed.
    pub(crate) fn expect_transactions(&self) {
        let mut state = self.transactions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Transactions::InMemory(index @ None) = &mut *state {
            *index = Some(Box::new(TransactionIndex::new(self.base_offset)));
        }
    }

    /// Writes what the transaction index's file does not have. Says whether there is a file.
    pub(crate) fn save_transactions(&self, disk: &dyn Disk) -> Result<bool, StorageError> {
        let path = self.path(FileKind::TransactionIndex);
        self.with_transactions(disk, |index| {
            let Some(index) = index else { return Ok(false) };
            indexes::save(disk, &path, index.unwritten(), index.len_bytes())?;
            index.mark_written();
            Ok(true)
        })?
    }

    fn with_transactions<T>(
        &self,
        disk: &dyn Disk,
        act: impl FnOnce(&mut Option<Box<TransactionIndex>>) -> T,
    ) -> Result<T, StorageError> {
        let mut state = self.transactions.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, Transactions::OnDisk) {
            let path = self.path(FileKind::TransactionIndex);
            let bytes = disk.read(&path).map_err(StorageError::io("read", &path))?;
            let index = TransactionIndex::parse(self.base_offset, &bytes)
                .map_err(|error| StorageError::corrupt(&path, 0, error.to_string()))?;
            *state = Transactions::InMemory(Some(Box::new(index)));
        }
        match &mut *state {
            Transactions::InMemory(index) => Ok(act(index)),
            Transactions::OnDisk => Ok(act(&mut None)),
        }
    }
}
