//! What of a group is written down: one record with all members, when they have their assignments,
//! when a static one is replaced, and when the last one is gone.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use milena_protocol::{
    EncodeError,
    consumer::ConsumerProtocolSubscription,
    group::{
        GroupMetadataKey, GroupMetadataValue, Key, Value, group_metadata::value::MemberMetadata,
    },
    wire::Message,
};

use super::{
    super::{
        super::{Scene, Transition, WriteError},
        record::{self, Encoded},
    },
    ClassicGroup, GroupError, Phase,
    member::{Member, Protocol, record_bytes},
};

impl ClassicGroup {
    /// The group as a record tells of it; its members' sessions begin when all is loaded.
    pub(in super::super) fn replay(id: &Arc<str>, value: &GroupMetadataValue<'_>) -> Self {
        let protocol = value.protocol.map(Arc::<str>::from);
        let spoken = protocol.clone().unwrap_or_default();
        let member = |it: &MemberMetadata<'_>| {
            let member = Member::replay(it, Arc::clone(&spoken));
            (Arc::from(it.member_id), member)
        };
        let is_empty = value.members.is_empty();
        let protocol_type = Some(value.protocol_type).filter(|it| !it.is_empty());
        Self {
            phase: if is_empty { Phase::Empty } else { Phase::Stable },
            phase_since_ms: value.current_state_timestamp,
            generation: value.generation,
            protocol_type: protocol_type.map(Arc::from),
            protocol,
            leader: value.leader.map(Arc::from),
            members: value.members.iter().map(member).collect(),
            has_record: true,
            ..Self::new(Arc::clone(id))
        }
    }

    /// Serves from here on: the members' sessions begin, and what they subscribe to matters.
    pub(in super::super) fn loaded(&mut self, scene: &mut Scene<'_>) {
        self.subscribed = self.subscriptions();
        for member in self.members.values_mut() {
            member.begin_session(scene.now.elapsed);
            self.alarm.by(member.deadline);
        }
        if self.members.len() > scene.config.groups.classic.size_max {
            self.prepare_rebalance(Transition::RebalanceTooMany, scene);
        }
    }

    /// Writes the group as it is.
    pub(super) fn write(&mut self, scene: &mut Scene<'_>) -> Result<(), WriteError> {
        self.encode()?.push(scene)?;
        self.has_record = true;
        Ok(())
    }

    /// The group as it is, as a record.
    pub(in super::super) fn encode(&self) -> Result<Encoded, EncodeError> {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let subscriptions: Vec<Bytes> =
            self.members.values().map(|member| member.metadata(protocol)).collect();
        let members = self.members.iter().zip(&subscriptions);
        let members = members.map(|((id, member), subscription)| MemberMetadata {
            member_id: id,
            group_instance_id: member.instance_id.as_deref(),
            client_id: &member.client_id,
            client_host: &member.client_host,
            rebalance_timeout: member.rebalance_ms,
            session_timeout: member.session_ms,
            subscription,
            assignment: &member.assignment,
        });
        let value = GroupMetadataValue {
            protocol_type: self.protocol_type(),
            generation: self.generation,
            protocol: self.protocol.as_deref(),
            leader: self.leader.as_deref(),
            current_state_timestamp: self.phase_since_ms,
            members: members.collect(),
        };
        let key = Key::GroupMetadata(GroupMetadataKey { group: &self.id });
        record::encode(&key, Some(&Value::GroupMetadata(value)))
    }

    /// Takes its record away; it has no members.
    pub(in super::super) fn delete(&mut self, scene: &mut Scene<'_>) -> Result<(), GroupError> {
        if self.has_record {
            let key = Key::GroupMetadata(GroupMetadataKey { group: &self.id });
            record::push(scene, &key, None)?;
        }
        *self = Self { alarm: self.alarm, ..Self::new(Arc::clone(&self.id)) };
        Ok(())
    }

    /// The topics to which the members subscribe in this generation; `None` where they are no
    /// consumers, or one of them says it in a way that nobody understands.
    pub(super) fn subscriptions(&self) -> Option<BTreeSet<Box<str>>> {
        if !self.is_of_consumers() {
            return None;
        }
        let mut topics = BTreeSet::new();
        for (id, member) in &self.members {
            let metadata = member.metadata(self.protocol.as_deref()?);
            let Some(subscription) = subscription(&metadata) else {
                tracing::warn!(group = %self.id, member = %id, "subscription not understood");
                return None;
            };
            for topic in subscription.topics {
                if !topics.contains(topic) {
                    topics.insert(topic.into());
                }
            }
        }
        Some(topics)
    }
}

impl Member {
    fn replay(value: &MemberMetadata<'_>, protocol: Arc<str>) -> Self {
        let rebalance_ms = match value.rebalance_timeout {
            -1 => value.session_timeout,
            told => told,
        };
        let instance_id = value.group_instance_id;
        let texts = [instance_id.unwrap_or_default(), value.client_id, value.client_host];
        let largest = protocol.len() + value.subscription.len();
        let metadata = Bytes::copy_from_slice(value.subscription);
        Self {
            instance_id: instance_id.map(Arc::from),
            client_id: value.client_id.into(),
            client_host: value.client_host.into(),
            session_ms: value.session_timeout,
            rebalance_ms,
            protocols: vec![Protocol { name: protocol, metadata }],
            assignment: Bytes::copy_from_slice(value.assignment),
            record_bytes: record_bytes(value.member_id.len(), texts, largest),
            deadline: Duration::ZERO,
            new_until: None,
            join: None,
            sync: None,
            must_sync: false,
        }
    }
}

/// What a consumer subscribes to. All versions begin as the first one does.
fn subscription(metadata: &[u8]) -> Option<ConsumerProtocolSubscription<'_>> {
    let (version, body) = metadata.split_first_chunk()?;
    if i16::from_be_bytes(*version) < 0 {
        return None;
    }
    ConsumerProtocolSubscription::decode(body, 0).ok().map(|decoded| decoded.message)
}
