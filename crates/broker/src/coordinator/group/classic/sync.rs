//! SyncGroup: the leader says who gets what, and everybody fetches its part.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;

use super::{
    super::{
        super::{Reply, Scene, Transition},
        Group, GroupError, Groups, Members,
    },
    ClassicGroup, Phase,
};

#[derive(Clone, Debug)]
pub(crate) struct SyncRequest<'a> {
    pub(crate) group: &'a str,
    pub(crate) member_id: &'a str,
    pub(crate) instance_id: Option<&'a str>,
    pub(crate) generation: i32,
    /// Old clients do not tell what they believe the group agreed on.
    pub(crate) protocol_type: Option<&'a str>,
    pub(crate) protocol: Option<&'a str>,
    /// Of the leader: member ids, and what they get.
    pub(crate) assignments: Vec<(&'a str, &'a [u8])>,
}

pub(crate) type SyncAnswer = Result<Synced, GroupError>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Synced {
    pub(crate) protocol_type: Option<Arc<str>>,
    pub(crate) protocol: Option<Arc<str>>,
    pub(crate) assignment: Bytes,
}

impl Groups {
    /// Answered when the leader has assigned, or the group rebalances again.
    pub(crate) fn sync(
        &mut self,
        request: &SyncRequest<'_>,
        scene: &mut Scene<'_>,
        reply: Reply<SyncAnswer>,
    ) {
        let error = if request.group.is_empty() {
            GroupError::InvalidGroupId
        } else if self.get(request.group).is_some() {
            self.on_group(request.group, |group: &mut Group| match &mut group.members {
                Members::Classic(group) => group.sync(request, scene, reply),
                Members::Consumer(group) => {
                    let synced = group.sync(request, scene);
                    let synced = synced.map_err(|error| error.counted(scene));
                    scene.effects.reply(reply, synced);
                }
            });
            return;
        } else {
            GroupError::UnknownMemberId(request.member_id.to_owned())
        };
        scene.effects.reply(reply, Err(error.counted(scene)));
    }
}

impl ClassicGroup {
    fn sync(&mut self, request: &SyncRequest<'_>, scene: &mut Scene<'_>, reply: Reply<SyncAnswer>) {
        let id = match self.check_sync(request) {
            Ok(id) => id,
            Err(error) => return scene.effects.reply(reply, Err(error.counted(scene))),
        };
        let Some(member) = self.members.get_mut(&id) else { return };
        member.must_sync = false;
        let is_stable = self.phase == Phase::Stable;
        if !is_stable {
            member.wait_to_sync(reply, scene);
        } else {
            let assignment = member.assignment.clone();
            let synced = self.synced(assignment);
            scene.effects.reply(reply, Ok(synced));
        }
        if self.members.values().all(|member| !member.must_sync) {
            self.sync_until = None;
        }
        if !is_stable && self.is_leader(&id) {
            self.assign(request, scene);
        }
    }

    fn check_sync(&self, request: &SyncRequest<'_>) -> Result<Arc<str>, GroupError> {
        let differs = |told: Option<&str>, ours: &Option<Arc<str>>| {
            told.is_some_and(|told| ours.as_deref().is_some_and(|ours| told != ours))
        };
        let member = self.check_member(request.member_id, request.instance_id)?;
        match self.phase {
            _ if request.generation != self.generation => Err(GroupError::IllegalGeneration),
            _ if differs(request.protocol_type, &self.protocol_type)
                || differs(request.protocol, &self.protocol) =>
            {
                Err(GroupError::InconsistentGroupProtocol)
            }
            Phase::Empty => Err(GroupError::UnknownMemberId(request.member_id.to_owned())),
            Phase::PreparingRebalance(_) => Err(GroupError::RebalanceInProgress),
            Phase::CompletingRebalance | Phase::Stable => Ok(member),
        }
    }

    /// The leader has spoken: what it says is written down, and told to those who wait.
    fn assign(&mut self, request: &SyncRequest<'_>, scene: &mut Scene<'_>) {
        let assignments: BTreeMap<&str, &[u8]> = request.assignments.iter().copied().collect();
        for (id, member) in &mut self.members {
            let assignment = assignments.get(&**id).copied().unwrap_or_default();
            member.assignment = Bytes::copy_from_slice(assignment);
        }
        if let Err(error) = self.write(scene) {
            tracing::warn!(group = %self.id, %error, "the leader's assignment not written");
            self.forget_assignments(&error.into(), scene);
            self.rebalance(Transition::RebalanceNotWritten, scene);
            return;
        }
        let (generation, members) = (self.generation, self.members.len());
        tracing::info!(
            group = %self.id, generation, members, leader = request.member_id, "group stable"
        );
        scene.count(Transition::Stable);
        self.enter(Phase::Stable, scene);
        let (protocol_type, protocol) = (self.protocol_type.clone(), self.protocol.clone());
        for member in self.members.values_mut() {
            if let Some(reply) = member.sync.take() {
                let assignment = member.assignment.clone();
                let (protocol_type, protocol) = (protocol_type.clone(), protocol.clone());
                scene.effects.reply(reply, Ok(Synced { protocol_type, protocol, assignment }));
                member.begin_session(scene.now.elapsed);
                self.alarm.by(member.deadline);
            }
        }
    }

    fn synced(&self, assignment: Bytes) -> Synced {
        let (protocol_type, protocol) = (self.protocol_type.clone(), self.protocol.clone());
        Synced { protocol_type, protocol, assignment }
    }

    /// Nothing comes of the assignment: those who wait for it are told why.
    pub(super) fn forget_assignments(&mut self, why: &GroupError, scene: &mut Scene<'_>) {
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
            if let Some(reply) = member.sync.take() {
                scene.effects.reply(reply, Err(why.clone()));
                member.begin_session(scene.now.elapsed);
                self.alarm.by(member.deadline);
            }
        }
    }
}
