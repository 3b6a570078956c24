//! From one protocol to the other while the members are there, as far as
//! `group.consumer.migration.policy` allows: a group of consumers becomes one of the coordinator's
//! when somebody joins it by the new protocol, and goes back when the last of those is gone.

use std::sync::Arc;

use milena_protocol::group::{GroupMetadataKey, Key};

use super::{
    super::{
        super::{Scene, Transition, WriteError},
        Group, GroupError, Members,
        assignor::Assignment,
        classic::{ClassicGroup, HandedOver, Handover, JoinRequest},
        record,
    },
    Change, ConsumerGroup, ConsumerHeartbeat, ConsumerHeartbeatAnswer, Draft,
    change::{Epoch, TargetEpoch},
    embedded::{Subscription, read_assignment, write_assignment},
    member::{ClassicMetadata, Current, Metadata},
};

/// What a consumer group goes on as.
#[derive(Debug)]
pub(super) struct Successor {
    group: ClassicGroup,
    /// Why its members have to come together again at once, if they have to.
    rebalance: Option<Transition>,
}

impl Group {
    /// A member joins a classic group by the consumer protocol.
    pub(super) fn become_consumer(
        &mut self,
        request: &ConsumerHeartbeat<'_>,
        scene: &mut Scene<'_>,
    ) -> Result<ConsumerHeartbeatAnswer, GroupError> {
        let Members::Classic(classic) = &mut self.members else {
            return Err(GroupError::OtherProtocol(request.group.to_owned()));
        };
        let mut draft = Draft::default();
        if !classic.is_nothing() {
            let key = Key::GroupMetadata(GroupMetadataKey { group: classic.id() });
            draft.put(record::encode(&key, None).map_err(WriteError::from)?);
        }
        let mut group = ConsumerGroup::new(Arc::clone(classic.id()));
        if !classic.is_empty() {
            let refused = |why: &str| {
                tracing::info!(group = request.group, why, "not upgraded to a consumer group");
                scene.count(Transition::NotUpgraded);
                GroupError::OtherProtocol(request.group.to_owned())
            };
            let handover = classic.hand_over().ok_or_else(|| refused("they are no consumers"))?;
            group.take_over(&handover, &mut draft, scene).map_err(|why| match why {
                Refused::Because(why) => refused(why),
                Refused::Error(error) => error,
            })?;
            group.begin_sessions(scene);
        }
        let answer = group.heartbeat(draft, request, scene)?;
        if !classic.is_empty() {
            tracing::info!(group = request.group, "upgraded to a consumer group");
            scene.count(Transition::Upgraded);
        }
        classic.dissolve(scene);
        self.members = Members::Consumer(Box::new(group));
        Ok(answer)
    }

    /// Somebody new joins an empty consumer group by the classic protocol.
    pub(super) fn make_classic_if_empty(
        &mut self,
        request: &JoinRequest<'_>,
        scene: &mut Scene<'_>,
    ) -> Result<(), GroupError> {
        match &self.members {
            Members::Consumer(group) if group.is_empty() => {}
            _ => return Ok(()),
        }
        if !request.member_id.is_empty() {
            return Err(GroupError::UnknownMemberId(request.member_id.to_owned()));
        }
        self.members.delete(scene)
    }

    /// A consumer group whose members all speak the classic protocol now goes on by it.
    pub(in super::super) fn hand_over_if_classic(&mut self, scene: &mut Scene<'_>) {
        let Members::Consumer(group) = &mut self.members else { return };
        let Some(Successor { group: mut classic, rebalance }) = group.successor.take() else {
            return;
        };
        tracing::info!(group = %classic.id(), "downgraded to a classic group");
        scene.count(Transition::Downgraded);
        classic.loaded(scene);
        if let Some(why) = rebalance {
            classic.prepare_rebalance(why, scene);
        }
        self.members = Members::Classic(classic);
    }
}

enum Refused {
    Because(&'static str),
    Error(GroupError),
}

impl From<GroupError> for Refused {
    fn from(error: GroupError) -> Self {
        Self::Error(error)
    }
}

impl ConsumerGroup {
    /// Takes all members of a classic group over, with what they have.
    fn take_over(
        &mut self,
        handover: &Handover,
        draft: &mut Draft,
        scene: &Scene<'_>,
    ) -> Result<(), Refused> {
        let config = &scene.config.groups.consumer;
        if !matches!(&*config.migration_policy, "upgrade" | "bidirectional") {
            return Err(Refused::Because("group.consumer.migration.policy does not allow it"));
        }
        if handover.members.len() > config.membership.size_max {
            return Err(Refused::Because("it has more members than a consumer group may have"));
        }
        let generation = handover.generation;
        let mut assignments: Vec<(Arc<str>, Assignment)> = Vec::new();
        for member in &handover.members {
            let told = Subscription::read(&member.subscription, scene.image)
                .ok_or(Refused::Because("a subscription is not understood"))?;
            let assignment = read_assignment(&member.assignment, scene.image).ok_or(
                Refused::Because("an assignment is not understood, or has data of its own"),
            )?;
            let metadata = Metadata {
                rack_id: told.rack_id,
                topics: Arc::new(told.topics),
                ..member.metadata()
            };
            self.change(draft, Change::Member(Arc::clone(&member.id), Some(metadata)))?;
            assignments.push((Arc::clone(&member.id), assignment));
        }
        let metadata_hash = self.metadata_hash(scene.image);
        self.change(draft, Change::Epoch(Some(Epoch { number: generation, metadata_hash })))?;
        for (id, target) in &assignments {
            self.change(draft, Change::Target(Arc::clone(id), Some(target.clone())))?;
        }
        let target_epoch = TargetEpoch { number: generation, at_ms: 0 };
        self.change(draft, Change::TargetEpoch(Some(target_epoch)))?;
        for (id, assignment) in assignments {
            let since = |partitions: std::collections::BTreeSet<i32>| {
                partitions.into_iter().map(|partition| (partition, generation)).collect()
            };
            let assigned = assignment.into_iter().map(|(topic, all)| (topic, since(all)));
            let current = Current {
                epoch: generation,
                previous_epoch: generation,
                assigned: assigned.collect(),
                ..Current::default()
            };
            self.change(draft, Change::Current(id, Some(current)))?;
        }
        Ok(())
    }

    /// Whether the group would have none but classic members with this one, in the place of the
    /// last that is not.
    pub(super) fn would_be_classic_with(
        &self,
        request: &JoinRequest<'_>,
        id: &str,
        scene: &Scene<'_>,
    ) -> bool {
        let replaced = request.instance_id.and_then(|it| self.static_members.get(it));
        let is_host = |member: &Arc<str>| {
            self.members.get(member).is_some_and(|member| member.metadata.classic.is_none())
        };
        replaced.is_some_and(|replaced| {
            is_host(replaced)
                && (**replaced == *id || request.member_id.is_empty())
                && self.has_only_classic(&[Arc::clone(replaced)])
                && may_be_classic(self.members.len(), scene)
        })
    }

    /// Whether all others speak the classic protocol.
    fn has_only_classic(&self, but: &[Arc<str>]) -> bool {
        let mut others = self.members.iter().filter(|(id, _)| !but.contains(id));
        others.all(|(_, member)| member.metadata.classic.is_some())
    }

    /// Goes back to the classic protocol if these are the last to go that speak the new one.
    pub(super) fn become_classic_without(
        &mut self,
        leaving: &[Arc<str>],
        draft: &mut Draft,
        scene: &Scene<'_>,
    ) -> Result<bool, GroupError> {
        let staying = self.members.keys().filter(|id| !leaving.contains(id)).count();
        if staying == 0 || !self.has_only_classic(leaving) || !may_be_classic(staying, scene) {
            return Ok(false);
        }
        for id in leaving {
            self.remove_member(id, draft)?;
        }
        self.become_classic(Some(Transition::RebalanceConsumersLeft), draft, scene)?;
        Ok(true)
    }

    /// Hands all members over to a classic group, with what they shall have.
    pub(super) fn become_classic(
        &mut self,
        rebalance: Option<Transition>,
        draft: &mut Draft,
        scene: &Scene<'_>,
    ) -> Result<(), GroupError> {
        let members = self.members.iter().filter_map(|(id, member)| {
            let metadata = &member.metadata;
            let classic = metadata.classic.as_ref()?;
            let subscription = classic.protocols.first().map(|(_, it)| &**it).unwrap_or_default();
            let target = self.target(id).iter();
            let target = target.map(|(id, all)| (*id, all.iter().copied().collect()));
            Some(HandedOver {
                id: Arc::clone(id),
                instance_id: metadata.instance_id.as_deref().map(Into::into),
                client_id: metadata.client_id.clone(),
                client_host: metadata.client_host.clone(),
                session_ms: classic.session_timeout_ms,
                rebalance_ms: metadata.rebalance_timeout_ms,
                protocols: classic.protocols.clone(),
                assignment: write_assignment(target, subscription, scene.image),
                subscription: subscription.to_vec().into(),
            })
        });
        let handover = Handover { generation: self.epoch.number, members: members.collect() };
        let group = ClassicGroup::take_over(Arc::clone(&self.id), handover, scene);
        self.erase(draft)?;
        draft.put(group.encode().map_err(WriteError::from)?);
        self.successor = Some(Successor { group, rebalance });
        Ok(())
    }
}

fn may_be_classic(members: usize, scene: &Scene<'_>) -> bool {
    let groups = &scene.config.groups;
    matches!(&*groups.consumer.migration_policy, "downgrade" | "bidirectional")
        && members <= groups.classic.size_max
}

impl HandedOver {
    fn metadata(&self) -> Metadata {
        Metadata {
            instance_id: self.instance_id.as_deref().map(Into::into),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout_ms: self.rebalance_ms,
            classic: Some(ClassicMetadata {
                session_timeout_ms: self.session_ms,
                protocols: self.protocols.clone(),
            }),
            ..Metadata::default()
        }
    }
}
