//! What a group has committed: reading it and writing it, one attempt each.

use std::{collections::BTreeMap, sync::Arc};

use milena_protocol::{
    ErrorCode,
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
/// Up to this version topics have names.
const NAMES_UNTIL: i16 = 9;

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
    at_coordinator(cluster, group_id, async |node: Arc<Node>| {
        let connection = node.connection().await?;
        let version = connection.version::<OffsetFetch>()?.min(NAMES_UNTIL);
        let mut request = OffsetFetchRequest { require_stable: true, ..Default::default() };
        let topics = by_topic.iter();
        if version >= GROUPS_FROM {
            let topics = topics.map(|(name, partitions)| OffsetFetchRequestTopics {
                name,
                partition_indexes: partitions.clone(),
                ..Default::default()
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
                for it in &topic.partitions {
                    let (offset, epoch) = (it.committed_offset, it.committed_leader_epoch);
                    keep(
                        topic.name,
                        it.partition_index,
                        offset,
                        epoch,
                        it.metadata,
                        it.error_code,
                    )?;
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
    })
    .await
}

/// Commits for a member of the group, or for nobody in particular.
pub(super) async fn commit_offsets(
    cluster: &Cluster,
    group_id: &str,
    member: &MemberIdentity,
    offsets: &BTreeMap<TopicPartition, CommittedOffset>,
) -> Result<()> {
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
                partitions: vec![entry],
                ..Default::default()
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
    at_coordinator(cluster, group_id, async |node: Arc<Node>| {
        let connection = node.connection().await?;
        let version = connection.version::<OffsetCommit>()?.min(NAMES_UNTIL);
        let answer = connection.call_at::<OffsetCommit>(&request, version).await?;
        let what = format!("commit for {group_id}");
        let message = answer.message()?;
        let codes = message.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|it| (topic.name, it.partition_index, it.error_code))
        });
        for (topic, partition, code) in codes {
            if code != ErrorCode::None as i16 {
                Error::check(&format!("{what}, {topic}-{partition}"), code, None)?;
            }
        }
        Ok(())
    })
    .await
}
