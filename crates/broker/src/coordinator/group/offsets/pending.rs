//! Commits that are part of a transaction: nobody sees them before it ends, and if it is aborted
//! nobody ever does.

use std::collections::{BTreeMap, BTreeSet};

use milena_protocol::ProducerId;

use super::{super::Groups, Commit};

/// Group, topic and partition.
type Place = (Box<str>, Box<str>, i32);

/// The commits of unfinished transactions. A producer has one at a time.
#[derive(Debug, Default)]
pub(crate) struct PendingCommits {
    transactions: BTreeMap<ProducerId, BTreeMap<Place, Commit>>,
    /// Whose transactions may still change the offset of a place.
    open: BTreeMap<Place, BTreeSet<ProducerId>>,
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
        let place: Place = (group.into(), topic.into(), partition);
        self.open.entry(place.clone()).or_default().insert(producer);
        self.transactions.entry(producer).or_default().insert(place, commit);
    }

    /// The offset is deleted, and nothing of it shall come back.
    pub(in super::super) fn forget(&mut self, group: &str, topic: &str, partition: i32) {
        if self.open.is_empty() {
            return;
        }
        let place = (group.into(), topic.into(), partition);
        for producer in self.open.remove(&place).unwrap_or_default() {
            if let Some(commits) = self.transactions.get_mut(&producer) {
                commits.remove(&place);
                if commits.is_empty() {
                    self.transactions.remove(&producer);
                }
            }
        }
    }

    /// Whether a transaction may still change the offset.
    pub(crate) fn is_pending(&self, group: &str, topic: &str, partition: i32) -> bool {
        !self.open.is_empty() && self.open.contains_key(&(group.into(), topic.into(), partition))
    }

    /// The topics and partitions for which transactions may still change the group's offset.
    pub(in super::super) fn of_group(&self, group: &str) -> BTreeSet<(Box<str>, i32)> {
        let places = self.places_of(group).map(|(_, topic, partition)| (topic.clone(), *partition));
        places.collect()
    }

    pub(in super::super) fn has_group(&self, group: &str) -> bool {
        self.places_of(group).next().is_some()
    }

    /// All groups with pending commits for a topic, and its partitions.
    pub(in super::super) fn of_topic(&self, topic: &str) -> Vec<(Box<str>, i32)> {
        let is_its = |(_, of, _): &&Place| **of == *topic;
        let places = self.open.keys().filter(is_its);
        places.map(|(group, _, partition)| (group.clone(), *partition)).collect()
    }

    fn places_of(&self, group: &str) -> impl Iterator<Item = &Place> {
        let first: Option<Place> =
            (!self.open.is_empty()).then(|| (group.into(), "".into(), i32::MIN));
        let of_group = first.into_iter().flat_map(|first| self.open.range(first..));
        of_group.map(|(place, _)| place).take_while(move |(of, _, _)| **of == *group)
    }

    fn take(&mut self, producer: ProducerId) -> BTreeMap<Place, Commit> {
        let ended = self.transactions.remove(&producer).unwrap_or_default();
        for place in ended.keys() {
            if let Some(producers) = self.open.get_mut(place) {
                producers.remove(&producer);
                if producers.is_empty() {
                    self.open.remove(place);
                }
            }
        }
        ended
    }
}

impl Groups {
    /// A producer's transaction is over. What it committed counts from here on, unless somebody has
    /// committed since: the record that lies further on is the truth.
    pub(in super::super) fn end_transaction(&mut self, producer: ProducerId, is_commit: bool) {
        for ((group, topic, partition), commit) in self.pending.take(producer) {
            // A group that there is nothing left of goes with the transaction.
            self.on_new_group(&group, |group| {
                let known = group.offsets.get(&topic, partition);
                if is_commit && known.is_none_or(|known| known.at < commit.at) {
                    group.offsets.put(&topic, partition, commit);
                }
            });
        }
    }
}
