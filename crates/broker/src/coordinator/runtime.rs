//! All shards of one kind of coordinator on this broker.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock, Weak},
    time::Duration,
};

use arc_swap::ArcSwap;
use milena_env::{Clock, Random};
use milena_metadata::image::{Delta, MetadataImage};
use milena_protocol::LeaderEpoch;
use milena_storage::{Appended, producers::SequenceError};
use tokio::sync::mpsc::UnboundedSender;

use super::{
    Counters, Effects, Machine, Now, Reply, Scene, Transition,
    load::load,
    shard::{Pending, Shard, Stopped, Within},
    timekeeper::{Timed, Waker},
    transaction::Errand,
};
use crate::{
    broker::SharedConfig,
    partition::Partition,
    transactions::markers::{Marker, MarkerError},
};

/// How often a log is replayed whose core cannot write at once what follows from it, as when the
/// disk is full.
const LOAD_TRIES: usize = 20;
const LOAD_PAUSE: Duration = Duration::from_millis(250);

/// Why a coordinator does not serve a request; whoever asked looks for it anew and asks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CoordinatorError {
    /// This broker does not lead the partition.
    #[error("not the coordinator")]
    NotCoordinator,
    #[error("the coordinator is still reading its log")]
    Loading,
    /// What it decided could not be written, or not yet be committed.
    #[error("the coordinator cannot write its log")]
    NotAvailable,
    /// The producer in whose transaction it would be written may not do so.
    #[error(transparent)]
    Producer(#[from] SequenceError),
}

/// What all cores see of the world.
pub(super) struct Outside {
    clock: Arc<dyn Clock>,
    config: SharedConfig,
    image: ArcSwap<MetadataImage>,
    random: Mutex<Random>,
    counters: Counters,
    waker: Waker,
    errands: UnboundedSender<Errand>,
}

impl Outside {
    /// Lets `event` happen now.
    pub(super) fn on_scene<T>(
        &self,
        effects: &mut Effects,
        event: impl FnOnce(&mut Scene<'_>) -> T,
    ) -> T {
        let seed = self.random.lock().unwrap_or_else(PoisonError::into_inner).next_u64();
        event(&mut Scene {
            now: Now { wall_ms: self.clock.now_ms(), elapsed: self.clock.monotonic() },
            image: &self.image.load(),
            config: &self.config.load(),
            random: &mut Random::from_seed(seed),
            effects,
            counters: &self.counters,
        })
    }

    pub(super) fn wake_by(&self, at: Option<Duration>) {
        if let Some(at) = at {
            self.waker.wake_by(at);
        }
    }

    pub(super) fn send(&self, errand: Errand) {
        // When the broker stops nothing more is done; the next one begins with it.
        let _ = self.errands.send(errand);
    }
}

/// What all runtimes are made of.
#[derive(Clone, Debug)]
pub(super) struct Tools {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) config: SharedConfig,
    pub(super) waker: Waker,
    /// Where actions go.
    pub(super) errands: UnboundedSender<Errand>,
}

/// The shards of one internal topic that are led here.
pub(crate) struct Runtime<M> {
    outside: Outside,
    shards: RwLock<BTreeMap<i32, Arc<Shard<M>>>>,
    itself: Weak<Self>,
}

impl<M> fmt::Debug for Runtime<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shards = self.shards.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Runtime").field("shards", &shards.keys()).finish_non_exhaustive()
    }
}

impl<M: Machine> Runtime<M> {
    pub(super) fn new(tools: Tools, random: Random) -> Arc<Self> {
        let Tools { clock, config, waker, errands } = tools;
        Arc::new_cyclic(|itself| Self {
            outside: Outside {
                clock,
                config,
                image: ArcSwap::default(),
                random: Mutex::new(random),
                counters: Counters::default(),
                waker,
                errands,
            },
            shards: RwLock::default(),
            itself: Weak::clone(itself),
        })
    }

    /// Has the core of a partition handle one event, and waits until its answer is true.
    pub(crate) async fn ask<T>(
        &self,
        partition: i32,
        limit: Duration,
        event: impl FnOnce(&mut M, &mut Scene<'_>) -> T,
    ) -> Result<T, CoordinatorError> {
        let (answer, pending) = self.run(partition, event)?;
        pending.committed(limit).await?;
        Ok(answer)
    }

    /// As [`Runtime::ask`], where what the core wants remembered is part of a transaction.
    pub(crate) async fn ask_within<T>(
        &self,
        partition: i32,
        limit: Duration,
        within: &Within<'_>,
        event: impl FnOnce(&mut M, &mut Scene<'_>) -> T,
    ) -> Result<T, CoordinatorError> {
        let shard = self.shard(partition)?;
        let (answer, pending) = shard
            .run_within(&self.outside, within, event)
            .map_err(|stopped| self.stopped(&shard, &stopped))?;
        pending.committed(limit).await?;
        Ok(answer)
    }

    /// As [`Runtime::ask`], where the core may give its answer later.
    pub(crate) async fn wait<T>(
        &self,
        partition: i32,
        limit: Duration,
        event: impl FnOnce(&mut M, &mut Scene<'_>, Reply<T>),
    ) -> Result<T, CoordinatorError> {
        let (reply, answer) = Reply::new();
        let ((), pending) = self.run(partition, |machine, scene| event(machine, scene, reply))?;
        // A core that is gone, with all that it was asked, is loaded anew or somewhere else.
        let (answer, end) = answer.await.map_err(|_| CoordinatorError::NotCoordinator)?;
        pending.until(end).committed(limit).await?;
        Ok(answer)
    }

    /// Has a transaction's marker appended to a partition, and what it ends.
    pub(crate) fn end_transaction(
        &self,
        partition: i32,
        marker: &Marker,
        now_ms: i64,
    ) -> Result<Appended, MarkerError> {
        let shard = self.shard(partition)?;
        let (appended, is_known) = shard.end_transaction(marker, now_ms)?;
        if !is_known {
            self.load(&shard, Transition::Reloaded);
        }
        Ok(appended)
    }

    /// Waits for something to happen that a core will tell of. Whoever hears of it asks before
    /// anybody else is told, so it need not be committed.
    pub(crate) async fn hear(
        &self,
        partition: i32,
        event: impl FnOnce(&mut M, &mut Scene<'_>, Reply<()>),
    ) {
        let (reply, heard) = Reply::new();
        let listens = self.run(partition, |machine, scene| event(machine, scene, reply));
        if listens.is_ok() {
            // A core that is gone has nothing more to tell.
            let _ = heard.await;
        }
    }

    /// Has the core of a partition handle something that nobody waits for, if it is there.
    pub(crate) fn tell<T>(
        &self,
        partition: i32,
        event: impl FnOnce(&mut M, &mut Scene<'_>) -> T,
    ) -> Option<T> {
        match self.run(partition, event) {
            Ok((told, _)) => Some(told),
            Err(error) => {
                tracing::debug!(partition, topic = M::TOPIC, %error, "coordinator not told");
                None
            }
        }
    }

    fn run<T>(
        &self,
        partition: i32,
        event: impl FnOnce(&mut M, &mut Scene<'_>) -> T,
    ) -> Result<(T, Pending), CoordinatorError> {
        let shard = self.shard(partition)?;
        shard.run(&self.outside, event).map_err(|stopped| self.stopped(&shard, &stopped))
    }

    /// What has happened to what is coordinated here.
    pub(crate) const fn counters(&self) -> &Counters {
        &self.outside.counters
    }

    fn shard(&self, partition: i32) -> Result<Arc<Shard<M>>, CoordinatorError> {
        self.read().get(&partition).cloned().ok_or(CoordinatorError::NotCoordinator)
    }

    /// The partitions that are led here, loaded or not.
    pub(crate) fn partitions(&self) -> Vec<i32> {
        self.read().keys().copied().collect()
    }

    /// This broker leads the partition from now on, or it has moved to another log directory.
    pub(crate) fn elected(&self, partition: &Arc<Partition>, epoch: LeaderEpoch) {
        let mut shards = self.shards.write().unwrap_or_else(PoisonError::into_inner);
        let is_known = |shard: &Arc<Shard<M>>| {
            shard.epoch == epoch && Arc::ptr_eq(&shard.partition, partition)
        };
        if shards.get(&partition.index()).is_some_and(is_known) {
            return;
        }
        let shard = Arc::new(Shard::new(Arc::clone(partition), epoch));
        shards.insert(partition.index(), Arc::clone(&shard));
        drop(shards);
        self.load(&shard, Transition::Loaded);
    }

    /// A partition has moved to another log directory; if it is one of ours, its core is loaded
    /// from there.
    pub(super) fn moved(&self, partition: &Arc<Partition>) {
        if *partition.log.name().topic == *M::TOPIC && self.read().contains_key(&partition.index())
        {
            self.elected(partition, partition.leader_epoch());
        }
    }

    /// Somebody else leads it, or it is gone.
    pub(crate) fn resigned(&self, partition: i32) {
        self.shards.write().unwrap_or_else(PoisonError::into_inner).remove(&partition);
    }

    /// The metadata have changed, and every core is told.
    pub(crate) fn on_metadata(&self, delta: &Delta, image: &Arc<MetadataImage>) {
        self.outside.image.store(Arc::clone(image));
        let shards: Vec<_> = self.read().values().cloned().collect();
        for shard in shards {
            let told = shard.run(&self.outside, |machine, scene| machine.on_metadata(delta, scene));
            if let Err(stopped) = told {
                self.stopped(&shard, &stopped);
            }
        }
    }

    fn stopped(&self, shard: &Arc<Shard<M>>, stopped: &Stopped) -> CoordinatorError {
        if stopped.must_reload {
            self.load(shard, Transition::Reloaded);
        }
        stopped.error
    }

    fn load(&self, shard: &Arc<Shard<M>>, why: Transition) {
        let (shard, runtime) = (Arc::clone(shard), Weak::clone(&self.itself));
        self.outside.waker.load(Box::new(move || {
            let Some(runtime) = runtime.upgrade() else { return };
            let outside = &runtime.outside;
            let buffer_bytes = M::load_bytes(&outside.config.load()) as usize;
            for _ in 0..LOAD_TRIES {
                let Some(machine) = load(&shard.partition, buffer_bytes) else { break };
                match shard.begin(outside, machine) {
                    Err(Stopped { must_reload: true, .. }) => outside.clock.sleep(LOAD_PAUSE),
                    Ok(()) => return outside.counters.add(why, 1),
                    Err(_) => return,
                }
            }
            tracing::error!(
                partition = %shard.partition.log.name(),
                "no coordinator: what it coordinates stands still until the partition has another \
                 leader or the broker is started again"
            );
            shard.fail();
        }));
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<i32, Arc<Shard<M>>>> {
        self.shards.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M: Machine> Timed for Runtime<M> {
    fn on_time(&self) -> Option<Duration> {
        let shards: Vec<_> = self.read().values().cloned().collect();
        let now = self.outside.clock.monotonic();
        let due = |shard: &Arc<Shard<M>>| shard.next_wake().is_some_and(|at| at <= now);
        for shard in shards.iter().filter(|shard| due(shard)) {
            if let Err(stopped) = shard.run(&self.outside, |machine, scene| machine.on_time(scene))
            {
                self.stopped(shard, &stopped);
            }
        }
        shards.iter().filter_map(|shard| shard.next_wake()).min()
    }
}
