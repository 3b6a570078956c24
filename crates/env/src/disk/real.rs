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

use super::{
    AlignedMemory, Disk, DiskFile, Entry, FileSystem, Lock, Metadata, Open, Space, aligned::BLOCK,
    syscall,
};

/// What one `pwritev` takes at most (IOV_MAX).
const SLICES_MAX: usize = 1024;

/// The machine's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

/// A durable write of more goes through the page cache: to copy the bytes costs more than it saves.
const PAST_CACHE_BYTES_MAX: usize = 128 << 10;

#[derive(Debug)]
struct RealFile {
    descriptor: OwnedFd,
    /// O_DIRECT and O_DSYNC: a write is on the device when it returns.
    past_cache: Option<OwnedFd>,
}

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

fn flags(how: Open) -> OFlags {
    match how {
        Open::Read => OFlags::RDONLY,
        Open::ReadWrite => OFlags::RDWR,
        Open::Create => OFlags::RDWR | OFlags::CREATE,
        Open::CreateNew => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that touches real files")]
impl Disk for RealDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(RealFile { descriptor: open(path, flags(how))?, past_cache: None }))
    }

    fn open_past_cache(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let descriptor = open(path, flags(how))?;
        // Some file systems are a page cache and nothing else, and refuse this.
        let past_cache = open(path, OFlags::WRONLY | OFlags::DIRECT | OFlags::DSYNC).ok();
        Ok(Arc::new(RealFile { descriptor, past_cache }))
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

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        syscall::is_locked(open(path, OFlags::RDONLY)?.as_fd())
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
        let read =
            rustix::io::preadv2(&self.descriptor, &mut into, position, ReadWriteFlags::NOWAIT);
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
        Ok(retry_on_intr(|| rustix::io::pread(&self.descriptor, &mut *buffer, position))?)
    }

    fn write_all_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        write_fully(slices, position, |slices, position| {
            Ok(retry_on_intr(|| rustix::io::pwritev(&self.descriptor, slices, position))?)
        })
    }

    fn write_durably(
        &self,
        slices: &[IoSlice<'_>],
        position: u64,
        memory: &mut AlignedMemory,
    ) -> io::Result<()> {
        let len: usize = slices.iter().map(|slice| slice.len()).sum();
        let is_whole = len.is_multiple_of(BLOCK) && position.is_multiple_of(BLOCK as u64);
        if let Some(past_cache) = &self.past_cache
            && is_whole
            && len <= PAST_CACHE_BYTES_MAX
        {
            let copy = [IoSlice::new(memory.copy_of(slices))];
            let written = write_fully(&copy, position, |slices, position| {
                Ok(retry_on_intr(|| rustix::io::pwritev(past_cache, slices, position))?)
            });
            match written {
                // The file system opens such a file, and cannot write this to it after all.
                Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => {}
                other => return other,
            }
        }
        self.write_all_at(slices, position)?;
        self.sync_data()
    }

    fn size(&self) -> io::Result<u64> {
        let found = rustix::fs::fstat(&self.descriptor)?;
        u64::try_from(found.st_size).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        Ok(retry_on_intr(|| rustix::fs::ftruncate(&self.descriptor, len))?)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(rustix::fs::fdatasync(&self.descriptor)?)
    }

    fn start_write_back(&self, position: u64, len: u64) -> io::Result<()> {
        // To the kernel no length means "to the end of the file".
        if len == 0 {
            Ok(())
        } else {
            syscall::start_write_back(self.descriptor.as_fd(), position, len)
        }
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
        Ok(rustix::fs::futimens(&self.descriptor, &Timestamps { last_access, last_modification })?)
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.descriptor.as_fd())
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
        assert!(RealDisk.is_locked(&path).unwrap());
        let other = open(&path, OFlags::RDWR).unwrap();
        let refused = fcntl_lock(&other, FlockOperation::NonBlockingLockExclusive);
        assert_eq!(refused, Err(Errno::AGAIN));
        drop(held);
        assert!(!RealDisk.is_locked(&path).unwrap());
        fcntl_lock(&other, FlockOperation::NonBlockingLockExclusive).unwrap();
        let refused = RealDisk.lock(&path).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
        RealDisk.remove_file(&path).unwrap();
    }

    /// Past the page cache or through it, as the file system of `folder` lets us.
    fn durable_writes_are_read_back(folder: &Path) -> bool {
        let path = folder.join(format!("milena-{}.durable", std::process::id()));
        let how = (flags(Open::CreateNew), flags(Open::Read));
        let past_cache = |of| open(of, OFlags::WRONLY | OFlags::DIRECT | OFlags::DSYNC).ok();
        let descriptor = open(&path, how.0).unwrap();
        let file = RealFile { past_cache: past_cache(&path), descriptor };
        let reader = RealFile { descriptor: open(&path, how.1).unwrap(), past_cache: None };
        RealDisk.remove_file(&path).unwrap();
        let mut memory = AlignedMemory::default();
        let mut expected = vec![0; 3 << 20];
        // In whole blocks and not, small and too large for the way past the cache, in one place.
        let writes =
            [(0, 64, 4032), (1, 4096, 8192), (1, 100, 17), (8, 1 << 17, 0), (2, 2 << 20, 0)];
        for (round, (block, first, second)) in writes.into_iter().cycle().take(15).enumerate() {
            let (one, two) = (vec![round as u8 + 1; first], vec![round as u8 + 101; second]);
            let position = block * BLOCK;
            let slices = [IoSlice::new(&one), IoSlice::new(&two)];
            file.write_durably(&slices, position as u64, &mut memory).unwrap();
            expected[position..position + first].copy_from_slice(&one);
            expected[position + first..position + first + second].copy_from_slice(&two);
            let mut bytes = vec![0; reader.size().unwrap() as usize];
            (&reader as &dyn DiskFile).read_exact_at(&mut bytes, 0).unwrap();
            assert!(bytes == expected[..bytes.len()], "round {round}");
        }
        file.past_cache.is_some()
    }

    #[test]
    fn a_durable_write_is_read_back_whether_or_not_it_went_past_the_cache() {
        durable_writes_are_read_back(&std::env::temp_dir());
        let memory = Path::new("/dev/shm");
        if RealDisk.metadata(memory).is_ok() {
            durable_writes_are_read_back(memory);
        }
    }

    #[test]
    fn what_is_not_in_the_page_cache_is_not_cached() {
        let path = std::env::temp_dir().join(format!("milena-{}.cold", std::process::id()));
        let file = RealDisk.open(&path, Open::Create).unwrap();
        // To drop pages is mere advice to the kernel, so these never get there: they are written
        // past it. A temporary file system has nothing but its pages, and lets nobody do that.
        let direct = RealDisk.open_past_cache(&path, Open::ReadWrite).unwrap();
        RealDisk.remove_file(&path).unwrap();
        const TMPFS: i64 = 0x0102_1994;
        if fstatfs(file.fd().unwrap()).unwrap().f_type == TMPFS {
            return;
        }
        let bytes = vec![1; PAST_CACHE_BYTES_MAX];
        for position in (0..1 << 20).step_by(bytes.len()) {
            let slices = [IoSlice::new(&bytes)];
            direct.write_durably(&slices, position, &mut AlignedMemory::default()).unwrap();
        }
        assert!(!file.is_cached(0, 1 << 20));
        file.read_at(&mut [0], 0).unwrap();
        assert!(file.is_cached(0, 1));
        file.write_all_at(&[IoSlice::new(&[1; 1 << 20])], 0).unwrap();
        assert!(file.is_cached(0, 1 << 20));
    }
}
