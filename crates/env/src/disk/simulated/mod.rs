//! A disk in memory that is as unkind as POSIX allows, and always the same for the same seed.
//!
//! Whatever was not synced is kept, lost or torn when the power fails ([`SimulatedDisk::crash`]);
//! other faults happen when a test orders them ([`SimulatedDisk::fail_nth`] and its neighbours).
//! Chance belongs to each file, so that what a crash leaves depends on what was done to the files,
//! not on which thread came first.
//!
//! A `SimulatedDisk` is one process's view of the machine. A crash or a kill ends that view for
//! good, with all its open files and locks, and answers with the view of the next process; threads
//! that outlive their process in a test can therefore do no harm to the next.
//!
//! Not simulated: renames from one folder to another, hard links, `..`, descriptors, and the loss
//! of a time of change.

mod content;
mod crash;
mod faults;
mod file;
mod folder;
mod script;
#[cfg(test)]
mod test;

use std::{
    collections::BTreeSet,
    fmt,
    hash::{BuildHasher, Hash},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use foldhash::fast::FixedState;

pub use crash::Survival;
pub use faults::Stall;
pub use script::{Operation, is_power_off};

use super::{Disk, DiskFile, Entry, FileSystem, Lock, Metadata, Open, Space};
use crate::Random;
use content::{Content, PAGE};
use crash::Crash;
use file::{SimulatedFile, SimulatedLock};
use folder::{FolderNode, Node, components, find, find_folder, find_parent, lock, walk};
use script::{Fate, Script, power_off};

/// What a disk without a set capacity says it has room for.
const CAPACITY_DEFAULT: u64 = 1 << 40;

/// One process's view of a simulated machine's disk.
#[derive(Debug)]
pub struct SimulatedDisk {
    machine: Arc<Machine>,
    process: u64,
}

#[derive(Debug)]
struct SimulatedFileSystem {
    disk: SimulatedDisk,
    path: PathBuf,
}

impl FileSystem for SimulatedFileSystem {
    fn sync(&self) -> io::Result<()> {
        let path = &self.path;
        self.disk.run(Operation::Sync, path, |state, fate| {
            find(&state.root, path)?;
            match fate {
                Fate::Works => walk(&state.root, &mut |folder| folder.sync(), &mut Content::sync),
                Fate::Fails | Fate::Tears => {
                    walk(&state.root, &mut |folder| folder.fail_sync(), &mut Content::fail_sync);
                }
            }
            fate.check()
        })
    }
}

/// The machine: its state, and who waits for it to change.
struct Machine {
    state: Mutex<State>,
    changed: Condvar,
}

impl fmt::Debug for Machine {
    /// Not what it stores: that may be many megabytes.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Machine").finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct State {
    seed: u64,
    root: FolderNode,
    script: Script,
    /// The process that is alive; calls of any other fail.
    process: u64,
    power_is_on: bool,
    locks: BTreeSet<PathBuf>,
    mutations: u64,
    calls: u64,
    trace: u64,
}

impl SimulatedDisk {
    /// An empty disk whose every whim follows from `seed`.
    pub fn new(seed: u64) -> Arc<Self> {
        let state = State {
            seed,
            root: FolderNode::default(),
            script: Script::default(),
            process: 0,
            power_is_on: true,
            locks: BTreeSet::new(),
            mutations: 0,
            calls: 0,
            trace: seed,
        };
        let machine = Machine { state: Mutex::new(state), changed: Condvar::new() };
        Arc::new(Self { machine: Arc::new(machine), process: 0 })
    }

    /// The power fails: of what was not synced the seed decides. Answers with the disk as the
    /// next process finds it.
    #[must_use]
    pub fn crash(&self) -> Arc<Self> {
        self.crash_with(Survival::BySeed)
    }

    /// The power fails, and what was not synced is kept or lost altogether.
    #[must_use]
    pub fn crash_with(&self, survival: Survival) -> Arc<Self> {
        let state = self.machine.lock();
        let mut crash = Crash {
            survival,
            names_in_any_order: state.script.names_in_any_order,
            random: Random::from_seed(hash(&(state.seed, state.process))),
        };
        crash.strike(&state.root);
        self.next_process(state)
    }

    /// The process is killed: its files and locks are gone, what it wrote is not.
    #[must_use]
    pub fn kill(&self) -> Arc<Self> {
        self.next_process(self.machine.lock())
    }

    fn next_process(&self, mut state: MutexGuard<'_, State>) -> Arc<Self> {
        state.process += 1;
        state.trace = hash(&(state.trace, state.process));
        state.power_is_on = true;
        state.script.operations_left = None;
        state.locks.clear();
        self.machine.changed.notify_all();
        Arc::new(Self { machine: Arc::clone(&self.machine), process: state.process })
    }

    fn run<T>(
        &self,
        operation: Operation,
        path: &Path,
        act: impl FnOnce(&mut State, Fate) -> io::Result<T>,
    ) -> io::Result<T> {
        self.machine.run(self.process, (operation, path, 0), act)
    }
}

impl Machine {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// One call of a process: waits out a stall, decides what becomes of it, and leaves its trace.
    fn run<T>(
        &self,
        process: u64,
        (operation, path, detail): (Operation, &Path, u64),
        act: impl FnOnce(&mut State, Fate) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.lock();
        if let Some(id) = state.script.stalled(operation, path) {
            self.changed.notify_all();
            let is_stalling =
                |state: &mut State| state.process == process && state.script.is_stalling(id);
            state =
                self.changed.wait_while(state, is_stalling).unwrap_or_else(PoisonError::into_inner);
        }
        if state.process != process || !state.power_is_on {
            return Err(power_off());
        }
        state.calls += 1;
        let fate = state.script.decide(operation, path);
        if operation.mutates() {
            state.mutations += 1;
            state.power_is_on = match &mut state.script.operations_left {
                Some(0) => false,
                Some(left) => {
                    *left -= 1;
                    true
                }
                None => true,
            };
        }
        // The operation during which the power goes is done or not, but nobody hears of it.
        let is_done = state.power_is_on || hash(&(state.seed, state.mutations)).is_multiple_of(2);
        let result = if is_done { act(&mut state, fate) } else { Err(power_off()) };
        state.trace = hash(&(state.trace, operation, path, detail, result.is_ok()));
        if state.power_is_on { result } else { Err(power_off()) }
    }
}

impl State {
    /// A made-up time that no two changes share.
    fn now(&self) -> SystemTime {
        time_of(self.mutations)
    }

    /// How many more pages fit.
    fn room_pages(&self) -> u64 {
        match self.script.capacity {
            Some(_) => self.space().free / PAGE as u64,
            None => u64::MAX,
        }
    }

    fn space(&self) -> Space {
        let mut pages = 0;
        walk(&self.root, &mut |_| {}, &mut |content| pages += content.pages.len() as u64);
        let total = self.script.capacity.unwrap_or(CAPACITY_DEFAULT);
        Space { total, free: total.saturating_sub(pages * PAGE as u64) }
    }

    fn create_file(&self, path: &Path) -> io::Result<Arc<Mutex<Content>>> {
        let (folder, name) = find_parent(&self.root, path)?;
        let random = Random::from_seed(hash(&(self.seed, path, self.process)));
        let file = Arc::new(Mutex::new(Content::new(random, self.now())));
        lock(&folder).put(name, Node::File(Arc::clone(&file)), self.mutations);
        Ok(file)
    }
}

fn time_of(mutation: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_767_225_600) + Duration::from_millis(mutation)
}

fn hash(value: &impl Hash) -> u64 {
    FixedState::default().hash_one(value)
}

impl Disk for SimulatedDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        let exists = find(&self.machine.lock().root, path).is_ok();
        let creates = !exists && matches!(how, Open::Create | Open::CreateNew);
        let operation = if creates { Operation::Create } else { Operation::Look };
        let file = self.run(operation, path, |state, fate| {
            fate.check()?;
            match find(&state.root, path) {
                Ok(_) if how == Open::CreateNew => Err(io::ErrorKind::AlreadyExists.into()),
                Ok(Node::File(file)) => Ok(file),
                Ok(Node::Folder(_)) => Err(io::ErrorKind::IsADirectory.into()),
                Err(error) if error.kind() == io::ErrorKind::NotFound && creates => {
                    state.create_file(path)
                }
                Err(error) => Err(error),
            }
        })?;
        Ok(Arc::new(SimulatedFile {
            machine: Arc::clone(&self.machine),
            process: self.process,
            path: path.to_owned(),
            is_writable: how != Open::Read,
            content: file,
        }))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        drop(self.open(path, Open::Create)?);
        self.run(Operation::Other, path, |state, fate| {
            fate.check()?;
            if !state.locks.insert(path.to_owned()) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(())
        })?;
        let machine = Arc::clone(&self.machine);
        Ok(Box::new(SimulatedLock { machine, process: self.process, path: path.to_owned() }))
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        self.run(Operation::Look, path, |state, fate| {
            fate.check()?;
            find(&state.root, path).map(|_| state.locks.contains(path))
        })
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.run(Operation::Look, path, |state, fate| {
            fate.check()?;
            Ok(match find(&state.root, path)? {
                Node::File(file) => {
                    let content = lock(&file);
                    Metadata { len: content.len, is_dir: false, modified: content.modified }
                }
                Node::Folder(folder) => {
                    let modified = time_of(lock(&folder).changed_at);
                    Metadata { len: PAGE as u64, is_dir: true, modified }
                }
            })
        })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.run(Operation::Look, dir, |state, fate| {
            fate.check()?;
            let folder = find_folder(&state.root, dir)?;
            let entry = |(name, node): (&String, &Node)| Entry {
                name: name.clone(),
                is_dir: matches!(node, Node::Folder(_)),
            };
            Ok(lock(&folder).names.iter().map(entry).collect())
        })
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.run(Operation::Create, dir, |state, fate| {
            fate.check()?;
            let mut folder = Arc::clone(&state.root);
            for name in components(dir)? {
                let found = lock(&folder).names.get(name).cloned();
                let inner = match found {
                    Some(Node::Folder(inner)) => inner,
                    Some(Node::File(_)) => return Err(io::ErrorKind::AlreadyExists.into()),
                    None => {
                        let inner = FolderNode::default();
                        let made = Node::Folder(Arc::clone(&inner));
                        lock(&folder).put(name, made, state.mutations);
                        inner
                    }
                };
                folder = inner;
            }
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.run(Operation::Rename, to, |state, fate| {
            fate.check()?;
            let (folder, from) = find_parent(&state.root, from)?;
            let (other, to) = find_parent(&state.root, to)?;
            if !Arc::ptr_eq(&folder, &other) {
                return Err(io::ErrorKind::CrossesDevices.into());
            }
            lock(&folder).rename(from, to, state.mutations)
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.run(Operation::Remove, path, |state, fate| {
            fate.check()?;
            let (folder, name) = find_parent(&state.root, path)?;
            if matches!(find(&state.root, path)?, Node::Folder(_)) {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            lock(&folder).remove(name, state.mutations);
            Ok(())
        })
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.run(Operation::Remove, dir, |state, fate| {
            fate.check()?;
            let emptied = find_folder(&state.root, dir)?;
            lock(&emptied).empty(state.mutations);
            let (folder, name) = find_parent(&state.root, dir)?;
            lock(&folder).remove(name, state.mutations);
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.run(Operation::Sync, dir, |state, fate| {
            let folder = find_folder(&state.root, dir)?;
            match fate {
                Fate::Works => lock(&folder).sync(),
                Fate::Fails | Fate::Tears => lock(&folder).fail_sync(),
            }
            fate.check()
        })
    }

    fn file_system(&self, path: &Path) -> io::Result<Box<dyn FileSystem>> {
        let machine = Arc::clone(&self.machine);
        let disk = Self { machine, process: self.process };
        Ok(Box::new(SimulatedFileSystem { disk, path: path.to_owned() }))
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        self.run(Operation::Other, path, |state, fate| {
            fate.check()?;
            find(&state.root, path)?;
            Ok(state.space())
        })
    }
}
