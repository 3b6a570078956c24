//! ConsumerGroupHeartbeat: a member joins, tells what it has and wants, and leaves.

use std::sync::Arc;

use milena_config::ServerConfig;
use milena_protocol::Uuid;

use super::{
    super::{
        super::{Scene, Transition},
        Group, GroupError, Groups, Members,
        regex::PatternError,
    },
    Change, ConsumerGroup, Draft,
    member::{AWAY, GONE, Metadata},
    reconcile::Claimed,
    settings::{Settings, assignors},
};

/// From this version on members bring an id of their own making.
const OWN_ID_VERSION: i16 = 1;

#[derive(Clone, Debug)]
pub(crate) struct ConsumerHeartbeat<'a> {
    pub(crate) version: i16,
    pub(crate) group: &'a str,
    /// Empty where the member, of the first version, wants to be given one.
    pub(crate) member_id: &'a str,
    /// 0 joins, -1 leaves, -2 leaves for a while.
    pub(crate) member_epoch: i32,
    pub(crate) instance_id: Option<&'a str>,
    pub(crate) rack_id: Option<&'a str>,
    /// -1 where it has not changed, as `None` in what follows.
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) topics: Option<Vec<&'a str>>,
    pub(crate) pattern: Option<&'a str>,
    pub(crate) assignor: Option<&'a str>,
    /// What the member has.
    pub(crate) owned: Option<Vec<(Uuid, Vec<i32>)>>,
    pub(crate) client_id: &'a str,
    pub(crate) client_host: &'a str,
    /// Why the regular expression is none.
    pub(crate) pattern_fault: Option<PatternError>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConsumerHeartbeatAnswer {
    pub(crate) member_id: Arc<str>,
    pub(crate) member_epoch: i32,
    pub(crate) heartbeat_interval_ms: i32,
    /// Where it is another than before, or was asked for.
    pub(crate) assignment: Option<Vec<(Uuid, Vec<i32>)>>,
    /// Regular expressions of which it is to be found out now what they stand for.
    pub(crate) unresolved: Vec<Box<str>>,
}

impl ConsumerHeartbeat<'_> {
    const fn joins(&self) -> bool {
        self.member_epoch == 0
    }

    /// Whether it tells everything that a member may tell.
    fn is_full(&self) -> bool {
        let subscribes = self.topics.is_some() || self.pattern.is_some();
        self.rebalance_timeout_ms != -1 && subscribes && self.owned.is_some()
    }

    /// Whether the request makes sense by itself.
    fn check(&self, config: &ServerConfig) -> Result<(), GroupError> {
        let invalid = |why: &str| Err(GroupError::InvalidRequest(why.to_owned()));
        let is_blank = |text: &str| text.trim().is_empty();
        let epoch = self.member_epoch;
        let needs_id = self.version >= OWN_ID_VERSION || epoch > 0 || epoch == GONE;
        if needs_id && is_blank(self.member_id) {
            return invalid("MemberId can't be empty.");
        }
        if is_blank(self.group) {
            return invalid("GroupId can't be empty.");
        }
        if self.instance_id.is_some_and(is_blank) {
            return invalid("InstanceId can't be empty.");
        }
        if self.rack_id.is_some_and(is_blank) {
            return invalid("RackId can't be empty.");
        }
        if self.joins() {
            if self.rebalance_timeout_ms == -1 {
                return invalid("RebalanceTimeoutMs is needed to join.");
            }
            if self.owned.as_ref().is_none_or(|owned| !owned.is_empty()) {
                return invalid("TopicPartitions must be empty to join.");
            }
            if self.topics.is_none() && self.pattern.is_none() {
                return invalid("SubscribedTopicNames or SubscribedTopicRegex is needed to join.");
            }
        } else if epoch == AWAY && self.instance_id.is_none() {
            return invalid("InstanceId can't be null.");
        } else if epoch < AWAY {
            return invalid("MemberEpoch is invalid.");
        }
        let is_known = |name: &str| assignors(config).any(|assignor| assignor.name() == name);
        match self.assignor {
            Some(name) if !is_known(name) => {
                let known: Vec<_> = assignors(config).map(|it| it.name()).collect();
                let known = known.join(", ");
                let why = format!("ServerAssignor {name} is not supported, only {known}.");
                Err(GroupError::UnsupportedAssignor(why))
            }
            _ => Ok(()),
        }
    }

    /// What the member tells of itself now, where that is new.
    fn update(&self, before: &Metadata) -> Option<Metadata> {
        fn is_new(told: Option<&str>, before: Option<&str>) -> bool {
            told.is_some() && told != before
        }
        let new_topics = self.topics.as_ref().filter(|told| {
            // Mostly it is the same list, in order.
            !(told.iter().copied().eq(before.topics.iter().map(|topic| &**topic))
                || told.iter().copied().collect::<std::collections::BTreeSet<_>>()
                    == before.topics.iter().map(|topic| &**topic).collect())
        });
        let timeout = self.rebalance_timeout_ms;
        let is_changed = new_topics.is_some()
            || is_new(self.instance_id, before.instance_id.as_deref())
            || is_new(self.rack_id, before.rack_id.as_deref())
            || is_new(self.pattern, Some(&before.pattern))
            || is_new(self.assignor, before.assignor.as_deref())
            || (timeout != -1 && timeout != before.rebalance_timeout_ms)
            || self.client_id != &*before.client_id
            || self.client_host != &*before.client_host
            || before.classic.is_some();
        if !is_changed {
            return None;
        }
        let told = |told: Option<&str>, before: &Option<Box<str>>| {
            told.map(Into::into).or_else(|| before.clone())
        };
        Some(Metadata {
            instance_id: told(self.instance_id, &before.instance_id),
            rack_id: told(self.rack_id, &before.rack_id),
            client_id: self.client_id.into(),
            client_host: self.client_host.into(),
            topics: match new_topics {
                Some(topics) => Arc::new(topics.iter().map(|topic| (*topic).into()).collect()),
                None => Arc::clone(&before.topics),
            },
            pattern: self.pattern.unwrap_or(&before.pattern).into(),
            rebalance_timeout_ms: if timeout == -1 { before.rebalance_timeout_ms } else { timeout },
            assignor: told(self.assignor, &before.assignor),
            classic: None,
        })
    }
}

impl Groups {
    pub(crate) fn consumer_heartbeat(
        &mut self,
        request: &ConsumerHeartbeat<'_>,
        scene: &mut Scene<'_>,
    ) -> Result<ConsumerHeartbeatAnswer, GroupError> {
        request.check(scene.config)?;
        self.check_room_for_pattern(request).map_err(|error| error.counted(scene))?;
        let heartbeat = |group: &mut Group| group.consumer_heartbeat(request, scene);
        let answer = if request.joins() {
            self.on_new_group(request.group, heartbeat)
        } else {
            self.on_group(request.group, heartbeat)
        };
        let missing = || Err(GroupError::GroupIdNotFound(request.group.to_owned()));
        answer.unwrap_or_else(missing).map_err(|error| error.counted(scene))
    }
}

impl Group {
    fn consumer_heartbeat(
        &mut self,
        request: &ConsumerHeartbeat<'_>,
        scene: &mut Scene<'_>,
    ) -> Result<ConsumerHeartbeatAnswer, GroupError> {
        let answer = match &mut self.members {
            Members::Consumer(group) => group.heartbeat(Draft::default(), request, scene),
            Members::Classic(_) if request.joins() => self.become_consumer(request, scene),
            Members::Classic(_) => Err(GroupError::OtherProtocol(request.group.to_owned())),
        };
        self.hand_over_if_classic(scene);
        answer
    }
}

impl ConsumerGroup {
    pub(super) fn heartbeat(
        &mut self,
        draft: Draft,
        request: &ConsumerHeartbeat<'_>,
        scene: &mut Scene<'_>,
    ) -> Result<ConsumerHeartbeatAnswer, GroupError> {
        let answer =
            self.event(draft, scene, |group, draft, scene| match request.member_epoch {
                GONE | AWAY => group.leave(request, draft, scene),
                _ => group.stay(request, draft, scene),
            })?;
        Ok(ConsumerHeartbeatAnswer { unresolved: self.unresolved_patterns(scene), ..answer })
    }

    fn stay(
        &mut self,
        request: &ConsumerHeartbeat<'_>,
        draft: &mut Draft,
        scene: &mut Scene<'_>,
    ) -> Result<ConsumerHeartbeatAnswer, GroupError> {
        let claimed: Claimed<'_> = request.owned.as_deref();
        let settings = Settings::of(&self.id, scene);
        let id = self.admit(request, draft, scene)?;
        let nothing = Metadata::default();
        let before = self.members.get(&id).map_or(&nothing, |member| &member.metadata);
        let changed = match request.update(before) {
            Some(metadata) => {
                self.subscribe(&id, metadata, request.pattern_fault.as_ref(), draft)?
            }
            None => super::subscription::Changed::default(),
        };
        self.catch_up(changed.names || changed.to_known_pattern, draft, scene)?;
        self.update_target(settings, draft, scene)?;
        let is_other = self.reconcile(&id, claimed, changed.any(), draft, scene)?;
        let missing = || GroupError::UnknownMemberId(id.to_string());
        let member = self.members.get_mut(&id).ok_or_else(missing)?;
        member.begin_session(settings.session, scene.now.elapsed);
        // It does not speak the classic protocol, or no longer.
        (member.deadlines.join, member.deadlines.sync) = (None, None);
        if let Some(first) = member.deadlines.first() {
            self.alarm.by(first);
        }
        let tells = request.joins() || request.is_full() || is_other;
        let current = &member.current;
        let assignment = tells.then(|| {
            let topics = current.assigned.iter();
            topics.map(|(id, all)| (*id, all.keys().copied().collect())).collect()
        });
        Ok(ConsumerHeartbeatAnswer {
            member_epoch: current.epoch,
            heartbeat_interval_ms: settings.heartbeat_ms,
            assignment,
            member_id: id,
            unresolved: Vec::new(),
        })
    }

    fn leave(
        &mut self,
        request: &ConsumerHeartbeat<'_>,
        draft: &mut Draft,
        scene: &Scene<'_>,
    ) -> Result<ConsumerHeartbeatAnswer, GroupError> {
        let id = match request.instance_id {
            None => self.known(request.member_id)?,
            Some(instance) => self.known_instance(instance, request.member_id)?,
        };
        if request.member_epoch == AWAY {
            tracing::info!(group = %self.id, member = %id, "static member left for a while");
            scene.count(Transition::LeftForAWhile);
            self.leave_for_a_while(&id, draft)?;
        } else {
            tracing::info!(group = %self.id, member = %id, "member left");
            scene.count(Transition::LeftByRequest);
            self.remove_members(&[Arc::clone(&id)], draft, scene)?;
        }
        Ok(ConsumerHeartbeatAnswer {
            member_id: id,
            member_epoch: request.member_epoch,
            heartbeat_interval_ms: 0,
            assignment: None,
            unresolved: Vec::new(),
        })
    }

    /// What it has is kept for the next member of its instance, as if it had it since ever.
    fn leave_for_a_while(&mut self, id: &Arc<str>, draft: &mut Draft) -> Result<(), GroupError> {
        let Some(member) = self.members.get_mut(id) else { return Ok(()) };
        member.deadlines.revocation = None;
        let mut current = member.current.clone();
        current.epoch = AWAY;
        current.revoking.clear();
        current.assigned.values_mut().for_each(|all| all.values_mut().for_each(|at| *at = 0));
        self.change(draft, Change::Current(Arc::clone(id), Some(current)))
    }
}
