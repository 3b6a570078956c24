//! What a group has committed: reading it and writing it, one attempt each.

use std::{collections::BTreeMap, sync::Arc};

use milena_protocol::{
    ErrorCode, Uuid,
    api::{
        OffsetCommitRequest, OffsetFetchRequest,
        offset_commit::request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_fetch::request::{
            OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
        },
    },
};

use super::{
    CommittedOffset, TopicPartition,
    group::MemberIdentity,
    partitions::Committed,
    types::{epoch, known},
};
use crate::{
    cluster::{Cluster, CoordinatorKind, Lane, Node},
    error::{Error, Result},
    network::{OffsetCommit, OffsetFetch},
};

/// From this version on one request may ask for several groups, and is made by a member.
const GROUPS_FROM: i16 = 8;
/// Up to this version topics have names, and from the next one on only ids.
const NAMES_UNTIL: i16 = 9;

/// Topics by name and by id: a topic that was deleted and made again is not taken for the one that
/// was read.
struct Ids<'p> {
    /// Empty if some have no id that is known.
    by_name: BTreeMap<&'p str, Uuid>,
}

impl<'p> Ids<'p> {
    fn of(cluster: &Cluster, topics: impl Iterator<Item = &'p str>) -> Self {
        let view = cluster.view();
        let known = topics.map(|name| {
            let id = view.topics.get(name).map(|topic| topic.id);
            id.filter(|id| *id != Uuid::ZERO).map(|id| (name, id))
        });
        Self { by_name: known.collect::<Option<_>>().unwrap_or_default() }
    }

    /// The highest version that can be spoken with what is known.
    fn version(&self, highest: i16) -> i16 {
        if self.by_name.is_empty() { highest.min(NAMES_UNTIL) } else { highest }
    }

    fn id(&self, name: &str) -> Uuid {
        self.by_name.get(name).copied().unwrap_or(Uuid::ZERO)
    }

    /// The name of a topic in an answer, which has its name or its id.
    fn name<'n>(&'n self, name: &'n str, id: Uuid) -> Option<&'n str> {
        if id == Uuid::ZERO {
            return Some(name);
        }
        self.by_name.iter().find(|(_, known)| **known == id).map(|(name, _)| *name)
    }
}

/// What a topic of an answer is called; whoever speaks of others does not know what was asked.
fn named<'n>(ids: &'n Ids<'_>, name: &'n str, id: Uuid, address: &str) -> Result<&'n str> {
    let unknown = || Error::Protocol {
        address: address.into(),
        problem: format!("its answer is about topic {id}, which was not asked for").into(),
    };
    ids.name(name, id).ok_or_else(unknown)
}

/// A topic that has another id than is known here has to be learned of again.
fn refresh_if_unknown<T>(cluster: &Cluster, done: Result<T>) -> Result<T> {
    if let Err(error) = &done
        && error.code() == Some(ErrorCode::UnknownTopicId)
    {
        cluster.refresh();
    }
    done
}

/// Calls the group's coordinator; who is not it any more is forgotten.
pub(super) async fn at_coordinator<T, F: Future<Output = Result<T>>>(
    cluster: &Cluster,
    group_id: &str,
    call: impl FnOnce(Arc<Node>) -> F,
) -> Result<T> {
    at_coordinator_on(Lane::Coordination, cluster, group_id, call).await
}

/// The same for requests that wait for others.
pub(super) async fn at_coordinator_on<T, F: Future<Output = Result<T>>>(
    lane: Lane,
    cluster: &Cluster,
    group_id: &str,
    call: impl FnOnce(Arc<Node>) -> F,
) -> Result<T> {
    let kind = CoordinatorKind::Group;
    let done = match cluster.coordinator_on(kind, group_id, lane).await {
        Ok(node) => call(node).await,
        Err(error) => Err(error),
    };
    if let Err(error) = &done
        && Cluster::is_about_coordinator(error)
    {
        cluster.forget_coordinator(kind, group_id);
    }
    done
}

/// What the group has committed of some partitions.
pub(super) async fn fetch_offsets(
    cluster: &Cluster,
    group_id: &str,
    member: &MemberIdentity,
    partitions: &[TopicPartition],
) -> Result<BTreeMap<TopicPartition, Committed>> {
    let mut by_topic: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        by_topic.entry(&partition.topic).or_default().push(partition.partition);
    }
    let ids = Ids::of(cluster, by_topic.keys().copied());
    let done = at_coordinator(cluster, group_id, async |node: Arc<Node>| {
        let connection = node.connection().await?;
        let version = ids.version(connection.version::<OffsetFetch>()?);
        let mut request = OffsetFetchRequest { require_stable: true, ..Default::default() };
        let topics = by_topic.iter();
        if version >= GROUPS_FROM {
            let topics = topics.map(|(name, partitions)| OffsetFetchRequestTopics {
                name,
                topic_id: ids.id(name),
                partition_indexes: partitions.clone(),
            });
            let (member_id, member_epoch) = member.for_reading();
            request.groups = vec![OffsetFetchRequestGroup {
                group_id,
                member_id,
                member_epoch,
                topics: Some(topics.collect()),
            }];
        } else {
            request.group_id = group_id;
            let topics = topics.map(|(name, partitions)| OffsetFetchRequestTopic {
                name,
                partition_indexes: partitions.clone(),
            });
            request.topics = Some(topics.collect());
        }
        let answer = connection.call_at::<OffsetFetch>(&request, version).await?;
        let message = answer.message()?;
        let what = format!("read what {group_id} has committed");
        let mut found = BTreeMap::new();
        let mut keep = |topic: &str, index, offset, epoch, metadata: Option<&str>, code| {
            Error::check(&what, code, None)?;
            let committed = (offset >= 0).then(|| CommittedOffset {
                offset,
                leader_epoch: known(milena_protocol::LeaderEpoch(epoch)),
                metadata: metadata.unwrap_or_default().into(),
            });
            found.insert(TopicPartition::new(topic, index), committed);
            Ok(())
        };
        Error::check(&what, message.error_code, None)?;
        for group in &message.groups {
            Error::check(&what, group.error_code, None)?;
            for topic in &group.topics {
                let name = named(&ids, topic.name, topic.topic_id, &node.address)?;
                for it in &topic.partitions {
                    let (offset, epoch) = (it.committed_offset, it.committed_leader_epoch);
                    keep(name, it.partition_index, offset, epoch, it.metadata, it.error_code)?;
                }
            }
        }
        for topic in &message.topics {
            for it in &topic.partitions {
                let (offset, epoch) = (it.committed_offset, it.committed_leader_epoch);
                keep(topic.name, it.partition_index, offset, epoch, it.metadata, it.error_code)?;
            }
        }
        Ok(found)
    });
    refresh_if_unknown(cluster, done.await)
}

/// Commits for a member of the group, or for nobody in particular.
pub(super) async fn commit_offsets(
    cluster: &Cluster,
    group_id: &str,
    member: &MemberIdentity,
    offsets: &BTreeMap<TopicPartition, CommittedOffset>,
) -> Result<()> {
    let ids = Ids::of(cluster, offsets.keys().map(|partition| &*partition.topic));
    let mut topics: Vec<OffsetCommitRequestTopic<'_>> = Vec::new();
    for (partition, committed) in offsets {
        let entry = OffsetCommitRequestPartition {
            partition_index: partition.partition,
            committed_offset: committed.offset,
            committed_leader_epoch: epoch(committed.leader_epoch).0,
            committed_metadata: Some(&committed.metadata),
        };
        match topics.last_mut().filter(|topic| topic.name == &*partition.topic) {
            Some(topic) => topic.partitions.push(entry),
            None => topics.push(OffsetCommitRequestTopic {
                name: &partition.topic,
                topic_id: ids.id(&partition.topic),
                partitions: vec![entry],
            }),
        }
    }
    let request = OffsetCommitRequest {
        group_id,
        generation_id_or_member_epoch: member.epoch,
        member_id: &member.id,
        group_instance_id: member.instance_id.as_deref(),
        retention_time_ms: -1,
        topics,
    };
    let done = at_coordinator(cluster, group_id, async |node: Arc<Node>| {
        let connection = node.connection().await?;
        let version = ids.version(connection.version::<OffsetCommit>()?);
        let answer = connection.call_at::<OffsetCommit>(&request, version).await?;
        let what = format!("commit for {group_id}");
        let message = answer.message()?;
        for topic in &message.topics {
            let name = named(&ids, topic.name, topic.topic_id, &node.address)?;
            for it in topic.partitions.iter().filter(|it| it.error_code != 0) {
                Error::check(
                    &format!("{what}, {name}-{}", it.partition_index),
                    it.error_code,
                    None,
                )?;
            }
        }
        Ok(())
    });
    refresh_if_unknown(cluster, done.await)
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn topics_go_by_their_ids_if_all_of_them_are_known() {
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let ids = Ids { by_name: BTreeMap::from([("a", a), ("b", b)]) };
        assert_eq!((ids.version(10), ids.version(8)), (10, 8));
        assert_eq!((ids.id("b"), ids.name("", a)), (b, Some("a")));
        let error = named(&ids, "", Uuid::from_u128(3), "here:9092").unwrap_err();
        assert!(matches!(error, Error::Protocol { .. }), "{error}");
        // One has none.
        let ids = Ids { by_name: BTreeMap::new() };
        assert_eq!((ids.version(10), ids.version(8)), (9, 8));
        assert_eq!((ids.id("b"), ids.name("b", Uuid::ZERO)), (Uuid::ZERO, Some("b")));
    }
}
