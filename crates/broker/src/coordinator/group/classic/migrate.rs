//! A group's members as they go over to the consumer protocol, and come back from it.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    super::super::Scene,
    CONSUMER, ClassicGroup, GroupError, JoinRefused, Phase,
    member::{Member, Protocol, record_bytes},
};

/// The members of a generation.
#[derive(Debug)]
pub(crate) struct Handover {
    pub(crate) generation: i32,
    pub(crate) members: Vec<HandedOver>,
}

#[derive(Debug)]
pub(crate) struct HandedOver {
    pub(crate) id: Arc<str>,
    pub(crate) instance_id: Option<Arc<str>>,
    pub(crate) client_id: Box<str>,
    pub(crate) client_host: Box<str>,
    pub(crate) session_ms: i32,
    pub(crate) rebalance_ms: i32,
    /// Names and subscriptions, the one it likes best first.
    pub(crate) protocols: Vec<(Box<str>, Box<[u8]>)>,
    /// Of the protocol that was chosen.
    pub(crate) subscription: Bytes,
    pub(crate) assignment: Bytes,
}

impl ClassicGroup {
    /// All that the group knows of its members, if they are consumers.
    pub(in super::super) fn hand_over(&self) -> Option<Handover> {
        if !self.is_of_consumers() {
            return None;
        }
        let hand_over = |(id, member): (&Arc<str>, &Member)| {
            let first = member.protocols.first().map(|it| it.metadata.clone());
            let chosen = self.protocol.as_ref().filter(|name| member.supports(name));
            let chosen = chosen.map(|name| member.metadata(name));
            let protocol = |it: &Protocol| ((&*it.name).into(), (&*it.metadata).into());
            HandedOver {
                id: Arc::clone(id),
                instance_id: member.instance_id.clone(),
                client_id: member.client_id.clone(),
                client_host: member.client_host.clone(),
                session_ms: member.session_ms,
                rebalance_ms: member.rebalance_ms,
                protocols: member.protocols.iter().map(protocol).collect(),
                subscription: chosen.or(first).unwrap_or_default(),
                assignment: member.assignment.clone(),
            }
        };
        let members = self.members.iter().map(hand_over).collect();
        Some(Handover { generation: self.generation, members })
    }

    /// Nothing comes any more of what members wait for here.
    pub(in super::super) fn dissolve(&mut self, scene: &mut Scene<'_>) {
        for (id, member) in &mut self.members {
            let error = GroupError::RebalanceInProgress;
            member.refuse(JoinRefused { member_id: (&**id).into(), error }, scene);
        }
    }

    /// A stable group of the members that were handed over.
    pub(in super::super) fn take_over(id: Arc<str>, from: Handover, scene: &Scene<'_>) -> Self {
        let mut group = Self {
            generation: from.generation,
            protocol_type: Some(CONSUMER.into()),
            has_record: true,
            ..Self::new(id)
        };
        for member in from.members {
            let texts = [
                member.instance_id.as_deref().unwrap_or_default(),
                &*member.client_id,
                &*member.client_host,
            ];
            let largest = member.protocols.iter().map(|(name, it)| name.len() + it.len()).max();
            let record_bytes = record_bytes(member.id.len(), texts, largest.unwrap_or_default());
            let protocol = |(name, metadata): &(Box<str>, Box<[u8]>)| Protocol {
                name: (&**name).into(),
                metadata: Bytes::copy_from_slice(metadata),
            };
            let protocols = member.protocols.iter().map(protocol).collect();
            group.members.insert(
                member.id,
                Member {
                    instance_id: member.instance_id,
                    client_id: member.client_id,
                    client_host: member.client_host,
                    session_ms: member.session_ms,
                    rebalance_ms: member.rebalance_ms,
                    protocols,
                    assignment: member.assignment,
                    record_bytes,
                    deadline: std::time::Duration::ZERO,
                    new_until: None,
                    join: None,
                    sync: None,
                    must_sync: false,
                },
            );
        }
        group.protocol = group.choose_protocol();
        group.subscribed = group.subscriptions();
        group.enter(Phase::Stable, scene);
        group
    }
}
