//! Members of a consumer group that speak the classic protocol: they join, sync, beat and leave as
//! they do among themselves, and the coordinator assigns in their leader's place. Each takes its
//! steps towards the target by joining again.

use std::sync::Arc;

use milena_protocol::Uuid;

use super::{
    super::{
        super::{Reply, Scene, Transition},
        Group, GroupError, Members,
        classic::{
            HeartbeatRequest, JoinAnswer, JoinRequest, Joined, Leaving, SyncAnswer, SyncRequest,
            Synced,
        },
    },
    ConsumerGroup, Draft,
    embedded::{Subscription, owned, write_assignment},
    member::{ClassicMetadata, Member, Metadata, State},
    settings::Settings,
};

/// The protocol type of consumers.
const CONSUMER: &str = "consumer";

impl Group {
    /// JoinGroup, to a group of either kind; the id that was given out, where that is all.
    pub(in super::super) fn join(
        &mut self,
        request: &JoinRequest<'_>,
        scene: &mut Scene<'_>,
        reply: Reply<JoinAnswer>,
    ) -> Option<Arc<str>> {
        if let Err(error) = self.make_classic_if_empty(request, scene) {
            scene.effects.reply(reply, Err(request.refused(error.counted(scene))));
            return None;
        }
        match &mut self.members {
            Members::Classic(group) => group.join(request, scene, reply),
            Members::Consumer(group) => {
                let join = |group: &mut ConsumerGroup, draft: &mut Draft, scene: &mut Scene<'_>| {
                    group.join(request, draft, scene)
                };
                let joined = group.event(Draft::default(), scene, join);
                self.hand_over_if_classic(scene);
                let joined = joined.map_err(|error| request.refused(error.counted(scene)));
                scene.effects.reply(reply, joined);
                None
            }
        }
    }
}

impl ConsumerGroup {
    fn join(
        &mut self,
        request: &JoinRequest<'_>,
        draft: &mut Draft,
        scene: &mut Scene<'_>,
    ) -> Result<Joined, GroupError> {
        let inconsistent = || GroupError::InconsistentGroupProtocol;
        if scene.config.groups.consumer.migration_policy == "disabled" {
            return Err(inconsistent());
        }
        let size_max = scene.config.groups.consumer.membership.size_max;
        if self.members.len() >= size_max && !self.members.contains_key(request.member_id) {
            return Err(GroupError::GroupMaxSizeReached(format!("{size_max}")));
        }
        let protocols: Vec<_> = request.distinct_protocols().collect();
        let speaks = |(name, _): &(&str, &[u8])| self.all_guests_speak(name);
        if request.protocol_type != CONSUMER || !protocols.iter().any(speaks) {
            return Err(inconsistent());
        }
        let (_, first) = protocols.first().copied().ok_or_else(inconsistent)?;
        let told = Subscription::read(first, scene.image).ok_or_else(inconsistent)?;
        let id = self.admit_guest(request, &told, scene)?;
        let makes_classic = self.would_be_classic_with(request, &id, scene);
        let id = self.seat_guest(id, request, draft, scene)?;

        let nothing = Metadata::default();
        let before = self.members.get(&id).map_or(&nothing, |member| &member.metadata);
        let metadata = Metadata {
            instance_id: request.instance_id.map(Into::into).or(before.instance_id.clone()),
            rack_id: told.rack_id.or(before.rack_id.clone()),
            client_id: request.client_id.into(),
            client_host: request.client_host.into(),
            topics: Arc::new(told.topics),
            pattern: "".into(),
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            assignor: before.assignor.clone(),
            classic: Some(ClassicMetadata {
                session_timeout_ms: request.session_timeout_ms,
                protocols: protocols
                    .iter()
                    .map(|(name, it)| ((*name).into(), (*it).into()))
                    .collect(),
            }),
        };
        let is_new = *before != metadata || !self.members.contains_key(&id);
        let mut changed = super::subscription::Changed::default();
        if is_new {
            changed = self.subscribe(&id, metadata, None, draft)?;
        }
        let begins = changed.any();
        self.catch_up(begins, draft, scene)?;
        if !makes_classic {
            self.update_target(Settings::of(&self.id, scene), draft, scene)?;
        }
        let is_late = self.target_epoch.number < self.epoch.number;
        if !(makes_classic && is_late) {
            self.reconcile(&id, Some(&told.owned), begins, draft, scene)?;
        }
        let joined = self.joined(&id, scene)?;
        if makes_classic {
            self.become_classic(is_late.then_some(Transition::RebalanceOutOfDate), draft, scene)?;
        }
        Ok(joined)
    }

    /// Its answer, and its deadlines: it has to fetch its assignment now.
    fn joined(&mut self, id: &Arc<str>, scene: &Scene<'_>) -> Result<Joined, GroupError> {
        let now = scene.now.elapsed;
        let session = Settings::of(&self.id, scene).session;
        let unknown = || GroupError::UnknownMemberId(id.to_string());
        let member = self.members.get_mut(id).ok_or_else(unknown)?;
        member.begin_session(session, now);
        member.deadlines.join = None;
        member.deadlines.sync = Some(now + member.metadata.rebalance_timeout());
        if let Some(first) = member.deadlines.first() {
            self.alarm.by(first);
        }
        let protocols = member.metadata.classic.iter().flat_map(|classic| &classic.protocols);
        Ok(Joined {
            member_id: Arc::clone(id),
            generation: member.current.epoch,
            protocol_type: Some(CONSUMER.into()),
            protocol: protocols.into_iter().next().map(|(name, _)| (&**name).into()),
            leader: None,
            members: Vec::new(),
            skip_assignment: false,
        })
    }

    /// Whether all members of the classic protocol have this one in common.
    fn all_guests_speak(&self, protocol: &str) -> bool {
        let mut guests = self.members.values().filter_map(|it| it.metadata.classic.as_ref());
        guests.all(|guest| guest.protocols.iter().any(|(name, _)| **name == *protocol))
    }

    /// Under which id it joins. Who is no member any more has lost what it still has, and must hear
    /// of it: only with nothing may it come as somebody new.
    fn admit_guest(
        &self,
        request: &JoinRequest<'_>,
        told: &Subscription,
        scene: &mut Scene<'_>,
    ) -> Result<Arc<str>, GroupError> {
        if !request.member_id.is_empty() {
            return match request.instance_id {
                Some(instance) => self.known_instance(instance, request.member_id),
                None if told.owned.iter().all(|(_, all)| all.is_empty()) => {
                    Ok(request.member_id.into())
                }
                None => self.known(request.member_id),
            };
        }
        let id = Uuid::from_be_bytes(scene.random.uuid()).to_string();
        if request.requires_member_id && request.instance_id.is_none() {
            return Err(GroupError::MemberIdRequired(id));
        }
        Ok(id.into())
    }

    /// It takes the place of its instance, if there is one.
    fn seat_guest(
        &mut self,
        id: Arc<str>,
        request: &JoinRequest<'_>,
        draft: &mut Draft,
        scene: &Scene<'_>,
    ) -> Result<Arc<str>, GroupError> {
        let instance = request.instance_id;
        let before = instance.and_then(|instance| self.static_members.get(instance)).cloned();
        if let Some(before) = before.filter(|before| *before != id) {
            self.replace(&before, &id, draft)?;
        }
        tracing::info!(group = %self.id, member = %id, instance, "classic member joins");
        scene.count(Transition::JoinedAsGuest);
        Ok(id)
    }

    pub(in super::super) fn sync(
        &mut self,
        request: &SyncRequest<'_>,
        scene: &Scene<'_>,
    ) -> SyncAnswer {
        let id = self.guest(request.member_id, request.instance_id, request.generation)?;
        let target = self.target_epoch.number;
        let Some(member) = self.members.get_mut(&id) else {
            return Err(GroupError::UnknownMemberId(request.member_id.to_owned()));
        };
        let protocols = member.metadata.classic.iter().flat_map(|classic| &classic.protocols);
        let Some((name, subscription)) = protocols.into_iter().next() else {
            return Err(GroupError::InconsistentGroupProtocol);
        };
        if request.protocol_type.is_some_and(|told| told != CONSUMER)
            || request.protocol.is_some_and(|told| *told != **name)
        {
            return Err(GroupError::InconsistentGroupProtocol);
        }
        let current = &member.current;
        if target > current.epoch && current.state != State::UnrevokedPartitions {
            self.must_join(&id, scene);
            return Err(GroupError::RebalanceInProgress);
        }
        let assignment = write_assignment(owned(&current.assigned), subscription, scene.image);
        member.deadlines.sync = None;
        // A member that speaks the classic protocol brings its own session timeout.
        let until = member.begin_session(std::time::Duration::ZERO, scene.now.elapsed);
        self.alarm.by(until);
        let (protocol_type, protocol) = (request.protocol_type, request.protocol);
        let (protocol_type, protocol) = (protocol_type.map(Into::into), protocol.map(Into::into));
        Ok(Synced { protocol_type, protocol, assignment })
    }

    /// Heartbeat: it is alive, and is told to join again where that takes it further.
    pub(in super::super) fn beat(
        &mut self,
        request: &HeartbeatRequest<'_>,
        scene: &Scene<'_>,
    ) -> Result<(), GroupError> {
        let id = self.guest(request.member_id, request.instance_id, request.generation)?;
        let target = self.target_epoch.number;
        let unknown = || GroupError::UnknownMemberId(id.to_string());
        let member = self.members.get_mut(&id).ok_or_else(unknown)?;
        let until = member.begin_session(std::time::Duration::ZERO, scene.now.elapsed);
        self.alarm.by(until);
        let current = &member.current;
        let (epoch, state) = (current.epoch, current.state);
        let can_go_on = match state {
            State::UnreleasedPartitions => !self.waits_for_others(&id),
            state => state == State::UnrevokedPartitions,
        };
        if epoch >= target && !can_go_on {
            return Ok(());
        }
        self.must_join(&id, scene);
        Err(GroupError::RebalanceInProgress)
    }

    /// What became of each who leaves.
    pub(in super::super) fn leave_all(
        &mut self,
        leaving: &[Leaving<'_>],
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        let find = |it: &Leaving<'_>| match it.instance_id {
            None => self.known(it.member_id),
            // A tool takes an instance out, whoever it is now.
            Some(instance) if it.member_id.is_empty() => {
                let id = self.static_members.get(instance).cloned();
                id.ok_or_else(|| GroupError::UnknownMemberId(instance.to_owned()))
            }
            Some(instance) => self.known_instance(instance, it.member_id),
        };
        let found: Vec<_> = leaving.iter().map(find).collect();
        let mut ids: Vec<Arc<str>> = Vec::new();
        for (id, it) in
            found.iter().zip(leaving).filter_map(|(id, it)| Some((id.as_ref().ok()?, it)))
        {
            if !ids.contains(id) {
                tracing::info!(group = %self.id, member = %id, reason = it.reason, "member left");
                scene.count(Transition::LeftByRequest);
                ids.push(Arc::clone(id));
            }
        }
        if !ids.is_empty() {
            self.event(Draft::default(), scene, |group, draft, scene| {
                group.remove_members(&ids, draft, scene)
            })?;
        }
        let left = found.into_iter().map(|id| id.map(drop).map_err(|error| error.counted(scene)));
        Ok(left.collect())
    }

    /// The member that speaks, if it does so by the classic protocol and in its epoch.
    fn guest(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
        generation: i32,
    ) -> Result<Arc<str>, GroupError> {
        let id = match instance_id {
            None => self.known(member_id)?,
            Some(instance) => self.known_instance(instance, member_id)?,
        };
        match self.members.get(&id) {
            Some(member) if member.metadata.classic.is_some() => {
                let is_its = member.current.epoch == generation;
                if is_its { Ok(id) } else { Err(GroupError::IllegalGeneration) }
            }
            _ => Err(GroupError::UnknownMemberId(member_id.to_owned())),
        }
    }

    /// It has been told to join again, and has so long to do it.
    fn must_join(&mut self, id: &Arc<str>, scene: &Scene<'_>) {
        if let Some(member) = self.members.get_mut(id) {
            let until = scene.now.elapsed + member.metadata.rebalance_timeout();
            let until = *member.deadlines.join.get_or_insert(until);
            self.alarm.by(until);
        }
    }

    /// Whether all that it is still to have is somebody else's.
    fn waits_for_others(&self, id: &Arc<str>) -> bool {
        let Some(Member { current, .. }) = self.members.get(id) else { return false };
        self.target(id).iter().any(|(topic, partitions)| {
            let has = current.assigned.get(topic);
            partitions.iter().any(|partition| {
                has.is_none_or(|has| !has.contains_key(partition))
                    && self.held.contains_key(&(*topic, *partition))
            })
        })
    }
}
