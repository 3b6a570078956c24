//! What a consumer's tasks, its handle and `poll` have in common.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{Mutex as Turn, Notify, watch};

use super::{config::ConsumerConfig, group::Membership, partitions::Partitions};
use crate::cluster::Cluster;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: ConsumerConfig,
    pub(super) cluster: Cluster,
    partitions: Mutex<Partitions>,
    /// Counts what tasks have to look at: positions, pauses, room for more.
    pub(super) changed: watch::Sender<u64>,
    /// There may be something for `poll`.
    pub(super) filled: Notify,
    closed: watch::Sender<bool>,
    /// Commits happen one after the other, so that an older one is not tried again after a newer.
    pub(super) committing: Turn<()>,
    /// The place in a group.
    pub(super) membership: Membership,
}

impl Shared {
    pub(super) fn new(config: ConsumerConfig, cluster: Cluster, partitions: Partitions) -> Self {
        Self {
            membership: Membership::new(&config),
            config,
            cluster,
            partitions: Mutex::new(partitions),
            changed: watch::Sender::new(0),
            filled: Notify::new(),
            closed: watch::Sender::new(false),
            committing: Turn::new(()),
        }
    }

    pub(super) fn partitions(&self) -> MutexGuard<'_, Partitions> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tasks look at the partitions again.
    pub(super) fn change(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    pub(super) fn now(&self) -> Duration {
        self.cluster.clock().monotonic()
    }

    pub(super) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    pub(super) async fn closed(&self) {
        // The sender is here, so that it cannot be gone.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    pub(super) fn close(self: &Arc<Self>) {
        self.closed.send_replace(true);
        self.change();
        self.filled.notify_one();
    }
}
