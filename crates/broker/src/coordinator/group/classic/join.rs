//! JoinGroup: somebody wants to be a member of the next generation.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use milena_env::HashSet;

use super::{
    super::{
        super::{Reply, Scene, Transition},
        Group, GroupError, Groups,
    },
    ClassicGroup, Phase,
    member::Member,
    rebalance::Gathering,
    seat::Seat,
};
use crate::limits::GROUP_PROTOCOLS_MAX;

/// A new member's first JoinGroup waits no longer: its client may have gone, and would come again
/// as somebody else.
const NEW_MEMBER_WAIT_MAX: Duration = Duration::from_secs(5 * 60);

#[derive(Clone, Debug)]
pub(crate) struct JoinRequest<'a> {
    pub(crate) group: &'a str,
    /// Empty for who has none yet.
    pub(crate) member_id: &'a str,
    pub(crate) instance_id: Option<&'a str>,
    pub(crate) client_id: &'a str,
    pub(crate) client_host: &'a str,
    pub(crate) session_timeout_ms: i32,
    /// Old clients name none; their session's counts.
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) protocol_type: &'a str,
    /// Names and metadata, the preferred one first.
    pub(crate) protocols: Vec<(&'a str, &'a [u8])>,
    pub(crate) reason: &'a str,
    /// Who has no id is only given one, and comes again (since version 4).
    pub(crate) requires_member_id: bool,
    /// A leader can be told that there is nothing to assign (since version 9).
    pub(crate) supports_skip_assignment: bool,
}

pub(crate) type JoinAnswer = Result<Joined, JoinRefused>;

/// The member's place in its generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) member_id: Arc<str>,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<Arc<str>>,
    pub(crate) protocol: Option<Arc<str>>,
    pub(crate) leader: Option<Arc<str>>,
    /// Only the leader is told of them.
    pub(crate) members: Vec<JoinedMember>,
    /// To the leader: what was assigned stays.
    pub(crate) skip_assignment: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JoinedMember {
    pub(crate) id: Arc<str>,
    pub(crate) instance_id: Option<Arc<str>>,
    pub(crate) metadata: Bytes,
}

#[derive(Clone, Debug)]
pub(crate) struct JoinRefused {
    /// Under which it may come again; empty where it has to begin as somebody new.
    pub(crate) member_id: Box<str>,
    pub(crate) error: GroupError,
}

impl JoinRequest<'_> {
    /// Each protocol once, by the first that bears its name.
    pub(in super::super) fn distinct_protocols(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut seen = HashSet::default();
        self.protocols.iter().copied().filter(move |(name, _)| seen.insert(*name))
    }

    /// What a new member's record takes beside its protocol.
    pub(super) fn texts(&self) -> [&str; 3] {
        [self.instance_id.unwrap_or_default(), self.client_id, self.client_host]
    }

    /// What a member's record takes for its protocol, whichever is chosen.
    pub(super) fn largest_protocol(&self) -> usize {
        let sizes = self.protocols.iter().map(|(name, metadata)| name.len() + metadata.len());
        sizes.max().unwrap_or_default()
    }

    pub(in super::super) fn refused(&self, error: GroupError) -> JoinRefused {
        let member_id = match &error {
            GroupError::MemberIdRequired(given) => given.as_str(),
            GroupError::GroupMaxSizeReached(_) => "",
            _ => self.member_id,
        };
        JoinRefused { member_id: member_id.into(), error }
    }
}

impl Groups {
    /// Answered when the next generation begins, or at once where there is nothing to wait for.
    pub(crate) fn join(
        &mut self,
        request: &JoinRequest<'_>,
        scene: &mut Scene<'_>,
        reply: Reply<JoinAnswer>,
    ) {
        let bounds = &scene.config.groups.classic;
        let sessions = bounds.session_ms_min..=bounds.session_ms_max;
        let error = if request.group.is_empty() {
            GroupError::InvalidGroupId
        } else if !sessions.contains(&request.session_timeout_ms) {
            GroupError::InvalidSessionTimeout
        } else if request.protocols.len() > GROUP_PROTOCOLS_MAX {
            GroupError::InvalidRequest(format!("more than {GROUP_PROTOCOLS_MAX} protocols"))
        } else if request.member_id.is_empty() || self.get(request.group).is_some() {
            let join = |group: &mut Group| group.join(request, scene, reply);
            if let Some(promised) = self.on_new_group(request.group, join).flatten() {
                self.remember_promise(request.group, promised, scene);
            }
            return;
        } else {
            GroupError::UnknownMemberId(request.member_id.to_owned())
        };
        scene.effects.reply(reply, Err(request.refused(error.counted(scene))));
    }
}

impl ClassicGroup {
    /// The id that was given out, where that is all that came of it.
    pub(in super::super) fn join(
        &mut self,
        request: &JoinRequest<'_>,
        scene: &mut Scene<'_>,
        reply: Reply<JoinAnswer>,
    ) -> Option<Arc<str>> {
        match self.seat(request, scene) {
            Ok(Seat::New(id)) => self.add(id, request, scene, reply),
            Ok(Seat::Own(id)) => self.rejoin(id, request, scene, reply),
            Ok(Seat::Replacing(old)) => self.replace_static(&old, request, scene, reply),
            Ok(Seat::Promised) => return Some(self.promise_id(request, scene, reply)),
            Err(error) => self.turn_away(error, request, scene, reply),
        }
        None
    }

    fn turn_away(
        &mut self,
        error: GroupError,
        request: &JoinRequest<'_>,
        scene: &mut Scene<'_>,
        reply: Reply<JoinAnswer>,
    ) {
        if let GroupError::GroupMaxSizeReached(why) = &error {
            let member = request.member_id;
            tracing::info!(group = %self.id, member, why, "member turned away");
            // One that was a member is the last to come back, and has lost its place.
            if self.pending.remove(member).is_some() || self.remove(member, scene).is_some() {
                scene.count(Transition::LeftTurnedAway);
                self.rebalance(Transition::RebalanceTurnedAway, scene);
            }
        }
        scene.effects.reply(reply, Err(request.refused(error.counted(scene))));
    }

    fn add(
        &mut self,
        id: Arc<str>,
        request: &JoinRequest<'_>,
        scene: &mut Scene<'_>,
        reply: Reply<JoinAnswer>,
    ) {
        self.pending.remove(&id);
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type.into());
        }
        let mut member = Member::new(id.len(), request);
        member.new_until = Some(scene.now.elapsed + NEW_MEMBER_WAIT_MAX);
        member.begin_session(scene.now.elapsed);
        member.wait_to_join(reply, scene);
        self.alarm.by(member.deadline);
        if let Phase::PreparingRebalance(Gathering { initial: Some(initial), .. }) = &mut self.phase
        {
            initial.more_came = true;
        }
        let instance_id = request.instance_id;
        tracing::info!(
            group = %self.id, member = %id, instance_id, reason = request.reason, "member joins"
        );
        let is_static = member.is_static();
        scene.count(if is_static { Transition::JoinedStatic } else { Transition::JoinedNew });
        self.members.insert(id, member);
        self.rebalance(Transition::RebalanceNew, scene);
    }

    /// A member joins again: with news, or because it did not hear what came of the last time.
    fn rejoin(
        &mut self,
        id: Arc<str>,
        request: &JoinRequest<'_>,
        scene: &mut Scene<'_>,
        reply: Reply<JoinAnswer>,
    ) {
        let is_leader = self.is_leader(&id);
        let Some(member) = self.members.get_mut(&id) else { return };
        let is_known = member.matches(request)
            && match self.phase {
                Phase::Empty | Phase::PreparingRebalance(_) => false,
                Phase::CompletingRebalance => true,
                // That is how a leader asks for a rebalance: what it assigns has changed.
                Phase::Stable => !is_leader,
            };
        if is_known {
            let joined = self.joined(&id);
            scene.effects.reply(reply, Ok(joined));
            return;
        }
        member.update(id.len(), request);
        member.wait_to_join(reply, scene);
        tracing::info!(group = %self.id, member = %id, reason = request.reason, "member rejoins");
        scene.count(Transition::JoinedAgain);
        let why = if is_leader { Transition::RebalanceLeader } else { Transition::RebalanceNews };
        self.rebalance(why, scene);
    }

    /// What a member is told of the current generation.
    pub(super) fn joined(&self, id: &Arc<str>) -> Joined {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let member = |(id, member): (&Arc<str>, &Member)| JoinedMember {
            id: Arc::clone(id),
            instance_id: member.instance_id.clone(),
            metadata: member.metadata(protocol),
        };
        let told = if self.is_leader(id) { Some(&self.members) } else { None };
        Joined {
            member_id: Arc::clone(id),
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            members: told.into_iter().flatten().map(member).collect(),
            skip_assignment: false,
        }
    }
}
