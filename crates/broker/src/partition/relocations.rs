//! Partitions that move to another log directory of this broker: one thread copies them, one after
//! the other, and may wait for disks as long as it likes. When a copy has nearly caught up, the
//! partition is replaced by one that stands on it; its clients look for it again and find that one.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    thread::JoinHandle,
};

use milena_env::spawn_thread;
use milena_storage::{LogDirectory, Relocation, StorageError, TopicPartition};

use super::{Partition, table::Partitions};

/// So much may be missing in a copy when appends are put off for the rest.
const NEARLY_BYTES: u64 = 4 << 20;

/// One move that somebody has asked for.
#[derive(Debug)]
struct Job {
    from: Arc<LogDirectory>,
    to: Arc<LogDirectory>,
    /// There once it has begun.
    begun: OnceLock<Arc<Relocation>>,
}

#[derive(Debug, Default)]
struct State {
    jobs: BTreeMap<TopicPartition, Arc<Job>>,
    stopped: bool,
}

/// All moves that are wanted and not done.
#[derive(Debug, Default)]
pub(crate) struct Relocations {
    state: Mutex<State>,
    changed: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Relocations {
    /// Begins to carry moves out; `moved` is told of every partition that was replaced.
    pub(crate) fn start(
        self: &Arc<Self>,
        partitions: Arc<Partitions>,
        moved: impl Fn(&Arc<Partition>) + Send + 'static,
    ) -> io::Result<()> {
        let relocations = Arc::clone(self);
        let thread = spawn_thread("relocation", move || {
            while let Some((name, job)) = relocations.next() {
                if let Err(error) = relocations.carry_out(&name, &job, &partitions, &moved) {
                    tracing::error!(partition = %name, %error, "stays in its log directory");
                }
                relocations.lock().jobs.retain(|_, other| !Arc::ptr_eq(other, &job));
            }
        })?;
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    /// Ends the thread; a move that is under way is given up.
    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic there was printed there; the logs are worth closing all the same.
            let _ = thread.join();
        }
    }

    /// Has a partition moved; another destination takes the place of an earlier one.
    pub(crate) fn want(
        &self,
        name: TopicPartition,
        from: &Arc<LogDirectory>,
        to: &Arc<LogDirectory>,
    ) {
        let mut state = self.lock();
        if state.jobs.get(&name).is_some_and(|job| Arc::ptr_eq(&job.to, to)) {
            return;
        }
        let (from, to) = (Arc::clone(from), Arc::clone(to));
        state.jobs.insert(name, Arc::new(Job { from, to, begun: OnceLock::new() }));
        self.changed.notify_all();
    }

    /// The partition is to stay where it is.
    pub(crate) fn cancel(&self, name: &TopicPartition) {
        self.lock().jobs.remove(name);
    }

    /// The copies that are being made in a directory.
    pub(crate) fn copies_in(&self, directory: &Arc<LogDirectory>) -> Vec<Arc<Relocation>> {
        let state = self.lock();
        let here = state.jobs.values().filter(|job| Arc::ptr_eq(&job.to, directory));
        here.filter_map(|job| job.begun.get().cloned()).collect()
    }

    /// Waits for a move to be wanted; `None` once there will be none.
    fn next(&self) -> Option<(TopicPartition, Arc<Job>)> {
        let nothing = |state: &mut State| state.jobs.is_empty() && !state.stopped;
        let state = self.changed.wait_while(self.lock(), nothing);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        let first = state.jobs.iter().next().filter(|_| !state.stopped);
        first.map(|(name, job)| (name.clone(), Arc::clone(job)))
    }

    fn is_wanted(&self, name: &TopicPartition, job: &Arc<Job>) -> bool {
        let state = self.lock();
        !state.stopped && state.jobs.get(name).is_some_and(|other| Arc::ptr_eq(other, job))
    }

    fn carry_out(
        &self,
        name: &TopicPartition,
        job: &Arc<Job>,
        partitions: &Partitions,
        moved: &impl Fn(&Arc<Partition>),
    ) -> Result<(), StorageError> {
        let Some(relocation) = Relocation::begin(&job.from, &job.to, name)? else { return Ok(()) };
        let relocation = job.begun.get_or_init(|| Arc::new(relocation));
        let is_wanted = || self.is_wanted(name, job);
        let copied = loop {
            match relocation.catch_up(&is_wanted) {
                Ok(bytes) if bytes > NEARLY_BYTES && is_wanted() => {}
                other => break other,
            }
        };
        let replaced = match copied {
            Ok(_) if is_wanted() => partitions.replace(relocation),
            other => other.map(|_| None),
        };
        match replaced {
            Ok(Some(partition)) => {
                moved(&partition);
                let to = job.to.path().display();
                tracing::info!(partition = %name, directory = %to, "moved");
                Ok(())
            }
            other => relocation.abandon().and(other.map(drop)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
