//! An open file, and a held lock, of one process.

use std::{
    io::{self, IoSlice},
    os::fd::BorrowedFd,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::SystemTime,
};

use rustix::io::Errno;

use super::{
    Machine, State,
    content::{Content, PAGE},
    folder::lock,
    hash,
    script::{Fate, Operation, input_output_error},
};
use crate::disk::{DiskFile, Lock};

#[derive(Debug)]
pub(super) struct SimulatedFile {
    pub(super) machine: Arc<Machine>,
    pub(super) process: u64,
    /// The name that it was opened by, which a rename does not change.
    pub(super) path: PathBuf,
    pub(super) is_writable: bool,
    pub(super) content: Arc<Mutex<Content>>,
}

impl SimulatedFile {
    fn run<T>(
        &self,
        operation: Operation,
        detail: u64,
        act: impl FnOnce(&State, &mut Content, Fate) -> io::Result<T>,
    ) -> io::Result<T> {
        self.machine.run(self.process, (operation, &self.path, detail), |state, fate| {
            act(state, &mut lock(&self.content), fate)
        })
    }

    fn check_writable(&self) -> io::Result<()> {
        if self.is_writable { Ok(()) } else { Err(Errno::BADF.into()) }
    }
}

impl DiskFile for SimulatedFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.run(Operation::Read, hash(&(position, buffer.len())), |_, content, fate| {
            fate.check()?;
            Ok(content.read(buffer, position))
        })
    }

    fn write_all_at(&self, slices: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        self.check_writable()?;
        let len = slices.iter().fold(position, |end, slice| end.saturating_add(slice.len() as u64));
        if i64::try_from(len).is_err() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let bytes = slices.iter().fold(position, |so_far, slice| hash(&(so_far, &**slice)));
        let call = (Operation::Write, self.path.as_path(), bytes);
        self.machine.run(self.process, call, |state, fate| {
            // Counted before the file is locked, for to count is to lock every file.
            let room = state.room_pages();
            let content = &mut *lock(&self.content);
            content.modified = state.now();
            match fate {
                Fate::Works if content.write(slices, position, room) => Ok(()),
                Fate::Works => Err(io::ErrorKind::StorageFull.into()),
                Fate::Fails => {
                    let pages_most = (len - position) / PAGE as u64 + 1;
                    let pages = content.random.below(pages_most);
                    content.write(slices, position, pages.min(room));
                    Err(input_output_error())
                }
                Fate::Tears => {
                    content.write_torn(slices, position);
                    state.power_is_on = false;
                    Err(input_output_error())
                }
            }
        })
    }

    fn size(&self) -> io::Result<u64> {
        self.run(Operation::Other, 0, |_, content, fate| {
            fate.check()?;
            Ok(content.len)
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        if i64::try_from(len).is_err() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.run(Operation::SetLen, len, |state, content, fate| {
            fate.check()?;
            content.modified = state.now();
            content.set_len(len);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.run(Operation::Sync, 0, |_, content, fate| {
            match fate {
                Fate::Works => content.sync(),
                Fate::Fails | Fate::Tears => content.fail_sync(),
            }
            fate.check()
        })
    }

    fn start_write_back(&self, position: u64, len: u64) -> io::Result<()> {
        self.run(Operation::Other, hash(&(position, len)), |_, content, fate| {
            fate.check()?;
            content.start_write_back(position, len);
            Ok(())
        })
    }

    fn is_cached(&self, position: u64, len: u64) -> bool {
        lock(&self.content).is_cached(position, len)
    }

    fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.run(Operation::Other, hash(&time), |_, content, fate| {
            fate.check()?;
            content.modified = time;
            Ok(())
        })
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

#[derive(Debug)]
pub(super) struct SimulatedLock {
    pub(super) machine: Arc<Machine>,
    pub(super) process: u64,
    pub(super) path: PathBuf,
}

impl Lock for SimulatedLock {}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        let mut state = self.machine.lock();
        // A lock of an earlier process went with it; this name may be another's by now.
        if state.process == self.process {
            state.locks.remove(&self.path);
        }
    }
}
