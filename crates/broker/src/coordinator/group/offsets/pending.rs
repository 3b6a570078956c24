//! Commits that are part of a transaction: nobody sees them before it ends, and if it is aborted
//! nobody ever does.

use std::collections::BTreeMap;

use milena_protocol::ProducerId;

use super::{super::Groups, Commit};

/// Group, topic and partition.
type Place = (Box<str>, Box<str>, i32);

/// The commits of unfinished transactions. A producer has one at a time.
#[derive(Debug, Default)]
pub(crate) struct PendingCommits {
    transactions: BTreeMap<ProducerId, BTreeMap<Place, Commit>>,
}

impl PendingCommits {
    pub(in super::super) fn put(
        &mut self,
        producer: ProducerId,
        group: &str,
        topic: &str,
        partition: i32,
        commit: Commit,
    ) {
        let place = (group.into(), topic.into(), partition);
        self.transactions.entry(producer).or_default().insert(place, commit);
    }

    /// The offset is deleted, and nothing of it shall come back.
    pub(in super::super) fn forget(&mut self, group: &str, topic: &str, partition: i32) {
        let place = (group.into(), topic.into(), partition);
        self.transactions.retain(|_, commits| {
            commits.remove(&place);
            !commits.is_empty()
        });
    }

    /// Whether a transaction may still change the offset.
    pub(crate) fn is_pending(&self, group: &str, topic: &str, partition: i32) -> bool {
        !self.transactions.is_empty() && {
            let place = (group.into(), topic.into(), partition);
            self.transactions.values().any(|commits| commits.contains_key(&place))
        }
    }
}

impl Groups {
    /// A producer's transaction is over. What it committed counts from here on, unless somebody has
    /// committed since: the record that lies further on is the truth.
    pub(in super::super) fn end_transaction(&mut self, producer: ProducerId, is_commit: bool) {
        let ended = self.pending.transactions.remove(&producer).unwrap_or_default();
        if !is_commit {
            return;
        }
        for ((group, topic, partition), commit) in ended {
            self.on_new_group(&group, |group| {
                let known = group.offsets.get(&topic, partition);
                if known.is_none_or(|known| known.at < commit.at) {
                    group.offsets.put(&topic, partition, commit);
                }
            });
        }
    }
}
