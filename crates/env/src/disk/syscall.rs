//! The system calls that rustix does not offer, each in a safe shape. All of this crate's
//! `unsafe` is here and in `memory`.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

/// Takes a write lock on the whole file, for as long as its open file description lives.
///
/// It conflicts with the record locks of other processes (Java's `FileChannel.tryLock`) and, other
/// than those, also within this process; nor is it lost when somebody else closes the same file.
pub(super) fn lock_exclusively(fd: BorrowedFd<'_>) -> io::Result<()> {
    let whole_file = whole_file();
    // SAFETY: the descriptor is borrowed for the length of the call, and the kernel only reads
    // the structure, which outlives it.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_OFD_SETLK, &raw const whole_file) })
}

/// Whether somebody else could not take that lock now.
pub(super) fn is_locked(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut whole_file = whole_file();
    // SAFETY: the descriptor is borrowed for the length of the call, and the structure that the
    // kernel writes to outlives it and is nobody else's.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_OFD_GETLK, &raw mut whole_file) })?;
    Ok(whole_file.l_type != libc::F_UNLCK as libc::c_short)
}

const fn whole_file() -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

/// Starts writing the dirty pages of a range back without waiting for them, nor for the device.
pub(super) fn start_write_back(fd: BorrowedFd<'_>, position: u64, len: u64) -> io::Result<()> {
    let offset = i64::try_from(position).map_err(|_| io::ErrorKind::InvalidInput)?;
    let bytes = i64::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
    let raw = fd.as_raw_fd();
    // SAFETY: no memory is passed, and the descriptor is borrowed for the length of the call.
    check(unsafe { libc::sync_file_range(raw, offset, bytes, libc::SYNC_FILE_RANGE_WRITE) })
}

fn check(answer: libc::c_int) -> io::Result<()> {
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
