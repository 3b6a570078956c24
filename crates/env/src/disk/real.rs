//! The machine's file system. Owns nothing but open descriptors; every call is one system call or
//! a short loop of it, and no error is hidden, least of all that of a sync.

use std::{
    fs,
    io::{self, IoSlice, IoSliceMut},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::{
    fs::{Mode, OFlags, Timespec, Timestamps, UTIME_OMIT},
    io::{Errno, ReadWriteFlags, retry_on_intr},
};

use super::{Disk, DiskFile, Entry, FileSystem, Lock, Metadata, Open, Space, syscall};

/// What one `pwritev` takes at most (IOV_MAX).
const SLICES_MAX: usize = 1024;

/// The machine's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

#[derive(Debug)]
struct RealFile(OwnedFd);

/// The descriptor is the lock: the kernel releases it when the descriptor closes.
#[derive(Debug)]
struct RealLock {
    _held: OwnedFd,
}

impl Lock for RealLock {}

fn open(path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let mode = Mode::from_raw_mode(0o644);
    Ok(retry_on_intr(|| rustix::fs::open(path, flags | OFlags::CLOEXEC, mode))?)
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that touches real files")]
impl Disk for RealDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let flags = match how {
            Open::Read => OFlags::RDONLY,
            Open::ReadWrite => OFlags::RDWR,
            Open::Create => OFlags::RDWR | OFlags::CREATE,
            Open::CreateNew => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
        };
        Ok(Arc::new(RealFile(open(path, flags)?)))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        let file = open(path, OFlags::RDWR | OFlags::CREATE)?;
        syscall::lock_exclusively(file.as_fd()).map_err(|error| {
            match Errno::from_io_error(&error) {
                // POSIX lets a held lock be either of the two.
                Some(Errno::ACCESS | Errno::AGAIN) => io::ErrorKind::WouldBlock.into(),
                _ => error,
            }
        })?;
        Ok(Box::new(RealLock { _held: file }))
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let found = fs::metadata(path)?;
        Ok(Metadata { len: found.len(), is_dir: found.is_dir(), modified: found.modified()? })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let is_dir = kind.is_dir() || (kind.is_symlink() && entry.path().is_dir());
            entries.push(Entry { name: entry.file_name().to_string_lossy().into_owned(), is_dir });
        }
        entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        Ok(rustix::fs::fsync(open(dir, OFlags::RDONLY | OFlags::DIRECTORY)?)?)
    }

    fn file_system(&self, path: &Path) -> io::Result<Box<dyn FileSystem>> {
        Ok(Box::new(RealFileSystem(open(path, OFlags::RDONLY)?)))
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let found = rustix::fs::statvfs(path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Space { total: bytes(found.f_blocks), free: bytes(found.f_bavail) })
    }
}

/// The kernel tells a descriptor of the losses since it was opened or last told.
#[derive(Debug)]
struct RealFileSystem(OwnedFd);

impl FileSystem for RealFileSystem {
    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.0)?)
    }
}

impl RealFile {
    /// Whether one byte comes from the page cache.
    fn is_byte_cached(&self, position: u64) -> bool {
        let mut byte = [0];
        let mut into = [IoSliceMut::new(&mut byte)];
        let read = rustix::io::preadv2(&self.0, &mut into, position, ReadWriteFlags::NOWAIT);
        // Anything else (a file system that cannot tell, say) is for the read itself to report.
        read != Err(Errno::AGAIN)
    }
}

/// Calls `write` until all of `slices` is written, with as many of them as one call takes.
fn write_fully(
    slices: &[IoSlice<'_>],
    mut position: u64,
    mut write: impl FnMut(&[IoSlice<'_>], u64) -> io::Result<usize>,
) -> io::Result<()> {
    let mut rest = slices;
    // How much of the first slice of `rest` is already written.
    let mut begun = 0;
    while let Some(first) = rest.first() {
        let written = if begun > 0 {
            write(&[IoSlice::new(first.get(begun..).unwrap_or_default())], position)?
        } else {
            write(rest.get(..SLICES_MAX).unwrap_or(rest), position)?
        };
        position += written as u64;
        begun += written;
        let remaining = rest.len();
        while let Some((first, others)) = rest.split_first()
            && begun >= first.len()
        {
            begun -= first.len();
            rest = others;
        }
        if written == 0 && rest.len() == remaining {
            return Err(io::ErrorKind::WriteZero.into());
        }
    }
    Ok(())
}

impl DiskFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        Ok(retry_on_intr(|| rustix::io::pread(&self.0, &mut *buffer, position))?)
    }

    fn write_all_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        write_fully(slices, position, |slices, position| {
            Ok(retry_on_intr(|| rustix::io::pwritev(&self.0, slices, position))?)
        })
    }

    fn size(&self) -> io::Result<u64> {
        let found = rustix::fs::fstat(&self.0)?;
        u64::try_from(found.st_size).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        Ok(retry_on_intr(|| rustix::fs::ftruncate(&self.0, len))?)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(rustix::fs::fdatasync(&self.0)?)
    }

    fn start_write_back(&self, position: u64, len: u64) -> io::Result<()> {
        // To the kernel no length means "to the end of the file".
        if len == 0 { Ok(()) } else { syscall::start_write_back(self.0.as_fd(), position, len) }
    }

    fn is_cached(&self, position: u64, len: u64) -> bool {
        // Both ends tell for the range: pages are brought in and dropped in long runs.
        let last = position.saturating_add(len.saturating_sub(1));
        self.is_byte_cached(position) && (len <= 1 || self.is_byte_cached(last))
    }

    fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let last_modification = Timespec {
            tv_sec: i64::try_from(since.as_secs()).map_err(|_| io::ErrorKind::InvalidInput)?,
            tv_nsec: i64::from(since.subsec_nanos()),
        };
        let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        Ok(rustix::fs::futimens(&self.0, &Timestamps { last_access, last_modification })?)
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }
}

#[cfg(test)]
mod test {
    use rustix::fs::{FlockOperation, fcntl_lock, fstatfs};

    use super::*;

    #[test]
    fn a_write_cut_short_goes_on_where_it_stopped() {
        let pieces: Vec<Vec<u8>> = (0..50_u8).map(|n| vec![n; usize::from(n) % 7]).collect();
        let slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        for most in 1..20 {
            let mut written: Vec<u8> = Vec::new();
            write_fully(&slices, 100, |slices, position| {
                assert_eq!(position, 100 + written.len() as u64);
                let before = written.len();
                written.extend(slices.iter().flat_map(|slice| slice.iter()).take(most));
                Ok(written.len() - before)
            })
            .unwrap();
            assert_eq!(written, pieces.concat(), "{most} at a time");
        }
        let stuck = write_fully(&[IoSlice::new(b"x")], 0, |_, _| Ok(0)).unwrap_err();
        assert_eq!(stuck.kind(), io::ErrorKind::WriteZero);
    }

    #[test]
    fn its_lock_keeps_out_those_who_lock_as_java_does() {
        let path = std::env::temp_dir().join(format!("milena-{}.lock", std::process::id()));
        let held = RealDisk.lock(&path).unwrap();
        let other = open(&path, OFlags::RDWR).unwrap();
        let refused = fcntl_lock(&other, FlockOperation::NonBlockingLockExclusive);
        assert_eq!(refused, Err(Errno::AGAIN));
        drop(held);
        fcntl_lock(&other, FlockOperation::NonBlockingLockExclusive).unwrap();
        let refused = RealDisk.lock(&path).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
        RealDisk.remove_file(&path).unwrap();
    }

    #[test]
    fn what_is_not_in_the_page_cache_is_not_cached() {
        let path = std::env::temp_dir().join(format!("milena-{}.cold", std::process::id()));
        let file = RealFile(open(&path, OFlags::RDWR | OFlags::CREATE).unwrap());
        // To drop pages is mere advice to the kernel, so these never get there: they are written
        // past it. A temporary file system has nothing but its pages, and lets nobody do that.
        let direct = open(&path, OFlags::RDWR | OFlags::DIRECT).map(RealFile);
        RealDisk.remove_file(&path).unwrap();
        const TMPFS: i64 = 0x0102_1994;
        if fstatfs(&file.0).unwrap().f_type == TMPFS {
            return;
        }
        const BLOCK: usize = 4096;
        let room = vec![1; (1 << 20) + BLOCK];
        let aligned = &room[room.as_ptr().align_offset(BLOCK)..][..1 << 20];
        direct.unwrap().write_all_at(&[IoSlice::new(aligned)], 0).unwrap();
        assert!(!file.is_cached(0, 1 << 20));
        file.read_at(&mut [0], 0).unwrap();
        assert!(file.is_cached(0, 1));
        file.write_all_at(&[IoSlice::new(&[1; 1 << 20])], 0).unwrap();
        assert!(file.is_cached(0, 1 << 20));
    }
}
