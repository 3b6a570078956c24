//! Partitions that move to another log directory of this broker: one thread copies them, one after
//! the other, and may wait for disks as long as it likes, no faster than
//! `replica.alter.log.dirs.io.max.bytes.per.second` says. When a copy has nearly caught up, the
//! partition is replaced by one that stands on it; its clients look for it again and find that one.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    thread::JoinHandle,
};

use milena_env::{Clock, spawn_thread};
use milena_storage::{LogDirectory, Pace, Relocation, StorageError, TopicPartition};

use super::{Partition, table::Partitions};
use crate::broker::SharedConfig;

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
    /// What is not wanted any more; its folder goes before another begins.
    dropped: Vec<Arc<Job>>,
    stopped: bool,
}

/// Keeps all moves together below the rate that is set now.
struct Throttle {
    clock: Arc<dyn Clock>,
    config: SharedConfig,
    pace: RefCell<Pace>,
}

impl Throttle {
    fn spend(&self, bytes: u64, go_on: &dyn Fn() -> bool) {
        let rate = self.config.load().quotas.move_rate;
        self.pace.borrow_mut().spend(bytes, rate, &*self.clock, go_on);
    }
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
        clock: Arc<dyn Clock>,
        config: SharedConfig,
        moved: impl Fn(&Arc<Partition>) + Send + 'static,
    ) -> io::Result<()> {
        let relocations = Arc::clone(self);
        let thread = spawn_thread("relocation", move || {
            let throttle = Throttle { clock, config, pace: RefCell::default() };
            while let Some((name, job)) = relocations.next() {
                relocations.begin_all();
                let carried = relocations.carry_out(&name, &job, &partitions, &throttle, &moved);
                if let Err(error) = carried {
                    tracing::error!(partition = %name, %error, "stays in its log directory");
                }
                let mut state = relocations.lock();
                if !state.stopped {
                    state.jobs.retain(|_, other| !Arc::ptr_eq(other, &job));
                }
                drop(state);
                relocations.abandon_dropped();
            }
        })?;
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    /// Ends the thread; moves that are not done are left to the next start.
    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic there was printed there; the logs are worth closing all the same.
            let _ = thread.join();
            self.begin_all();
            for (name, job) in std::mem::take(&mut self.lock().jobs) {
                if let Some(Err(error)) = job.begun.get().map(|begun| begun.put_off()) {
                    tracing::warn!(partition = %name, %error, "to be moved, which is forgotten");
                }
            }
        }
    }

    /// Begins all moves that wait for their turn: their folders say after a crash that they are
    /// wanted.
    fn begin_all(&self) {
        self.abandon_dropped();
        let jobs = self.lock().jobs.clone();
        for (name, job) in jobs {
            if job.begun.get().is_some() {
                continue;
            }
            match Relocation::begin(&job.from, &job.to, &name) {
                Ok(Some(relocation)) => drop(job.begun.set(Arc::new(relocation))),
                Ok(None) => {}
                Err(error) => tracing::error!(partition = %name, %error, "cannot be moved"),
            }
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
        let before = state.jobs.insert(name, Arc::new(Job { from, to, begun: OnceLock::new() }));
        state.dropped.extend(before);
        self.changed.notify_all();
    }

    fn abandon_dropped(&self) {
        let dropped = std::mem::take(&mut self.lock().dropped);
        for relocation in dropped.iter().filter_map(|job| job.begun.get()) {
            if let Err(error) = relocation.abandon() {
                let partition = relocation.log().name();
                tracing::warn!(%partition, %error, "the next start moves it after all");
            }
        }
    }

    /// The partition is to stay where it is.
    pub(crate) fn cancel(&self, name: &TopicPartition) {
        let mut state = self.lock();
        let dropped = state.jobs.remove(name);
        state.dropped.extend(dropped);
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
        throttle: &Throttle,
        moved: &impl Fn(&Arc<Partition>),
    ) -> Result<(), StorageError> {
        let Some(relocation) = job.begun.get() else { return Ok(()) };
        let is_wanted = || self.is_wanted(name, job);
        let counted = Cell::new(0);
        // Asked before each piece that is copied: what was copied before it takes its time first.
        let go_on = || {
            let bytes = relocation.copied_bytes();
            throttle.spend(bytes.saturating_sub(counted.replace(bytes)), &is_wanted);
            is_wanted()
        };
        let copied = loop {
            match relocation.catch_up(&go_on) {
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
            // It is put off when everything ends.
            other if self.lock().stopped => other.map(drop),
            other => relocation.abandon().and(other.map(drop)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
