//! Changes as Kafka's records, and back.

use std::{collections::BTreeMap, sync::Arc};

use milena_protocol::{
    Uuid,
    group::{
        ConsumerGroupCurrentMemberAssignmentKey, ConsumerGroupCurrentMemberAssignmentValue,
        ConsumerGroupMemberMetadataKey, ConsumerGroupMemberMetadataValue, ConsumerGroupMetadataKey,
        ConsumerGroupMetadataValue, ConsumerGroupPartitionMetadataKey,
        ConsumerGroupRegularExpressionKey, ConsumerGroupRegularExpressionValue,
        ConsumerGroupTargetAssignmentMemberKey, ConsumerGroupTargetAssignmentMemberValue,
        ConsumerGroupTargetAssignmentMetadataKey, ConsumerGroupTargetAssignmentMetadataValue, Key,
        Value,
        consumer_group_current_member_assignment::value::TopicPartitions,
        consumer_group_member_metadata::value::{ClassicMemberMetadata, ClassicProtocol},
        consumer_group_target_assignment_member::value::TopicPartition,
    },
};

use super::{
    super::assignor::Assignment,
    change::{Change, Epoch, TargetEpoch},
    member::{ClassicMetadata, Current, Metadata, Owned, State},
    subscription::Resolved,
};

impl Change {
    /// What a record says, where it is a consumer group's.
    pub(super) fn read(key: &Key<'_>, value: Option<&Value<'_>>) -> Option<Self> {
        Some(match (key, value) {
            (Key::ConsumerGroupMetadata(_), Some(Value::ConsumerGroupMetadata(it))) => {
                let (number, metadata_hash) = (it.epoch, it.metadata_hash);
                Self::Epoch(Some(Epoch { number, metadata_hash }))
            }
            (Key::ConsumerGroupMetadata(_), None) => Self::Epoch(None),
            (Key::ConsumerGroupPartitionMetadata(_), value) => Self::LegacyTopics(value.is_some()),
            (
                Key::ConsumerGroupMemberMetadata(key),
                Some(Value::ConsumerGroupMemberMetadata(it)),
            ) => Self::Member(key.member_id.into(), Some(Metadata::read(it))),
            (Key::ConsumerGroupMemberMetadata(key), None) => {
                Self::Member(key.member_id.into(), None)
            }
            (
                Key::ConsumerGroupTargetAssignmentMetadata(_),
                Some(Value::ConsumerGroupTargetAssignmentMetadata(it)),
            ) => {
                let (number, at_ms) = (it.assignment_epoch, it.assignment_timestamp);
                Self::TargetEpoch(Some(TargetEpoch { number, at_ms }))
            }
            (Key::ConsumerGroupTargetAssignmentMetadata(_), None) => Self::TargetEpoch(None),
            (
                Key::ConsumerGroupTargetAssignmentMember(key),
                Some(Value::ConsumerGroupTargetAssignmentMember(it)),
            ) => {
                let topics = it.topic_partitions.iter();
                let each =
                    |it: &TopicPartition| (it.topic_id, it.partitions.iter().copied().collect());
                let target = topics.map(each).collect();
                Self::Target(key.member_id.into(), Some(target))
            }
            (Key::ConsumerGroupTargetAssignmentMember(key), None) => {
                Self::Target(key.member_id.into(), None)
            }
            (
                Key::ConsumerGroupCurrentMemberAssignment(key),
                Some(Value::ConsumerGroupCurrentMemberAssignment(it)),
            ) => Self::Current(key.member_id.into(), Some(Current::read(it))),
            (Key::ConsumerGroupCurrentMemberAssignment(key), None) => {
                Self::Current(key.member_id.into(), None)
            }
            (
                Key::ConsumerGroupRegularExpression(key),
                Some(Value::ConsumerGroupRegularExpression(it)),
            ) => {
                let topics = it.topics.iter().map(|topic| (*topic).into()).collect();
                let resolved = Resolved { topics, version: it.version, at_ms: it.timestamp };
                Self::Pattern(key.regular_expression.into(), Some(resolved))
            }
            (Key::ConsumerGroupRegularExpression(key), None) => {
                Self::Pattern(key.regular_expression.into(), None)
            }
            _ => return None,
        })
    }

    pub(super) fn key<'a>(&'a self, group_id: &'a str) -> Key<'a> {
        match self {
            Self::Epoch(_) => Key::ConsumerGroupMetadata(ConsumerGroupMetadataKey { group_id }),
            Self::LegacyTopics(_) => {
                Key::ConsumerGroupPartitionMetadata(ConsumerGroupPartitionMetadataKey { group_id })
            }
            Self::Member(member_id, _) => {
                let key = ConsumerGroupMemberMetadataKey { group_id, member_id };
                Key::ConsumerGroupMemberMetadata(key)
            }
            Self::TargetEpoch(_) => {
                let key = ConsumerGroupTargetAssignmentMetadataKey { group_id };
                Key::ConsumerGroupTargetAssignmentMetadata(key)
            }
            Self::Target(member_id, _) => {
                let key = ConsumerGroupTargetAssignmentMemberKey { group_id, member_id };
                Key::ConsumerGroupTargetAssignmentMember(key)
            }
            Self::Current(member_id, _) => {
                let key = ConsumerGroupCurrentMemberAssignmentKey { group_id, member_id };
                Key::ConsumerGroupCurrentMemberAssignment(key)
            }
            Self::Pattern(regular_expression, _) => {
                let key = ConsumerGroupRegularExpressionKey { group_id, regular_expression };
                Key::ConsumerGroupRegularExpression(key)
            }
        }
    }

    pub(super) fn value(&self) -> Option<Value<'_>> {
        Some(match self {
            Self::Epoch(epoch) => {
                let Epoch { number, metadata_hash } = (*epoch)?;
                let value = ConsumerGroupMetadataValue { epoch: number, metadata_hash };
                Value::ConsumerGroupMetadata(value)
            }
            // Never written, only taken away.
            Self::LegacyTopics(_) => return None,
            Self::Member(_, metadata) => {
                Value::ConsumerGroupMemberMetadata(metadata.as_ref()?.write())
            }
            Self::TargetEpoch(epoch) => {
                let TargetEpoch { number, at_ms } = (*epoch)?;
                let (assignment_epoch, assignment_timestamp) = (number, at_ms);
                Value::ConsumerGroupTargetAssignmentMetadata(
                    ConsumerGroupTargetAssignmentMetadataValue {
                        assignment_epoch,
                        assignment_timestamp,
                    },
                )
            }
            Self::Target(_, target) => {
                let topic_partitions = write_target(target.as_ref()?);
                let value = ConsumerGroupTargetAssignmentMemberValue { topic_partitions };
                Value::ConsumerGroupTargetAssignmentMember(value)
            }
            Self::Current(_, current) => {
                Value::ConsumerGroupCurrentMemberAssignment(current.as_ref()?.write())
            }
            Self::Pattern(_, resolved) => {
                let resolved = resolved.as_ref()?;
                let value = ConsumerGroupRegularExpressionValue {
                    topics: resolved.topics.iter().map(|topic| &**topic).collect(),
                    version: resolved.version,
                    timestamp: resolved.at_ms,
                };
                Value::ConsumerGroupRegularExpression(value)
            }
        })
    }
}

impl Metadata {
    fn read(value: &ConsumerGroupMemberMetadataValue<'_>) -> Self {
        let classic = value.classic_member_metadata.as_ref().map(|classic| ClassicMetadata {
            session_timeout_ms: classic.session_timeout_ms,
            protocols: classic
                .supported_protocols
                .iter()
                .map(|protocol| (protocol.name.into(), protocol.metadata.into()))
                .collect(),
        });
        let topics = value.subscribed_topic_names.iter().map(|topic| (*topic).into());
        Self {
            instance_id: value.instance_id.map(Into::into),
            rack_id: value.rack_id.map(Into::into),
            client_id: value.client_id.into(),
            client_host: value.client_host.into(),
            topics: Arc::new(topics.collect()),
            pattern: value.subscribed_topic_regex.unwrap_or_default().into(),
            rebalance_timeout_ms: value.rebalance_timeout_ms,
            assignor: value.server_assignor.map(Into::into),
            classic,
        }
    }

    fn write(&self) -> ConsumerGroupMemberMetadataValue<'_> {
        let protocol = |(name, metadata)| ClassicProtocol { name, metadata };
        ConsumerGroupMemberMetadataValue {
            instance_id: self.instance_id.as_deref(),
            rack_id: self.rack_id.as_deref(),
            client_id: &self.client_id,
            client_host: &self.client_host,
            subscribed_topic_names: self.topics.iter().map(|topic| &**topic).collect(),
            subscribed_topic_regex: Some(&self.pattern),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            server_assignor: self.assignor.as_deref(),
            classic_member_metadata: self.classic.as_ref().map(|classic| ClassicMemberMetadata {
                session_timeout_ms: classic.session_timeout_ms,
                supported_protocols: classic
                    .protocols
                    .iter()
                    .map(|(name, metadata)| protocol((name, metadata)))
                    .collect(),
            }),
        }
    }
}

impl Current {
    fn read(value: &ConsumerGroupCurrentMemberAssignmentValue) -> Self {
        // Older brokers did not write down since when the member has a partition.
        let since = value.member_epoch.max(0);
        Self {
            epoch: value.member_epoch,
            previous_epoch: value.previous_member_epoch,
            state: State::from_number(value.state),
            assigned: read_owned(&value.assigned_partitions, since),
            revoking: read_owned(&value.partitions_pending_revocation, since),
        }
    }

    fn write(&self) -> ConsumerGroupCurrentMemberAssignmentValue {
        ConsumerGroupCurrentMemberAssignmentValue {
            member_epoch: self.epoch,
            previous_member_epoch: self.previous_epoch,
            state: self.state.number(),
            assigned_partitions: write_owned(&self.assigned),
            partitions_pending_revocation: write_owned(&self.revoking),
        }
    }
}

fn read_owned(topics: &[TopicPartitions], since: i32) -> Owned {
    let read = |topic: &TopicPartitions| -> (Uuid, BTreeMap<i32, i32>) {
        let epochs = topic.assignment_epochs.as_ref();
        let epochs = epochs.filter(|epochs| epochs.len() == topic.partitions.len());
        let epoch = |at| epochs.and_then(|epochs| epochs.get(at)).copied().unwrap_or(since);
        let partitions = topic.partitions.iter().enumerate();
        (topic.topic_id, partitions.map(|(at, partition)| (*partition, epoch(at))).collect())
    };
    topics.iter().map(read).collect()
}

fn write_owned(owned: &Owned) -> Vec<TopicPartitions> {
    let write = |(topic_id, partitions): (&Uuid, &BTreeMap<i32, i32>)| TopicPartitions {
        topic_id: *topic_id,
        partitions: partitions.keys().copied().collect(),
        assignment_epochs: Some(partitions.values().copied().collect()),
    };
    owned.iter().map(write).collect()
}

fn write_target(target: &Assignment) -> Vec<TopicPartition> {
    let topics = target.iter();
    topics
        .map(|(topic_id, partitions)| TopicPartition {
            topic_id: *topic_id,
            partitions: partitions.iter().copied().collect(),
        })
        .collect()
}
