//! A member of a classic group: joins, may have to lead, syncs, and stays by heartbeats. Pure:
//! (state, event, now) -> actions.
//!
//! All assignors of a cooperative member are cooperative: it goes on with what it has while the
//! group agrees, gives up what it is told to, and joins again for others to have it. An eager one
//! gives up everything before it joins.

use std::{collections::BTreeSet, time::Duration};

use milena_protocol::ErrorCode;

use super::{
    super::TopicPartition,
    core::{Action, Failure, Times},
};
use crate::error::Error;

/// What the coordinator is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Join {
        reason: &'static str,
    },
    /// What the members are to have; nothing from those who do not lead.
    Sync(Assignments),
    Heartbeat,
    Leave {
        reason: &'static str,
    },
    /// Not of the coordinator: what the leader decides, given what the members said.
    Decide(Joined),
}

/// What came of joining.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Joined {
    pub(super) member_id: Box<str>,
    pub(super) generation: i32,
    pub(super) protocol: Box<str>,
    pub(super) leads: bool,
    /// A static leader that came back: the group keeps what it has.
    pub(super) keeps: bool,
    /// Only the leader hears of them.
    pub(super) members: Vec<Member>,
}

/// What the leader hears of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) id: Box<str>,
    pub(super) instance_id: Option<Box<str>>,
    pub(super) subscription: Vec<u8>,
}

/// What each member is to have, as it is told.
pub(super) type Assignments = Vec<(Box<str>, Vec<u8>)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not subscribed, gone, or failed.
    Out,
    /// Gives up partitions, then joins.
    Preparing,
    Joining,
    /// Decides, or waits for the leader to.
    Syncing,
    /// Gives up what it lost, and takes what is new.
    Adopting,
    Stable,
    /// Joins again then.
    Pausing(Duration),
    /// Has left because nobody polled; joins when somebody does.
    Stuck,
}

#[derive(Debug)]
pub(super) struct Classic {
    times: Times,
    cooperative: bool,
    is_static: bool,
    phase: Phase,
    member_id: Box<str>,
    generation: i32,
    protocol: Box<str>,
    owned: BTreeSet<TopicPartition>,
    /// How many times it was told to give up what it has not given up yet.
    revoking: u32,
    /// What was given last; the sticky assignor remembers it.
    last: BTreeSet<TopicPartition>,
    last_generation: i32,
    /// Why to join again as soon as nothing else is under way.
    rejoin: Option<&'static str>,
    /// Why the next join happens.
    reason: &'static str,
    heartbeat_at: Duration,
    is_beating: bool,
    failures: u32,
    /// Counts joins: answers to what was asked before the last one are for nobody.
    round: u64,
}

type Actions = Vec<Action<Request>>;

impl Classic {
    pub(super) fn new(times: Times, cooperative: bool, is_static: bool) -> Self {
        Self {
            times,
            cooperative,
            is_static,
            phase: Phase::Out,
            member_id: "".into(),
            generation: -1,
            protocol: "".into(),
            owned: BTreeSet::new(),
            revoking: 0,
            last: BTreeSet::new(),
            last_generation: -1,
            rejoin: None,
            reason: "",
            heartbeat_at: Duration::ZERO,
            is_beating: false,
            failures: 0,
            round: 0,
        }
    }

    pub(super) fn round(&self) -> u64 {
        self.round
    }

    pub(super) fn member_id(&self) -> &str {
        &self.member_id
    }

    pub(super) fn generation(&self) -> i32 {
        self.generation
    }

    pub(super) fn protocol(&self) -> &str {
        &self.protocol
    }

    pub(super) fn owned(&self) -> &BTreeSet<TopicPartition> {
        &self.owned
    }

    pub(super) fn last(&self) -> (&BTreeSet<TopicPartition>, i32) {
        (&self.last, self.last_generation)
    }

    /// Joins, or joins again because something has changed: other topics, or their partitions.
    /// `unwanted` is what nobody subscribes to any more.
    pub(super) fn join(
        &mut self,
        reason: &'static str,
        unwanted: impl Fn(&TopicPartition) -> bool,
    ) -> Actions {
        match self.phase {
            Phase::Out => {
                self.failures = 0;
                self.join_empty_handed(reason)
            }
            Phase::Stable => self.prepare(reason, unwanted),
            _ => {
                self.rejoin = Some(reason);
                Vec::new()
            }
        }
    }

    fn prepare(
        &mut self,
        reason: &'static str,
        unwanted: impl Fn(&TopicPartition) -> bool,
    ) -> Actions {
        let partitions: BTreeSet<_> =
            self.owned.iter().filter(|it| !self.cooperative || unwanted(it)).cloned().collect();
        let mut actions = Vec::new();
        if !partitions.is_empty() {
            actions.push(self.revoke(partitions, false));
        }
        actions.extend(self.join_empty_handed(reason));
        actions
    }

    fn revoke(&mut self, partitions: BTreeSet<TopicPartition>, lost: bool) -> Action<Request> {
        self.revoking += 1;
        Action::Revoke { partitions, lost }
    }

    /// Joins when all is given up that was to be given up.
    fn join_empty_handed(&mut self, reason: &'static str) -> Actions {
        if self.revoking == 0 {
            return self.send_join(reason);
        }
        self.phase = Phase::Preparing;
        self.reason = reason;
        Vec::new()
    }

    fn send_join(&mut self, reason: &'static str) -> Actions {
        self.phase = Phase::Joining;
        self.rejoin = None;
        self.round += 1;
        vec![Action::Send(Request::Join { reason })]
    }

    /// The group goes on without this member: what it had may be another's already.
    fn lose(&mut self, reason: &'static str, forget_id: bool) -> Actions {
        if forget_id {
            self.member_id = "".into();
        }
        self.generation = -1;
        let mut actions = vec![self.identify()];
        if !self.owned.is_empty() {
            actions.push(self.revoke(self.owned.clone(), true));
        }
        actions.extend(self.join_empty_handed(reason));
        actions
    }

    fn identify(&self) -> Action<Request> {
        Action::Identify { id: self.member_id.clone(), epoch: self.generation }
    }

    fn fail(&mut self, error: Error) -> Actions {
        self.phase = Phase::Out;
        self.generation = -1;
        let mut actions = vec![self.identify()];
        if !self.owned.is_empty() {
            actions.push(self.revoke(self.owned.clone(), true));
        }
        actions.push(Action::Fail(Failure(error)));
        actions
    }

    /// Partitions were given up.
    pub(super) fn revoked(&mut self, partitions: &BTreeSet<TopicPartition>) -> Actions {
        self.owned.retain(|partition| !partitions.contains(partition));
        self.revoking = self.revoking.saturating_sub(1);
        match self.phase {
            Phase::Preparing if self.revoking == 0 => {
                let reason = self.reason;
                self.send_join(reason)
            }
            _ => Vec::new(),
        }
    }

    /// The last of what was given is read now.
    pub(super) fn assigned(&mut self, now: Duration) -> Actions {
        if self.phase != Phase::Adopting {
            return Vec::new();
        }
        self.phase = Phase::Stable;
        match self.rejoin.take() {
            Some(reason) => self.prepare(reason, |_| false),
            None => self.tick(now, Duration::MAX),
        }
    }

    pub(super) fn joined(&mut self, now: Duration, answer: Result<Joined, Error>) -> Actions {
        if self.phase != Phase::Joining {
            return Vec::new();
        }
        let joined = match answer {
            Ok(joined) => joined,
            Err(error) => return self.not_joined(now, error),
        };
        (self.member_id, self.generation) = (joined.member_id.clone(), joined.generation);
        self.protocol = joined.protocol.clone();
        self.failures = 0;
        self.heartbeat_at = now + self.times.heartbeat;
        self.phase = Phase::Syncing;
        let request = match joined.leads && !joined.keeps {
            true => Request::Decide(joined),
            false => Request::Sync(Vec::new()),
        };
        vec![self.identify(), Action::Send(request)]
    }

    /// The coordinator wants a member to know its id before it waits for it.
    pub(super) fn named(&mut self, member_id: &str) -> Actions {
        self.member_id = member_id.into();
        self.send_join("need to re-join with the given member-id")
    }

    fn not_joined(&mut self, now: Duration, error: Error) -> Actions {
        match error.code() {
            Some(ErrorCode::UnknownMemberId) => self.lose("the member was not known", true),
            Some(ErrorCode::IllegalGeneration) => self.lose("the generation was over", false),
            _ => self.pause(now, error),
        }
    }

    fn pause(&mut self, now: Duration, error: Error) -> Actions {
        let is_again = error.is_retriable() || error.code() == Some(ErrorCode::RebalanceInProgress);
        if !is_again {
            return self.fail(error);
        }
        // Kafka's first and longest pause.
        let pause = Duration::from_millis(100 << self.failures.min(4)).min(Duration::from_secs(1));
        self.failures += 1;
        self.phase = Phase::Pausing(now + pause);
        Vec::new()
    }

    /// The leader knows who gets what.
    pub(super) fn decided(
        &mut self,
        now: Duration,
        decision: Result<Assignments, Error>,
    ) -> Actions {
        if self.phase != Phase::Syncing {
            return Vec::new();
        }
        match decision {
            Ok(assignments) => vec![Action::Send(Request::Sync(assignments))],
            Err(error) => self.pause(now, error),
        }
    }

    pub(super) fn synced(
        &mut self,
        now: Duration,
        answer: Result<BTreeSet<TopicPartition>, Error>,
    ) -> Actions {
        if self.phase != Phase::Syncing {
            return Vec::new();
        }
        let target = match answer {
            Ok(target) => target,
            Err(error) => {
                return match error.code() {
                    Some(ErrorCode::UnknownMemberId) => self.lose("the member was not known", true),
                    Some(ErrorCode::IllegalGeneration) => {
                        self.lose("the generation was over", false)
                    }
                    Some(ErrorCode::RebalanceInProgress) => self.send_join("the group rebalances"),
                    _ => self.pause(now, error),
                };
            }
        };
        self.phase = Phase::Adopting;
        (self.last, self.last_generation) = (target.clone(), self.generation);
        let gone: BTreeSet<_> = self.owned.difference(&target).cloned().collect();
        let new: BTreeSet<_> = target.difference(&self.owned).cloned().collect();
        let mut actions = Vec::new();
        if !gone.is_empty() {
            self.rejoin = Some("others may have what was given up");
            actions.push(self.revoke(gone, false));
        }
        self.owned.extend(new.iter().cloned());
        actions.push(Action::Assign(new));
        actions
    }

    pub(super) fn beaten(&mut self, answer: Result<(), Error>) -> Actions {
        self.is_beating = false;
        let Err(error) = answer else { return Vec::new() };
        let is_member = !matches!(self.phase, Phase::Out | Phase::Stuck | Phase::Pausing(_));
        if !is_member || matches!(self.phase, Phase::Joining) {
            return Vec::new();
        }
        match error.code() {
            Some(ErrorCode::RebalanceInProgress) => match self.phase {
                Phase::Stable => self.prepare("the group rebalances", |_| false),
                Phase::Adopting => {
                    self.rejoin.get_or_insert("the group rebalances");
                    Vec::new()
                }
                _ => Vec::new(),
            },
            Some(ErrorCode::UnknownMemberId) => self.expelled(true),
            Some(ErrorCode::IllegalGeneration) => self.expelled(false),
            Some(ErrorCode::FencedInstanceId | ErrorCode::GroupAuthorizationFailed) => {
                self.fail(error)
            }
            // The coordinator is looked for again, and hears from this member then.
            _ => Vec::new(),
        }
    }

    fn expelled(&mut self, forget_id: bool) -> Actions {
        match self.phase {
            // It gives up its partitions already, and will join as somebody new.
            Phase::Preparing => {
                self.generation = -1;
                if forget_id {
                    self.member_id = "".into();
                }
                vec![self.identify()]
            }
            _ => self.lose("the group went on without this member", forget_id),
        }
    }

    /// Time has passed; `polled` is when somebody last polled.
    pub(super) fn tick(&mut self, now: Duration, polled: Duration) -> Actions {
        let is_late = now.saturating_sub(polled) > self.times.poll_max;
        match self.phase {
            Phase::Out | Phase::Joining => Vec::new(),
            Phase::Stuck if is_late => Vec::new(),
            Phase::Stuck => self.lose("somebody polls again", true),
            Phase::Pausing(until) if now >= until => {
                let reason = self.rejoin.unwrap_or("the coordinator was not there");
                self.send_join(reason)
            }
            Phase::Pausing(_) => Vec::new(),
            _ if is_late && self.generation >= 0 => {
                self.phase = Phase::Stuck;
                self.generation = -1;
                let mut actions = vec![self.identify()];
                if !self.is_static {
                    let reason = "nobody polled for max.poll.interval.ms";
                    actions.push(Action::Send(Request::Leave { reason }));
                }
                actions
            }
            _ if self.generation >= 0 && !self.is_beating && now >= self.heartbeat_at => {
                self.is_beating = true;
                self.heartbeat_at = now + self.times.heartbeat;
                vec![Action::Send(Request::Heartbeat)]
            }
            _ => Vec::new(),
        }
    }

    /// When to tick next.
    pub(super) fn wake_at(&self, polled: Duration) -> Option<Duration> {
        match self.phase {
            Phase::Out | Phase::Joining | Phase::Stuck => None,
            Phase::Pausing(until) => Some(until),
            _ if self.generation < 0 => None,
            _ => {
                let late = polled.saturating_add(self.times.poll_max);
                let late = late.saturating_add(Duration::from_millis(1));
                Some(if self.is_beating { late } else { late.min(self.heartbeat_at) })
            }
        }
    }

    /// Gives everything up, and leaves once that is done. A static member leaves its seat free.
    pub(super) fn leave(&mut self) -> Actions {
        let was_member = self.generation >= 0;
        self.phase = Phase::Out;
        let mut actions = Vec::new();
        if !self.owned.is_empty() {
            actions.push(self.revoke(self.owned.clone(), !was_member));
        }
        if !self.is_static && !self.member_id.is_empty() {
            actions.push(Action::Send(Request::Leave { reason: "the consumer is being closed" }));
        }
        actions
    }

    /// Nothing of the group is left.
    pub(super) fn left(&mut self) {
        self.member_id = "".into();
        (self.generation, self.revoking) = (-1, 0);
        self.rejoin = None;
    }
}
