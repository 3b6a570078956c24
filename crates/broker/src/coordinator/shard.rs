//! One partition of an internal topic, and the core whose state its log holds.
//!
//! The lock is held for one event: the core decides, what it wants remembered is appended (memory
//! only), and the lock is free again. Nothing is waited for under it. An answer is given out when
//! everything that it rests on is committed, which whoever asked waits for without the lock.
//!
//! A core that changed and whose records could not be appended is thrown away: its log is the
//! truth, and is replayed into a new one. There is no undo.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use milena_protocol::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, records::BatchBuilder};
use milena_storage::{
    Appended,
    producers::{self, Proof},
};

use super::{
    CoordinatorError, Effects, Logged, Machine, Scene, What, runtime::Outside, transaction::Errand,
};
use crate::{
    partition::{OwnError, Partition, Reach, Unreached},
    transactions::markers::{Marker, MarkerError},
};

/// A batch's header, and some room.
const BATCH_OVERHEAD_BYTES: usize = 128;

#[derive(Debug)]
pub(super) struct Shard<M> {
    pub(super) partition: Arc<Partition>,
    /// In which this broker leads it.
    pub(super) epoch: LeaderEpoch,
    phase: Mutex<Phase<M>>,
}

#[derive(Debug)]
enum Phase<M> {
    /// The log is being replayed.
    Loading,
    Serving(Box<M>),
    /// The log cannot be read or written: only a new leader can help.
    Failed,
}

/// In whose transaction a core's records are, and what shows that it has this partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Within<'a> {
    pub(crate) producer_id: ProducerId,
    pub(crate) producer_epoch: ProducerEpoch,
    pub(crate) proof: Proof<'a>,
}

/// What must be committed before an answer is given out.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    partition: Arc<Partition>,
    end: Offset,
}

impl<M: Machine> Shard<M> {
    pub(super) fn new(partition: Arc<Partition>, epoch: LeaderEpoch) -> Self {
        Self { partition, epoch, phase: Mutex::new(Phase::Loading) }
    }

    /// A replayed core begins to serve.
    pub(super) fn begin(&self, outside: &Outside, machine: M) -> Result<(), Stopped> {
        let mut phase = self.lock();
        *phase = Phase::Serving(Box::new(machine));
        self.handle(phase, outside, None, |machine, scene| machine.loaded(scene)).map(drop)
    }

    /// There is no core to be had.
    pub(super) fn fail(&self) {
        *self.lock() = Phase::Failed;
    }

    /// Lets the core handle one event. The answer is true when what comes with it is committed.
    pub(super) fn run<T>(
        &self,
        outside: &Outside,
        event: impl FnOnce(&mut M, &mut Scene<'_>) -> T,
    ) -> Result<(T, Pending), Stopped> {
        self.handle(self.lock(), outside, None, event)
    }

    /// Likewise, where what the core wants remembered is part of a transaction.
    pub(super) fn run_within<T>(
        &self,
        outside: &Outside,
        within: &Within<'_>,
        event: impl FnOnce(&mut M, &mut Scene<'_>) -> T,
    ) -> Result<(T, Pending), Stopped> {
        let phase = self.lock();
        let Within { producer_id, producer_epoch, proof } = *within;
        // Before the core changes: it would have to be thrown away. While the lock is held nobody
        // else writes here.
        self.partition
            .log
            .check_transaction(producer_id, producer_epoch, proof)
            .map_err(|error| Stopped::of(error.into()))?;
        self.handle(phase, outside, Some(within), event)
    }

    fn handle<T>(
        &self,
        mut phase: MutexGuard<'_, Phase<M>>,
        outside: &Outside,
        within: Option<&Within<'_>>,
        event: impl FnOnce(&mut M, &mut Scene<'_>) -> T,
    ) -> Result<(T, Pending), Stopped> {
        let machine = phase.serving().map_err(Stopped::of)?;
        let batch_bytes_max = self.partition.log.config().max_message_bytes as usize;
        let batch_bytes_max = batch_bytes_max.saturating_sub(BATCH_OVERHEAD_BYTES);
        let begin = self.partition.log.appended_end();
        let mut effects = Effects::new(batch_bytes_max, begin);
        let answer = outside.on_scene(&mut effects, |scene| event(machine, scene));
        let next_wake = machine.next_wake();
        let actions = effects.take_actions();
        let (batches, replies) = effects.into_parts();
        if let Err(error) = self.append(batches, within, begin) {
            *phase = Phase::Loading;
            return Err(Stopped { error, must_reload: true });
        }
        let end = self.partition.log.appended_end();
        drop(phase);
        for reply in replies {
            reply(end);
        }
        outside.wake_by(next_wake);
        let pending = Pending { partition: Arc::clone(&self.partition), end };
        for action in actions {
            let (partition, pending) = (self.partition.index(), pending.clone());
            outside.send(Errand { partition, epoch: self.epoch, action, pending });
        }
        Ok((answer, pending))
    }

    /// Ends a transaction that may have records here. The core is told what the log is, in the same
    /// words as when it is replayed; says whether it could take that in.
    pub(super) fn end_transaction(
        &self,
        marker: &Marker,
        now_ms: i64,
    ) -> Result<(Appended, bool), MarkerError> {
        let mut phase = self.lock();
        let machine = phase.serving()?;
        let appended = marker.append_to(&self.partition, self.epoch, now_ms)?;
        let logged = Logged {
            offset: appended.base_offset,
            transaction: Some((marker.producer_id, marker.producer_epoch)),
            what: What::Marker { is_commit: marker.is_commit },
        };
        let is_known = machine.replay(&logged).is_ok();
        if !is_known {
            *phase = Phase::Loading;
        }
        Ok((appended, is_known))
    }

    pub(super) fn next_wake(&self) -> Option<Duration> {
        match &*self.lock() {
            Phase::Serving(machine) => machine.next_wake(),
            Phase::Loading | Phase::Failed => None,
        }
    }

    fn append(
        &self,
        batches: Vec<BatchBuilder>,
        within: Option<&Within<'_>>,
        mut at: Offset,
    ) -> Result<(), CoordinatorError> {
        let partition = &self.partition;
        let proof = within.map_or(Proof::NotAsked, |within| within.proof);
        for batch in batches.into_iter().filter(|batch| batch.record_count() > 0) {
            let batch = match within {
                Some(it) => {
                    batch.with_producer(it.producer_id, it.producer_epoch, -1).with_transactional()
                }
                None => batch,
            };
            let origin = producers::Origin::Coordinator;
            let appended = batch
                .finish()
                .map_err(OwnError::from)
                .and_then(|bytes| partition.append_own(bytes, self.epoch, origin, proof));
            let error = match appended {
                Ok(appended) if appended.base_offset == at => {
                    at = appended.end;
                    continue;
                }
                Ok(_) => format!("somebody else wrote at offset {at}"),
                Err(error) => error.to_string(),
            };
            let log = partition.log.name();
            tracing::warn!(partition = %log, error, "a coordinator's records not appended");
            return Err(CoordinatorError::NotAvailable);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Phase<M>> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An event was not handled.
#[derive(Debug)]
pub(super) struct Stopped {
    pub(super) error: CoordinatorError,
    /// The core knows more than its log.
    pub(super) must_reload: bool,
}

impl<M> Phase<M> {
    const fn serving(&mut self) -> Result<&mut M, CoordinatorError> {
        match self {
            Self::Serving(machine) => Ok(machine),
            Self::Loading => Err(CoordinatorError::Loading),
            Self::Failed => Err(CoordinatorError::NotCoordinator),
        }
    }
}

impl Stopped {
    const fn of(error: CoordinatorError) -> Self {
        Self { error, must_reload: false }
    }
}

impl Pending {
    /// The same answer rests on more: it was given by an event that came later.
    pub(crate) fn until(self, end: Offset) -> Self {
        Self { end, ..self }
    }

    /// Waits until all of it is on the disks of all in-sync replicas.
    pub(crate) async fn committed(self, limit: Duration) -> Result<(), CoordinatorError> {
        let reached = self.partition.reach(Reach::HighWatermark, self.end, limit).await;
        reached.map_err(|why| match why {
            Unreached::Late => CoordinatorError::NotAvailable,
            Unreached::Offline | Unreached::Closed => CoordinatorError::NotCoordinator,
        })
    }
}
