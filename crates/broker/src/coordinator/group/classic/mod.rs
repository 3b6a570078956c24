//! Groups whose members agree among themselves: they join, one of them assigns, all take what it
//! says.
//!
//! A group goes round: members `join` (PreparingRebalance) until all are there or their time is
//! over, the generation begins and the leader assigns in `sync` (CompletingRebalance), and all is
//! Stable until somebody comes, changes or goes. `rebalance` is what leads from one to the next;
//! what a generation came to is kept by `log`. A dead group is one that is not there.
//!
//! Nobody waits for ever: every member, every id that was given out and every phase has a deadline.

mod describe;
mod heartbeat;
mod join;
mod leave;
mod log;
mod member;
mod migrate;
mod promise;
mod rebalance;
mod replace;
mod seat;
mod sync;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

pub(crate) use self::{
    describe::Description,
    heartbeat::HeartbeatRequest,
    join::{JoinAnswer, JoinRefused, JoinRequest, Joined},
    leave::Leaving,
    migrate::{HandedOver, Handover},
    sync::{SyncAnswer, SyncRequest, Synced},
};
use self::{member::Member, rebalance::Gathering};
use super::{
    super::Scene,
    GroupError,
    alarm::Alarm,
    offsets::{Committer, Expiry},
};

/// The protocol type of consumers: their metadata tell what they subscribe to.
const CONSUMER: &str = "consumer";

#[derive(Debug)]
pub(crate) struct ClassicGroup {
    id: Arc<str>,
    alarm: Alarm,
    phase: Phase,
    /// When it began, by the wall clock; -1 where an old broker did not write it down.
    phase_since_ms: i64,
    generation: i32,
    /// What kind of group it is; none for one that never had a member.
    protocol_type: Option<Arc<str>>,
    /// On which the members of this generation agreed.
    protocol: Option<Arc<str>>,
    leader: Option<Arc<str>>,
    members: BTreeMap<Arc<str>, Member>,
    /// Ids that were given out and have not joined yet, with the time when they lapse.
    pending: BTreeMap<Arc<str>, Duration>,
    /// By when all members must have fetched their assignment.
    sync_until: Option<Duration>,
    /// What the members of this generation subscribe to, where that can be told.
    subscribed: Option<BTreeSet<Box<str>>>,
    /// Whether the log knows of it.
    has_record: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Empty,
    PreparingRebalance(Gathering),
    CompletingRebalance,
    Stable,
}

impl ClassicGroup {
    pub(super) fn new(id: Arc<str>) -> Self {
        Self {
            id,
            alarm: Alarm::default(),
            phase: Phase::Empty,
            phase_since_ms: -1,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            pending: BTreeMap::new(),
            sync_until: None,
            subscribed: None,
            has_record: false,
        }
    }

    pub(super) const fn id(&self) -> &Arc<str> {
        &self.id
    }

    pub(super) const fn alarm(&mut self) -> &mut Alarm {
        &mut self.alarm
    }

    /// Whether this commit may be made; it also shows that its member is alive.
    pub(super) fn check_commit(
        &mut self,
        committer: &Committer<'_>,
        scene: &mut Scene<'_>,
    ) -> Result<(), GroupError> {
        let &Committer { member_id, instance_id, generation, .. } = committer;
        if generation < 0 && self.is_empty() {
            return Ok(());
        }
        // Nobody in particular commits only to a group without members.
        let member = self.check_member(member_id, instance_id)?;
        match self.phase {
            _ if generation != self.generation => Err(GroupError::IllegalGeneration),
            // It knows the generation, and not yet which partitions it has there.
            Phase::CompletingRebalance => Err(GroupError::RebalanceInProgress),
            _ => {
                self.show_alive(&member, scene);
                Ok(())
            }
        }
    }

    /// Whether a transaction may commit for the group; members may also do so while they wait to be
    /// assigned, and old producers do not say whose they are.
    pub(super) fn check_commit_in_transaction(
        &self,
        committer: &Committer<'_>,
    ) -> Result<(), GroupError> {
        let &Committer { member_id, instance_id, generation, .. } = committer;
        let names_nobody = generation < 0 && member_id.is_empty() && instance_id.is_none();
        if names_nobody || (generation < 0 && self.is_empty()) {
            return Ok(());
        }
        self.check_member(member_id, instance_id)?;
        if generation == self.generation { Ok(()) } else { Err(GroupError::IllegalGeneration) }
    }

    pub(super) fn check_offset_delete(&self) -> Result<(), GroupError> {
        if self.is_empty() || self.is_of_consumers() {
            return Ok(());
        }
        Err(GroupError::NonEmptyGroup)
    }

    /// Whether a member reads the topic, as far as that can be told: consumers whose subscription
    /// nobody understands may read any.
    pub(super) fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed {
            Some(topics) => topics.contains(topic),
            None => self.is_of_consumers(),
        }
    }

    /// From when on its offsets are no longer needed.
    pub(super) fn expiry(&self) -> Expiry {
        match self.phase {
            _ if self.protocol_type.is_none() => Expiry::SinceCommit,
            Phase::Empty if self.phase_since_ms == -1 => Expiry::SinceCommit,
            Phase::Empty => Expiry::Since(self.phase_since_ms),
            Phase::Stable if self.is_of_consumers() && self.subscribed.is_some() => {
                Expiry::SinceCommit
            }
            _ => Expiry::Never,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.phase == Phase::Empty
    }

    /// Whether it has neither members nor a record.
    pub(super) fn is_nothing(&self) -> bool {
        self.is_empty() && self.pending.is_empty() && !self.has_record
    }

    fn is_of_consumers(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }

    fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    /// Who has this instance id.
    fn static_member(&self, instance_id: &str) -> Option<&Arc<str>> {
        let is_it = |member: &Member| member.instance_id.as_deref() == Some(instance_id);
        self.members.iter().find(|(_, member)| is_it(member)).map(|(id, _)| id)
    }

    /// The member's id, if it is one and its instance id has not gone over to another.
    fn check_member(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Result<Arc<str>, GroupError> {
        let unknown = || GroupError::UnknownMemberId(member_id.to_owned());
        let known = self.members.get_key_value(member_id);
        if let Some(instance_id) = instance_id
            && known.is_none_or(|(_, it)| it.instance_id.as_deref() != Some(instance_id))
        {
            let current = self.static_member(instance_id).ok_or_else(unknown)?;
            tracing::info!(
                group = %self.id, member = member_id, instance_id, %current, "member fenced"
            );
            return Err(GroupError::FencedInstanceId(instance_id.to_owned()));
        }
        known.map(|(id, _)| Arc::clone(id)).ok_or_else(unknown)
    }

    /// The member's session begins anew. The alarm is left: it finds out when it goes off.
    fn show_alive(&mut self, member_id: &str, scene: &Scene<'_>) {
        if let Some(member) = self.members.get_mut(member_id) {
            member.begin_session(scene.now.elapsed);
        }
    }

    /// Takes a member out; what it waits for is answered.
    fn remove(&mut self, member_id: &str, scene: &mut Scene<'_>) -> Option<Member> {
        let mut member = self.members.remove(member_id)?;
        if self.is_leader(member_id) {
            self.leader = None;
        }
        let error = GroupError::UnknownMemberId(member_id.to_owned());
        // It is to come back as somebody new.
        member.refuse(JoinRefused { member_id: "".into(), error }, scene);
        Some(member)
    }

    fn enter(&mut self, phase: Phase, scene: &Scene<'_>) {
        self.phase = phase;
        self.phase_since_ms = scene.now.wall_ms;
    }
}
