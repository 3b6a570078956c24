//! What groups have committed: how far they have come in each partition.

mod commit;
mod delete;
mod expire;
mod fetch;
mod pending;

use std::collections::BTreeMap;

use milena_protocol::{
    Offset, Uuid,
    group::{LegacyOffsetCommitValue, OffsetCommitValue},
};

pub(crate) use commit::{CommitRequest, Committer, PartitionCommit, TopicCommit};
pub(crate) use expire::Expiry;
pub(crate) use pending::PendingCommits;

/// How far a group has come in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) offset: i64,
    /// Of the last record that was read; -1 where nobody said.
    pub(crate) leader_epoch: i32,
    /// Whatever the committer wanted to keep beside it.
    pub(crate) metadata: Box<str>,
    pub(crate) commit_ms: i64,
    /// When it may go, where an old client said so; else -1.
    pub(crate) expire_ms: i64,
    /// Zero where an old broker wrote it.
    pub(crate) topic_id: Uuid,
    /// Where the record lies: of two commits the later one counts, also where one of them becomes
    /// visible only at the end of its transaction.
    pub(crate) at: Offset,
}

impl Commit {
    pub(super) fn read(at: Offset, value: &OffsetCommitValue<'_>) -> Self {
        Self {
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: value.metadata.into(),
            commit_ms: value.commit_timestamp,
            expire_ms: value.expire_timestamp,
            topic_id: value.topic_id,
            at,
        }
    }

    pub(super) fn read_legacy(at: Offset, value: &LegacyOffsetCommitValue<'_>) -> Self {
        Self {
            offset: value.offset,
            leader_epoch: -1,
            metadata: value.metadata.into(),
            commit_ms: value.commit_timestamp,
            expire_ms: -1,
            topic_id: Uuid::ZERO,
            at,
        }
    }
}

/// All that a group has committed, by topic and partition.
#[derive(Debug, Default)]
pub(crate) struct Committed {
    topics: BTreeMap<Box<str>, BTreeMap<i32, Commit>>,
}

impl Committed {
    pub(crate) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    pub(crate) fn get(&self, topic: &str, partition: i32) -> Option<&Commit> {
        self.topics.get(topic)?.get(&partition)
    }

    /// Everything, in the order of topics and partitions.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, i32, &Commit)> {
        self.topics.iter().flat_map(|(topic, partitions)| {
            partitions.iter().map(move |(partition, commit)| (&**topic, *partition, commit))
        })
    }

    pub(super) fn put(&mut self, topic: &str, partition: i32, commit: Commit) {
        match self.topics.get_mut(topic) {
            Some(partitions) => drop(partitions.insert(partition, commit)),
            None => drop(self.topics.insert(topic.into(), BTreeMap::from([(partition, commit)]))),
        }
    }

    pub(super) fn remove(&mut self, topic: &str, partition: i32) {
        if let Some(partitions) = self.topics.get_mut(topic) {
            partitions.remove(&partition);
            if partitions.is_empty() {
                self.topics.remove(topic);
            }
        }
    }
}
