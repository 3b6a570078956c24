//! What a core of transactions asks to be done and cannot do itself: markers are written into other
//! partitions, and producer ids asked for, once the records that say why are committed.
//!
//! An errand is never dropped while its core is there: it ends with an event for that core. A core
//! that is loaded anew asks for everything again.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use milena_protocol::{ErrorCode, LeaderEpoch};
use tokio::{sync::mpsc::UnboundedReceiver, task::spawn_local};

use super::{Action, Ending, Transactions, Verdict};
use crate::{
    broker::Broker,
    coordinator::{CoordinatorError, Pending, Scene},
    transactions::markers::{self, Marker},
};

/// How often it is looked whether what is not committed yet still can be.
const COMMIT_LOOK: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct Errand {
    /// Of `__transaction_state`.
    pub(crate) partition: i32,
    /// In which it is led here.
    pub(crate) epoch: LeaderEpoch,
    pub(crate) action: Action,
    /// What must be committed first.
    pub(crate) pending: Pending,
}

/// Does what comes, all of it at the same time; on a thread's local set of tasks.
pub(crate) async fn run_errands(mut errands: UnboundedReceiver<Errand>, broker: Weak<Broker>) {
    while let Some(errand) = errands.recv().await {
        let Some(broker) = broker.upgrade() else { return };
        spawn_local(run(broker, errand));
    }
}

async fn run(broker: Arc<Broker>, errand: Errand) {
    let Errand { partition, epoch, action, pending } = errand;
    if !is_committed(&pending).await {
        return;
    }
    match action {
        Action::WriteMarkers(ending) => {
            // All errands are run by one thread, so this holds until the markers are appended.
            let asked = |core: &mut Transactions, _: &mut Scene<'_>| core.is_wanted(&ending);
            if broker.coordinators.transactions.tell(partition, asked) != Some(true) {
                return;
            }
            let failed = write(&broker, &ending, epoch).await;
            broker.coordinators.transactions.tell(partition, |machine, scene| {
                machine.markers_written(&ending, &failed, scene);
            });
        }
        Action::BringProducerId { id, producer_id, epoch } => {
            // Without one the transaction is found once more.
            let Ok(unused) = broker.next_producer_id().await else { return };
            broker.coordinators.transactions.tell(partition, |machine, scene| {
                let producer = (producer_id, epoch);
                let aborted = machine.abort_timed_out(&id, producer, Some(unused), scene);
                if let Err(error) = aborted {
                    tracing::error!(%id, %error, "timed out transaction not aborted");
                }
            });
        }
    }
}

/// Waits for as long as this broker leads the partition.
async fn is_committed(pending: &Pending) -> bool {
    loop {
        match pending.clone().committed(COMMIT_LOOK).await {
            Ok(()) => return true,
            Err(CoordinatorError::NotAvailable) => {}
            Err(_) => return false,
        }
    }
}

/// The partitions that have no marker then.
async fn write(
    broker: &Arc<Broker>,
    ending: &Ending,
    coordinator_epoch: LeaderEpoch,
) -> Vec<(Box<str>, i32, ErrorCode)> {
    let marker = Marker {
        producer_id: ending.producer_id,
        producer_epoch: ending.epoch,
        transaction_version: u8::try_from(ending.version).unwrap_or_default(),
        is_commit: ending.verdict == Verdict::Commit,
        coordinator_epoch: coordinator_epoch.0,
        partitions: ending.partitions.clone(),
    };
    let results = markers::write(broker, vec![marker]).await;
    let partitions = results.into_iter().flat_map(|result| result.partitions);
    partitions.filter_map(|it| Some((it.topic, it.index, it.outcome.err()?))).collect()
}
