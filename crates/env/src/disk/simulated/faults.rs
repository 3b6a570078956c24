//! What a test may do to the disk besides using it. `part` always means: any path that contains it.

use std::{
    io,
    path::Path,
    sync::{Arc, PoisonError},
};

use super::{
    Machine, SimulatedDisk, State,
    folder::{Node, find, lock, walk},
    script::{Fate, Operation},
};

impl SimulatedDisk {
    /// The `nth` such operation from now (1 is the next) fails with EIO, once.
    ///
    /// Of a write, some first part may be there all the same. A sync that failed has given up
    /// what it was to write: from then on it counts as clean, later syncs of it succeed and write
    /// none of it, and it is gone after a power failure or when it falls out of the cache.
    pub fn fail_nth(&self, operation: Operation, part: &str, nth: u64) {
        self.machine.lock().script.order(operation, part, nth, Fate::Fails);
    }

    /// The next sync fails, as [`fail_nth`](Self::fail_nth) tells.
    pub fn fail_next_sync(&self, part: &str) {
        self.fail_nth(Operation::Sync, part, 1);
    }

    /// The power fails during the `nth` write from now, of which some sectors are there and never
    /// all. After [`crash_with`](Self::crash_with) `Survival::Everything` it is all that is lost.
    pub fn tear_nth_write(&self, part: &str, nth: u64) {
        self.machine.lock().script.order(Operation::Write, part, nth, Fate::Tears);
    }

    /// `count` more operations that change anything work; during the next one the power fails.
    /// Every call fails from then on, until `crash` shows what is left.
    pub fn crash_after(&self, count: u64) {
        self.machine.lock().script.operations_left = Some(count);
    }

    /// How many operations there were so far that [`crash_after`](Self::crash_after) counts.
    pub fn mutations(&self) -> u64 {
        self.machine.lock().mutations
    }

    /// How many calls there were so far, of whatever kind: for a test that bounds what a start asks
    /// of the disk.
    pub fn calls(&self) -> u64 {
        self.machine.lock().calls
    }

    /// Whether the power went by [`crash_after`](Self::crash_after) or a torn write.
    pub fn is_power_off(&self) -> bool {
        !self.machine.lock().power_is_on
    }

    /// From now on a crash keeps or loses each change of a name for itself, as POSIX allows,
    /// not the first so many in a folder, as ext4 does.
    pub fn lose_names_in_any_order(&self) {
        self.machine.lock().script.names_in_any_order = true;
    }

    /// Sets the bytes that fit, or takes the limit away. What is there stays.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.machine.lock().script.capacity = bytes;
    }

    /// Such operations wait until the answer is dropped, or their process dies.
    #[must_use]
    pub fn stall(&self, operation: Operation, part: &str) -> Stall {
        let id = self.machine.lock().script.stall(operation, part);
        Stall { machine: Arc::clone(&self.machine), id }
    }

    /// Turns one bit of a byte over, on the device and in memory.
    pub fn flip_bit(&self, path: &Path, position: u64) -> io::Result<()> {
        match find(&self.machine.lock().root, path)? {
            Node::File(file) => {
                lock(&file).flip_bit(position);
                Ok(())
            }
            Node::Folder(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    /// Drops the cache: nothing can be read without the device until it was read again.
    pub fn drop_caches(&self) {
        walk(&self.machine.lock().root, &mut |_| {}, &mut |content| content.evict());
    }

    /// Stands for every call so far and how it went: equal for equal runs.
    pub fn trace(&self) -> u64 {
        self.machine.lock().trace
    }
}

/// A gate that operations wait at; dropped, it lets them go.
#[derive(Debug)]
pub struct Stall {
    machine: Arc<Machine>,
    id: u64,
}

impl Stall {
    /// Blocks until at least one operation waits at the gate.
    pub fn wait_until_reached(&self) {
        let state = self.machine.lock();
        let nobody_waits = |state: &mut State| state.script.waiting(self.id) == 0;
        drop(
            self.machine
                .changed
                .wait_while(state, nobody_waits)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }
}

impl Drop for Stall {
    fn drop(&mut self) {
        self.machine.lock().script.release(self.id);
        self.machine.changed.notify_all();
    }
}
