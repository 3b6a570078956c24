//! Partitions as the broker serves them: a log, who leads it, how far it is replicated, and who
//! waits for that.
//!
//! `leader` decides and is pure; `waiters` wakes; `table` finds; `own` appends what the broker
//! itself writes.

pub(crate) mod assign;
mod leader;
mod own;
pub(crate) mod placement;
pub(crate) mod relocations;
pub(crate) mod stray;
pub(crate) mod table;
mod waiters;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use milena_env::timer;
use milena_protocol::{LeaderEpoch, Offset};
use milena_storage::{Listener, Log};
use tokio::sync::Notify;

pub(crate) use leader::{EpochCheck, Leader};
pub(crate) use own::OwnError;
pub(crate) use waiters::{Last, Reach, Registration, Wake, Woken};

use self::waiters::Waiters;

#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) log: Arc<Log>,
    /// Read without a lock by everybody; written under the leader's.
    high_watermark: AtomicI64,
    leader: Mutex<Leader>,
    waiters: Waiters,
    /// `min.insync.replicas`
    min_in_sync: AtomicUsize,
}

/// Why what was appended is not where it was wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreached {
    /// The log directory is offline.
    Offline,
    /// The partition has left.
    Closed,
    /// Not yet.
    Late,
}

impl Partition {
    pub(crate) fn new(log: Arc<Log>, leader: Leader, min_in_sync: usize) -> Arc<Self> {
        let partition = Arc::new(Self {
            high_watermark: AtomicI64::new(leader.high_watermark().0),
            leader: leader.into(),
            waiters: Waiters::default(),
            min_in_sync: AtomicUsize::new(min_in_sync),
            log,
        });
        let listener: Weak<dyn Listener> = Arc::downgrade(&partition) as Weak<dyn Listener>;
        partition.log.listen(listener);
        // What became durable before anybody listened.
        partition.durable(partition.log.durable_end());
        partition
    }

    /// The same partition on a log in another directory.
    pub(crate) fn on(&self, log: Arc<Log>) -> Arc<Self> {
        let leader = self.leader().clone();
        Self::new(log, leader, self.min_in_sync())
    }

    pub(crate) fn index(&self) -> i32 {
        self.log.name().partition
    }

    /// The offset below which every in-sync replica has everything; consumers see nothing above.
    pub(crate) fn high_watermark(&self) -> Offset {
        Offset(self.high_watermark.load(Ordering::Acquire))
    }

    /// The offset below which readers of committed records may read.
    pub(crate) fn last_stable_offset(&self) -> Offset {
        self.log.last_stable_offset(self.high_watermark())
    }

    pub(crate) fn leader_epoch(&self) -> LeaderEpoch {
        self.leader().epoch()
    }

    /// How many replicas must be in sync for `acks=all`.
    pub(crate) fn min_in_sync(&self) -> usize {
        self.min_in_sync.load(Ordering::Relaxed)
    }

    pub(crate) fn set_min_in_sync(&self, count: usize) {
        self.min_in_sync.store(count, Ordering::Relaxed);
    }

    /// Whether a request that names `epoch` may be served.
    pub(crate) fn check_epoch(&self, epoch: i32) -> EpochCheck {
        self.leader().check_epoch(epoch)
    }

    pub(crate) fn leader(&self) -> MutexGuard<'_, Leader> {
        self.leader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether everything below `offset` is where `reach` wants it.
    pub(crate) fn has_reached(&self, reach: Reach, offset: Offset) -> bool {
        offset
            <= match reach {
                Reach::Durable => self.log.durable_end(),
                Reach::HighWatermark => self.high_watermark(),
            }
    }

    /// Waits until everything below `offset` is where `reach` wants it, or will never be.
    pub(crate) async fn reach(
        self: &Arc<Self>,
        reach: Reach,
        offset: Offset,
        limit: Duration,
    ) -> Result<(), Unreached> {
        let is_settled = || self.has_reached(reach, offset) || self.log.is_closed();
        if !is_settled() {
            let wake = Arc::new(Notify::new());
            let _registration = self.watch(reach, offset, &wake);
            let settled = async {
                while !is_settled() {
                    wake.notified().await;
                }
            };
            timer::timeout(limit, settled).await;
        }
        self.check_reached(reach, offset)
    }

    /// Why not everything below `offset` is where `reach` wants it, if so.
    pub(crate) fn check_reached(&self, reach: Reach, offset: Offset) -> Result<(), Unreached> {
        if self.has_reached(reach, offset) {
            Ok(())
        } else if self.log.is_offline() {
            Err(Unreached::Offline)
        } else if self.log.is_closed() {
            Err(Unreached::Closed)
        } else {
            Err(Unreached::Late)
        }
    }

    /// Has `wake` woken when everything below `offset` is there, or will never be.
    pub(crate) fn watch<W: Woken + 'static>(
        self: &Arc<Self>,
        reach: Reach,
        offset: Offset,
        wake: &Arc<W>,
    ) -> Registration {
        self.watch_marked(reach, offset, &(Arc::clone(wake) as Wake), 0)
    }

    /// Likewise; `wake` is told the mark.
    pub(crate) fn watch_marked(
        self: &Arc<Self>,
        reach: Reach,
        offset: Offset,
        wake: &Wake,
        mark: u64,
    ) -> Registration {
        let ticket = self.waiters.add(reach, offset, wake, mark);
        // It may have come, or become impossible, before the registration.
        if self.has_reached(reach, offset) || self.log.is_closed() {
            wake.wake(mark);
        }
        Registration::new(Arc::clone(self), ticket)
    }

    /// The metadata have changed: who leads, in which epoch, with whom.
    pub(crate) fn assigned(&self, assigned: &assign::Assigned) {
        let mut leader = self.leader();
        if assigned.leader_epoch > leader.epoch() {
            self.log.begin_epoch(assigned.leader_epoch);
        }
        let high_watermark = self.high_watermark();
        *leader = Leader::new(
            assigned.leader_epoch,
            &assigned.others_in_sync,
            high_watermark,
            self.log.durable_end(),
        );
        self.high_watermark.store(leader.high_watermark().0, Ordering::Release);
    }
}

impl Listener for Partition {
    fn durable(&self, end: Offset) {
        let mut leader = self.leader();
        if let Some(high_watermark) = leader.local_durable(end) {
            self.high_watermark.store(high_watermark.0, Ordering::Release);
        }
        drop(leader);
        self.waiters.reached(end, self.high_watermark());
    }

    fn disturbed(&self) {
        self.waiters.wake_all();
    }
}
