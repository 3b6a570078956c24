//! What a rebalance does to the user: records stop, what was read is committed, his listener hears
//! of it. He is inside `poll` meanwhile.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    super::{ConsumerHandle, TopicPartition, commit::commit, shared::Shared},
    Gate, Listener,
};

/// Waits until the user polls, and holds him there.
pub(super) async fn pass(shared: &Shared) {
    let gate = &shared.membership.gate;
    gate.send_replace(Gate::Wanted);
    shared.filled.notify_one();
    // The sender is here, so that it cannot be gone.
    let _ = gate.subscribe().wait_for(|gate| *gate == Gate::Passing).await;
}

pub(super) fn open(shared: &Shared) {
    shared.membership.gate.send_replace(Gate::Open);
    shared.change();
    shared.filled.notify_one();
}

pub(super) async fn revoke(
    shared: &Arc<Shared>,
    partitions: &BTreeSet<TopicPartition>,
    lost: bool,
    listener: Option<Listener>,
) {
    // The group may have gone on meanwhile.
    let lost = lost || shared.membership.is_outside();
    if shared.config.enable_auto_commit && !lost {
        let mut offsets = shared.partitions().positions();
        offsets.retain(|partition, _| partitions.contains(partition));
        let limit = shared.config.max_poll_interval.min(shared.config.client.default_api_timeout);
        if let Err(error) = commit(shared, &offsets, limit).await {
            tracing::warn!(%error, "what was read is not committed before it is given up");
        }
    }
    if let Some(listener) = listener {
        let handle = ConsumerHandle { shared: Arc::clone(shared) };
        let all: Vec<_> = partitions.iter().cloned().collect();
        let mut listener = listener.lock().await;
        match lost {
            true => listener.lost(&handle, &all).await,
            false => listener.revoked(&handle, &all).await,
        }
    }
    shared.partitions().remove(partitions);
}

pub(super) async fn assign(
    shared: &Arc<Shared>,
    partitions: &BTreeSet<TopicPartition>,
    listener: Option<Listener>,
) {
    shared.partitions().add(partitions.iter().cloned(), true);
    if let Some(listener) = listener {
        pass(shared).await;
        let handle = ConsumerHandle { shared: Arc::clone(shared) };
        let all: Vec<_> = partitions.iter().cloned().collect();
        listener.lock().await.assigned(&handle, &all).await;
    }
    shared.partitions().hold(partitions, false);
}
