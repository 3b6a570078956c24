//! What the leaders of partitions are asked: offsets by time, and where epochs have ended.

use std::collections::BTreeMap;

use milena_protocol::{
    ErrorCode, LeaderEpoch,
    api::{
        ListOffsetsRequest, OffsetForLeaderEpochRequest,
        list_offsets::request::{ListOffsetsPartition, ListOffsetsTopic},
        offset_for_leader_epoch::request::{OffsetForLeaderPartition, OffsetForLeaderTopic},
    },
};

use super::{
    TopicPartition,
    config::IsolationLevel,
    partitions::{EpochEnd, Found, Wanted},
};
use crate::{
    cluster::{Cluster, Lane},
    error::{Error, Result},
    network::{ListOffsets, OffsetForLeaderEpoch},
};

/// What each partition was answered.
pub(super) type Answers<T> = BTreeMap<TopicPartition, Result<T>>;

/// Partitions by their topics, for a request.
fn by_topic<'p, T>(
    asked: &'p [(TopicPartition, Wanted)],
    entry: impl Fn(&'p TopicPartition, &'p Wanted) -> T,
) -> BTreeMap<&'p str, Vec<T>> {
    let mut topics: BTreeMap<&str, Vec<T>> = BTreeMap::new();
    for (partition, wanted) in asked {
        topics.entry(&partition.topic).or_default().push(entry(partition, wanted));
    }
    topics
}

/// Finds an answer's partition among those that were asked for.
fn asked_for<'p>(
    asked: &'p [(TopicPartition, Wanted)],
    topic: &str,
    partition: i32,
) -> Option<&'p TopicPartition> {
    let mut all = asked.iter().map(|(partition, _)| partition);
    all.find(|it| it.partition == partition && *it.topic == *topic)
}

fn check(what: &str, partition: &TopicPartition, code: i16) -> Result<()> {
    if code == ErrorCode::None as i16 {
        return Ok(());
    }
    Error::check(&format!("{what} {partition}"), code, None)
}

/// The first offsets that are no older than the wanted times, by one broker.
pub(super) async fn list_offsets(
    cluster: &Cluster,
    node: i32,
    isolation: IsolationLevel,
    asked: &[(TopicPartition, Wanted)],
) -> Result<Answers<Found>> {
    let topics = by_topic(asked, |partition, wanted| ListOffsetsPartition {
        partition_index: partition.partition,
        current_leader_epoch: wanted.leader_epoch.0,
        timestamp: wanted.value,
    });
    let request = ListOffsetsRequest {
        replica_id: -1,
        isolation_level: isolation as i8,
        topics: topics
            .into_iter()
            .map(|(name, partitions)| ListOffsetsTopic { name, partitions })
            .collect(),
        timeout_ms: super::fetch::milliseconds(cluster.config().request_timeout),
    };
    // A fetch may stand before it on the other connection.
    let answer = cluster.node(node, Lane::Coordination)?.call::<ListOffsets>(&request).await?;
    let mut answers = Answers::new();
    for topic in &answer.message()?.topics {
        for it in &topic.partitions {
            let Some(partition) = asked_for(asked, topic.name, it.partition_index) else {
                continue;
            };
            let found = Found {
                offset: it.offset,
                timestamp: it.timestamp,
                epoch: LeaderEpoch(it.leader_epoch),
            };
            let checked = check("find an offset of", partition, it.error_code);
            answers.insert(partition.clone(), checked.map(|()| found));
        }
    }
    Ok(answers)
}

/// Where the wanted epochs have ended, by one broker.
pub(super) async fn epoch_ends(
    cluster: &Cluster,
    node: i32,
    asked: &[(TopicPartition, Wanted)],
) -> Result<Answers<EpochEnd>> {
    let topics = by_topic(asked, |partition, wanted| OffsetForLeaderPartition {
        partition: partition.partition,
        current_leader_epoch: wanted.leader_epoch.0,
        leader_epoch: i32::try_from(wanted.value).unwrap_or(-1),
    });
    let request = OffsetForLeaderEpochRequest {
        replica_id: -1,
        topics: topics
            .into_iter()
            .map(|(topic, partitions)| OffsetForLeaderTopic { topic, partitions })
            .collect(),
    };
    let node = cluster.node(node, Lane::Coordination)?;
    let answer = node.call::<OffsetForLeaderEpoch>(&request).await?;
    let mut answers = Answers::new();
    for topic in &answer.message()?.topics {
        for it in &topic.partitions {
            let Some(partition) = asked_for(asked, topic.topic, it.partition) else { continue };
            let end = EpochEnd { epoch: it.leader_epoch, offset: it.end_offset };
            let checked = check("find an epoch's end in", partition, it.error_code);
            answers.insert(partition.clone(), checked.map(|()| end));
        }
    }
    Ok(answers)
}
