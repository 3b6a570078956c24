//! The ring of files that rounds are written to: where the next one goes, and which files are free
//! again.
//!
//! It knows nothing of partitions. A file is reused only when a durable round has said that nothing
//! in it is needed any more, and a block that holds an acknowledged entry is not written before.

use std::{
    collections::VecDeque,
    io::IoSlice,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use milena_env::{
    Disk, DiskFile,
    disk::{AlignedMemory, Open},
};

use super::round::{BLOCK, FileHeader, ROUND_HEADER_LEN, RingKey, RoundHeader};
use crate::{error::StorageError, names};

/// Zeros for padding, and for writing files ahead of use.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// One file of the ring.
#[derive(Debug)]
pub(crate) struct RingFile {
    pub file: Arc<dyn DiskFile>,
    pub path: PathBuf,
    pub len: u64,
    /// How often it has been used.
    pub generation: u64,
    /// The highest sequence in it.
    pub last_sequence: u64,
}

/// Who a ring belongs to; the same in all its files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RingIdentity {
    pub directory_id: [u8; 16],
    pub key: RingKey,
}

/// Makes new files for a ring, on whatever thread has time for it.
#[derive(Debug)]
pub(crate) struct RingFiles {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    identity: RingIdentity,
    /// The number of the next file, and the files that the writer has not taken yet.
    made: Mutex<(u32, Vec<RingFile>)>,
    /// Bytes of all files of the ring, taken or not.
    capacity: AtomicU64,
}

impl RingFiles {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        directory: &Path,
        identity: RingIdentity,
        next_number: u32,
        existing: u64,
    ) -> Self {
        let made = Mutex::new((next_number, Vec::new()));
        let capacity = AtomicU64::new(existing);
        Self { disk, directory: directory.to_owned(), identity, made, capacity }
    }

    /// Bytes of all files of the ring.
    pub(crate) fn capacity(&self) -> u64 {
        self.capacity.load(Ordering::Relaxed)
    }

    /// Writes a file of zeros and its header, syncs both and the folder, and leaves it for the
    /// writer. Slow, and never on the way of an acknowledgement.
    pub(crate) fn make(&self, len: u64) -> Result<(), StorageError> {
        let number = {
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            made.0 += 1;
            made.0 - 1
        };
        let path = self.directory.join(names::journal_file(number));
        let opened = self.disk.open_past_cache(&path, Open::Create);
        let file = opened.map_err(StorageError::io("create", &path))?;
        let identity = self.identity;
        let header = FileHeader { directory_id: identity.directory_id, key: identity.key, len };
        let write = || {
            let mut position = 0;
            while position < len {
                let chunk = (len - position).min(ZEROS.len() as u64) as usize;
                let zeros = ZEROS.get(..chunk).unwrap_or_default();
                file.write_all_at(&[IoSlice::new(zeros)], position)?;
                position += chunk as u64;
            }
            file.write_all_at(&[IoSlice::new(&header.to_bytes())], 0)?;
            file.sync_data()?;
            self.disk.sync_dir(&self.directory)
        };
        if let Err(source) = write() {
            // A file that is not whole is of no use and may be what fills the disk.
            let _ = self.disk.remove_file(&path);
            return Err(StorageError::Io { doing: "write zeros to", path, source });
        }
        let made = RingFile { file, path, len, generation: 0, last_sequence: 0 };
        self.made.lock().unwrap_or_else(PoisonError::into_inner).1.push(made);
        self.capacity.fetch_add(len, Ordering::Relaxed);
        Ok(())
    }

    fn take(&self) -> Vec<RingFile> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut made.1)
    }
}

/// Where rounds go. Owned by the one thread that writes them.
#[derive(Debug)]
pub(crate) struct Ring {
    pub(crate) files: Arc<RingFiles>,
    active: RingFile,
    /// Where the next round starts in the active file.
    position: u64,
    /// Files whose rounds may still be needed, oldest first.
    used: VecDeque<RingFile>,
    free: Vec<RingFile>,
    next_sequence: u64,
    /// The tail that the last round carried: a crash replays nothing below it.
    carried_tail: u64,
    /// How often the ring has moved to another file: aliases hold for one such use.
    file_use: u64,
    /// Kept for its capacity.
    memory: AlignedMemory,
}

impl Ring {
    /// A ring that goes on behind the round `last_sequence` in `active` at `position`.
    pub(crate) fn continuing(
        files: Arc<RingFiles>,
        active: RingFile,
        position: u64,
        last_sequence: u64,
        others: Vec<RingFile>,
    ) -> Self {
        Self {
            files,
            active,
            position,
            used: VecDeque::new(),
            free: others,
            next_sequence: last_sequence + 1,
            carried_tail: 0,
            file_use: 1,
            memory: AlignedMemory::default(),
        }
    }

    /// A new ring on files that were just made; `None` if there are none.
    pub(crate) fn fresh(files: Arc<RingFiles>) -> Option<Self> {
        let mut free = files.take();
        let mut active = free.pop()?;
        active.generation = 1;
        Some(Self::continuing(files, active, BLOCK, 0, free))
    }

    pub(crate) const fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    pub(crate) const fn carried_tail(&self) -> u64 {
        self.carried_tail
    }

    pub(crate) const fn file_use(&self) -> u64 {
        self.file_use
    }

    pub(crate) fn key(&self) -> RingKey {
        self.files.identity.key
    }

    /// Bytes in all files, and bytes that cannot be written to before a checkpoint.
    pub(crate) fn usage(&self) -> (u64, u64) {
        let used: u64 = self.used.iter().map(|f| f.len).sum();
        (self.files.capacity(), used + self.position)
    }

    /// Makes room for a round with this many bytes of entries, moving to another file if it must;
    /// `false` while the ring is full.
    pub(crate) fn make_room(&mut self, entries_len: u64) -> bool {
        let padded = RoundHeader::padded(entries_len);
        // The last block of a file is kept for a round without entries.
        if self.position + padded + BLOCK <= self.active.len {
            return true;
        }
        self.free.extend(self.files.take());
        let fits = |f: &RingFile| BLOCK + padded + BLOCK <= f.len;
        let Some(index) = self.free.iter().position(fits) else { return false };
        self.move_to(index);
        true
    }

    /// Moves to any free file, if nothing else would ever be set free or written to.
    pub(crate) fn leave_active(&mut self) {
        let is_stuck = self.used.is_empty() && self.position > BLOCK || !self.has_reserve();
        if is_stuck && !self.free.is_empty() {
            self.move_to(0);
        }
    }

    fn move_to(&mut self, free: usize) {
        let mut next = self.free.swap_remove(free);
        next.generation += 1;
        self.used.push_back(std::mem::replace(&mut self.active, next));
        self.position = BLOCK;
        self.file_use += 1;
    }

    /// The largest round that any file of the ring could ever take.
    pub(crate) fn largest_round(&self) -> u64 {
        let files = self.free.iter().chain(&self.used).chain([&self.active]);
        files.map(|f| f.len).max().unwrap_or(0).saturating_sub(2 * BLOCK + ROUND_HEADER_LEN as u64)
    }

    /// Writes one round, durably. Room for it was made before, or it has no entries.
    pub(crate) fn write(
        &mut self,
        tail: u64,
        entries: u32,
        slices: &[&[u8]],
    ) -> Result<(), StorageError> {
        let len: u64 = slices.iter().map(|s| s.len() as u64).sum();
        let padded = RoundHeader::padded(len);
        assert!(self.position + padded <= self.active.len, "no room was made for the round");
        let header = RoundHeader {
            entries,
            sequence: self.next_sequence,
            tail,
            // One round is under way at a time: all before it are synced.
            durable_through: self.next_sequence - 1,
            generation: self.active.generation,
            len,
        };
        let header = header.to_bytes(&self.key());
        let padding = (padded - len) as usize - ROUND_HEADER_LEN;
        let mut io = Vec::with_capacity(slices.len() + 2);
        io.push(IoSlice::new(&header));
        io.extend(slices.iter().map(|s| IoSlice::new(s)));
        io.push(IoSlice::new(ZEROS.get(..padding).unwrap_or_default()));
        let path = &self.active.path;
        let written = self.active.file.write_durably(&io, self.position, &mut self.memory);
        written.map_err(StorageError::io("write a round to", path))?;
        self.active.last_sequence = self.next_sequence;
        self.position += padded;
        self.next_sequence += 1;
        self.carried_tail = tail;
        self.recycle(tail);
        Ok(())
    }

    /// Whether a round without entries that carries this tail would free a file.
    pub(crate) fn would_free(&self, tail: u64) -> bool {
        self.used.front().is_some_and(|f| f.last_sequence < tail) && self.has_reserve()
    }

    /// Whether the active file has its last block left.
    pub(crate) fn has_reserve(&self) -> bool {
        self.position + BLOCK <= self.active.len
    }

    fn recycle(&mut self, tail: u64) {
        while self.used.front().is_some_and(|f| f.last_sequence < tail) {
            self.free.extend(self.used.pop_front());
        }
    }

    /// Removes the ring after a clean stop. The file with the last round goes last, in a step of
    /// its own: without it the others would speak of an older tail.
    pub(crate) fn remove(mut self) -> Result<(), StorageError> {
        self.free.extend(self.files.take());
        let disk = &self.files.disk;
        let directory = &self.files.directory;
        let remove = |file: &RingFile| {
            disk.remove_file(&file.path).map_err(StorageError::io("remove", &file.path))
        };
        let sync = || disk.sync_dir(directory).map_err(StorageError::io("sync", directory));
        self.free.iter().chain(&self.used).try_for_each(remove)?;
        sync()?;
        remove(&self.active)?;
        sync()
    }
}
