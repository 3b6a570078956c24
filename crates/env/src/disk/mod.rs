//! Files as a value: `Arc<dyn Disk>`.
//!
//! [`RealDisk`] is the machine's file system. [`SimulatedDisk`] keeps, loses or tears whatever was
//! not synced. Both obey the same contract, which is POSIX's and no kinder:
//!
//! - bytes written are durable once [`DiskFile::sync_data`] (or [`Disk::sync_file_system`])
//!   returned `Ok`; an error means that nobody knows, ever again, what is on disk;
//! - a created, renamed or removed name is durable once [`Disk::sync_dir`] of its folder returned;
//! - a rename replaces its target atomically.

mod aligned;
mod real;
pub mod simulated;
mod syscall;
#[cfg(test)]
mod test;

use std::{
    fmt::Debug,
    io::{self, IoSlice},
    os::fd::BorrowedFd,
    path::Path,
    sync::Arc,
    time::SystemTime,
};

pub use aligned::AlignedMemory;
pub use real::RealDisk;
pub use simulated::SimulatedDisk;

/// How a file is to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// An existing file, to be read only.
    Read,
    /// An existing file, to be read and written.
    ReadWrite,
    /// A file to be read and written, created where it does not exist.
    Create,
    /// A file to be read and written that must not exist yet.
    CreateNew,
}

/// What a folder holds under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name inside its folder.
    pub name: String,
    /// Whether it is a folder itself.
    pub is_dir: bool,
}

/// What is known of a file without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Length in bytes.
    pub len: u64,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// When its bytes were last changed.
    pub modified: SystemTime,
}

/// Room on the file system of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes in all.
    pub total: u64,
    /// Bytes that this process may still use.
    pub free: u64,
}

/// Held while a process owns a file that it locked; released when dropped.
pub trait Lock: Debug + Send + Sync {}

/// A whole file system, held since before it was written to.
pub trait FileSystem: Debug + Send + Sync {
    /// Makes everything on it durable; fails if any byte was lost since it was last asked.
    fn sync(&self) -> io::Result<()>;
}

/// One file system.
pub trait Disk: Debug + Send + Sync {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>>;
    /// The same, of a file whose [`DiskFile::write_durably`] goes past the page cache where the
    /// file system can.
    fn open_past_cache(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        self.open(path, how)
    }
    /// Takes the exclusive lock (fcntl) of a file, creating it; `WouldBlock` when another holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>>;
    /// Whether somebody holds the lock of a file, which is left as it is; `NotFound` if there is
    /// no such file.
    fn is_locked(&self, path: &Path) -> io::Result<bool>;
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;
    /// What a folder holds, in the order of names.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Within one folder: nobody needs more, and the simulated disk refuses it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// A hold on the file system of `path`, to make all of it durable later.
    fn file_system(&self, path: &Path) -> io::Result<Box<dyn FileSystem>>;
    /// Makes everything on the file system of `path` durable. It is not told of bytes that were
    /// lost before the call: who needs to know holds a [`FileSystem`] from the beginning.
    fn sync_file_system(&self, path: &Path) -> io::Result<()> {
        self.file_system(path)?.sync()
    }
    fn space(&self, path: &Path) -> io::Result<Space>;
}

/// One open file. Shared by readers and a writer; positions are given with each call.
pub trait DiskFile: Debug + Send + Sync {
    /// Reads at most `buffer.len()` bytes; 0 at the end of the file.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;
    /// Writes all of `slices`, one after the other, from `position` on. On an error any part of
    /// them may have been written.
    fn write_all_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<()>;
    /// Writes as [`write_all_at`](Self::write_all_at), and returns when these bytes, and maybe no
    /// others, are durable. Quickest in whole blocks of 4 KiB; `memory` is the caller's to keep
    /// for the next call.
    fn write_durably(
        &self,
        slices: &[IoSlice<'_>],
        position: u64,
        _memory: &mut AlignedMemory,
    ) -> io::Result<()> {
        self.write_all_at(slices, position)?;
        self.sync_data()
    }
    fn size(&self) -> io::Result<u64>;
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes the file's bytes and length durable (fdatasync).
    fn sync_data(&self) -> io::Result<()>;
    /// Asks the kernel to start writing a range back, without waiting for it.
    fn start_write_back(&self, position: u64, len: u64) -> io::Result<()>;
    /// Whether a range can be read without waiting for the device; `true` where nobody can tell.
    fn is_cached(&self, position: u64, len: u64) -> bool;
    /// Sets the time of last change, by which Kafka dates a segment without timestamps.
    fn set_modified(&self, time: SystemTime) -> io::Result<()>;
    /// The descriptor for `sendfile`; the simulated disk has none.
    fn fd(&self) -> Option<BorrowedFd<'_>>;
}

impl dyn DiskFile + '_ {
    /// Fills `buffer` from `position` on; `UnexpectedEof` where the file ends before.
    pub fn read_exact_at(&self, mut buffer: &mut [u8], mut position: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.read_at(buffer, position)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => {
                    buffer = buffer.get_mut(n..).unwrap_or_default();
                    position += n as u64;
                }
            }
        }
        Ok(())
    }
}

impl dyn Disk + '_ {
    /// The whole of a small file. Callers bound what they read by what they wrote.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.open(path, Open::Read)?;
        let len = usize::try_from(file.size()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    /// Replaces a small file so that a crash leaves the old or the new one, never a mixture:
    /// a `.tmp` beside it, synced, renamed, and the folder synced.
    pub fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut name = path.as_os_str().to_owned();
        name.push(".tmp");
        let temporary = Path::new(&name);
        let file = self.open(temporary, Open::Create)?;
        file.set_len(0)?;
        file.write_all_at(&[IoSlice::new(bytes)], 0)?;
        file.sync_data()?;
        drop(file);
        self.rename(temporary, path)?;
        self.sync_dir(path.parent().unwrap_or(Path::new(".")))
    }
}
