//! How far groups have read: seen, set and forgotten.

use milena_protocol::{
    Uuid,
    api::{
        OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest,
        offset_commit::request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_delete::request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic},
        offset_fetch::request::OffsetFetchRequestGroup,
    },
};

use super::{Admin, Each, To, by_topic, done, unless_later};
use crate::{
    CommittedOffset, TopicPartition,
    error::{Error, Result},
    network::{Answer, OffsetCommit, OffsetDelete, OffsetFetch},
};

/// From the next version on topics go by their ids, and those of deleted topics cannot be named.
const NAMES_UP_TO: i16 = 9;

impl Admin {
    /// All that a group has committed, in the order of the partitions.
    pub async fn group_offsets(
        &self,
        group: &str,
    ) -> Result<Each<TopicPartition, CommittedOffset>> {
        let asked = OffsetFetchRequestGroup {
            group_id: group,
            member_id: None,
            member_epoch: -1,
            topics: None,
        };
        let request = OffsetFetchRequest {
            group_id: group,
            topics: None,
            groups: vec![asked],
            require_stable: false,
        };
        let what = format!("look up the offsets of group {group}");
        let read = |answer: &Answer<OffsetFetch>| committed(&what, answer);
        self.ask_at_most(&what, To::Group(group), &request, NAMES_UP_TO, read).await
    }

    /// Sets how far a group has read. It must be empty.
    pub async fn alter_group_offsets(
        &self,
        group: &str,
        offsets: &[(TopicPartition, CommittedOffset)],
    ) -> Result<Each<TopicPartition>> {
        let topics = by_topic(offsets.iter().map(|(partition, offset)| (partition, offset)));
        let topics = topics.into_iter().map(|(name, partitions)| OffsetCommitRequestTopic {
            name,
            topic_id: Uuid::ZERO,
            partitions: partitions
                .into_iter()
                .map(|(partition_index, offset)| OffsetCommitRequestPartition {
                    partition_index,
                    committed_offset: offset.offset,
                    committed_leader_epoch: offset.leader_epoch.unwrap_or(-1),
                    committed_metadata: Some(&offset.metadata),
                })
                .collect(),
        });
        let request = OffsetCommitRequest {
            group_id: group,
            generation_id_or_member_epoch: -1,
            member_id: "",
            group_instance_id: None,
            retention_time_ms: -1,
            topics: topics.collect(),
        };
        let what = format!("set the offsets of group {group}");
        let read = |answer: &Answer<OffsetCommit>| {
            let mut each = Each::new();
            for topic in &answer.message()?.topics {
                for told in &topic.partitions {
                    let partition = TopicPartition::new(topic.name, told.partition_index);
                    let what = format!("set the offset of group {group} in {partition}");
                    each.push((partition, done(what, told.error_code, None, ())));
                }
            }
            unless_later(each)
        };
        self.ask_at_most(&what, To::Group(group), &request, NAMES_UP_TO, read).await
    }

    /// Forgets what a group has committed of these partitions. It must not read their topics.
    pub async fn delete_group_offsets(
        &self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Each<TopicPartition>> {
        let topics = by_topic(partitions.iter().map(|partition| (partition, ())));
        let topics = topics.into_iter().map(|(name, partitions)| OffsetDeleteRequestTopic {
            name,
            partitions: partitions
                .into_iter()
                .map(|(partition_index, ())| OffsetDeleteRequestPartition { partition_index })
                .collect(),
        });
        let request = OffsetDeleteRequest { group_id: group, topics: topics.collect() };
        let what = format!("delete offsets of group {group}");
        self.ask::<OffsetDelete, _>(&what, To::Group(group), &request, |answer| {
            let message = answer.message()?;
            Error::check(&what, message.error_code, None)?;
            let mut each = Each::new();
            for topic in &message.topics {
                for told in &topic.partitions {
                    let partition = TopicPartition::new(topic.name, told.partition_index);
                    let what = format!("delete the offset of group {group} in {partition}");
                    each.push((partition, done(what, told.error_code, None, ())));
                }
            }
            unless_later(each)
        })
        .await
    }
}

/// Before version 8 an answer is about one group, and later about many.
fn committed(
    what: &str,
    answer: &Answer<OffsetFetch>,
) -> Result<Each<TopicPartition, CommittedOffset>> {
    let message = answer.message()?;
    let mut each = Each::new();
    let mut add = |topic: &str, partition, offset, epoch: i32, metadata: Option<&str>, code| {
        // Nothing was committed, which old brokers also say of partitions.
        if offset < 0 && code == 0 {
            return;
        }
        let committed = CommittedOffset {
            offset,
            leader_epoch: Some(epoch).filter(|epoch| *epoch >= 0),
            metadata: metadata.unwrap_or_default().into(),
        };
        let partition = TopicPartition::new(topic, partition);
        let result = done(format!("{what} in {partition}"), code, None, committed);
        each.push((partition, result));
    };
    Error::check(what, message.error_code, None)?;
    for topic in &message.topics {
        for told in &topic.partitions {
            let (at, epoch) = (told.committed_offset, told.committed_leader_epoch);
            add(topic.name, told.partition_index, at, epoch, told.metadata, told.error_code);
        }
    }
    for group in &message.groups {
        Error::check(what, group.error_code, None)?;
        for topic in &group.topics {
            for told in &topic.partitions {
                let (at, epoch) = (told.committed_offset, told.committed_leader_epoch);
                add(topic.name, told.partition_index, at, epoch, told.metadata, told.error_code);
            }
        }
    }
    each.sort_by(|(one, _), (other, _)| one.cmp(other));
    unless_later(each)
}
