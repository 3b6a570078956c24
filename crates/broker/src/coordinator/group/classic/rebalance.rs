//! From one generation to the next: members gather, the generation begins, and whoever does not
//! keep up is left behind.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    super::super::{Scene, Transition},
    ClassicGroup, GroupError, Joined, Phase,
    member::milliseconds,
};

/// While nobody at all comes back, it is looked after them no more often.
const POSTPONED_MIN: Duration = Duration::from_secs(1);

/// Members join until then, or until all are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gathering {
    pub(super) until: Duration,
    /// In a group that was empty, where nobody knows who all are.
    pub(super) initial: Option<Initial>,
}

/// Every delay in which somebody came is followed by another, while there is time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Initial {
    delay: Duration,
    remaining: Duration,
    pub(super) more_came: bool,
}

impl ClassicGroup {
    /// Something has changed: a new generation is needed, or the one that is gathering may be
    /// complete.
    pub(super) fn rebalance(&mut self, why: Transition, scene: &mut Scene<'_>) {
        match self.phase {
            Phase::Empty if self.members.is_empty() => {}
            Phase::PreparingRebalance(_) => self.try_complete_join(scene),
            _ => self.prepare_rebalance(why, scene),
        }
    }

    pub(in super::super) fn prepare_rebalance(&mut self, why: Transition, scene: &mut Scene<'_>) {
        let (state, generation, now) = (self.state(), self.generation, scene.now.elapsed);
        let reason = why.reason();
        tracing::info!(group = %self.id, state, generation, reason, "rebalance");
        scene.count(why);
        if self.phase == Phase::CompletingRebalance {
            self.forget_assignments(&GroupError::RebalanceInProgress, scene);
        }
        self.sync_until = None;
        let time = self.rebalance_timeout();
        let initial = (self.phase == Phase::Empty).then(|| {
            let delay = initial_delay(scene);
            Initial { delay, remaining: time.saturating_sub(delay), more_came: false }
        });
        let until = now + initial.map_or(time, |initial| initial.delay);
        self.enter(Phase::PreparingRebalance(Gathering { until, initial }), scene);
        self.alarm.by(until);
        if initial.is_none() {
            self.try_complete_join(scene);
        } else if until <= now {
            self.complete_join(scene);
        }
    }

    /// The next generation begins if everybody has come.
    pub(super) fn try_complete_join(&mut self, scene: &mut Scene<'_>) {
        let Phase::PreparingRebalance(Gathering { initial: None, .. }) = self.phase else { return };
        if self.pending.is_empty() && self.members.values().all(|member| member.join.is_some()) {
            self.complete_join(scene);
        }
    }

    /// The next generation begins with those who have come.
    fn complete_join(&mut self, scene: &mut Scene<'_>) {
        let is_late = |(id, member): (&Arc<str>, &super::Member)| {
            (!member.is_static() && !member.has_rejoined()).then(|| Arc::clone(id))
        };
        let late: Vec<_> = self.members.iter().filter_map(is_late).collect();
        for id in late {
            tracing::info!(group = %self.id, member = %id, "member did not rejoin in time");
            scene.count(Transition::LeftNotJoined);
            self.remove(&id, scene);
        }
        if self.members.is_empty() {
            self.become_empty(scene);
        } else if !self.elect_leader() {
            tracing::info!(group = %self.id, "no member rejoined, the rebalance is put off");
            scene.count(Transition::RebalancePutOff);
            let until = scene.now.elapsed + self.rebalance_timeout().max(POSTPONED_MIN);
            self.phase = Phase::PreparingRebalance(Gathering { until, initial: None });
            self.alarm.by(until);
        } else {
            self.begin_generation(scene);
        }
    }

    fn become_empty(&mut self, scene: &mut Scene<'_>) {
        self.generation = self.generation.wrapping_add(1).max(0);
        self.protocol = None;
        self.leader = None;
        self.subscribed = self.subscriptions();
        self.enter(Phase::Empty, scene);
        let generation = self.generation;
        tracing::info!(group = %self.id, generation, "group empty");
        scene.count(Transition::Empty);
        if let Err(error) = self.write(scene) {
            // The log still has members: after a restart they are waited for in vain.
            tracing::error!(group = %self.id, %error, "empty group not written");
        }
    }

    fn begin_generation(&mut self, scene: &mut Scene<'_>) {
        let now = scene.now.elapsed;
        self.generation = self.generation.wrapping_add(1).max(0);
        self.protocol = self.choose_protocol();
        self.subscribed = self.subscriptions();
        self.enter(Phase::CompletingRebalance, scene);
        let (generation, protocol) = (self.generation, self.protocol.as_deref());
        let (leader, members) = (self.leader.as_deref(), self.members.len());
        tracing::info!(
            group = %self.id, generation, protocol, leader, members, "generation begins"
        );
        scene.count(Transition::Generation);
        let told: Vec<Joined> = self.members.keys().map(|id| self.joined(id)).collect();
        for (member, joined) in self.members.values_mut().zip(told) {
            if let Some(reply) = member.join.take() {
                scene.effects.reply(reply, Ok(joined));
            }
            member.new_until = None;
            member.must_sync = true;
            member.begin_session(now);
            self.alarm.by(member.deadline);
        }
        let until = now + self.rebalance_timeout();
        self.sync_until = Some(until);
        self.alarm.by(until);
    }

    /// Whether somebody leads the next generation: the old leader, if it is there.
    fn elect_leader(&mut self) -> bool {
        let leads = |id: &Arc<str>| self.members.get(id).is_some_and(|it| it.has_rejoined());
        if self.leader.as_ref().is_some_and(leads) {
            return true;
        }
        self.leader = self.members.keys().find(|id| leads(id)).cloned();
        self.leader.is_some()
    }

    /// Of the protocols that all members speak, the one that most prefer.
    pub(super) fn choose_protocol(&self) -> Option<Arc<str>> {
        let all_speak = |name: &str| self.members.values().all(|member| member.supports(name));
        let mut votes = BTreeMap::<&Arc<str>, usize>::new();
        // It is among those of any member.
        let candidates = self.members.values().next().into_iter().flat_map(|it| &it.protocols);
        votes.extend(candidates.filter(|it| all_speak(&it.name)).map(|it| (&it.name, 0)));
        for member in self.members.values() {
            let preferred = member.protocols.iter().find(|it| votes.contains_key(&it.name));
            if let Some(count) = preferred.and_then(|it| votes.get_mut(&it.name)) {
                *count += 1;
            }
        }
        let most = votes.into_iter().max_by_key(|(name, count)| (*count, Reverse(*name)));
        most.map(|(name, _)| Arc::clone(name))
    }

    /// The members' longest.
    fn rebalance_timeout(&self) -> Duration {
        let timeouts = self.members.values().map(|member| milliseconds(member.rebalance_ms));
        timeouts.max().unwrap_or_default()
    }

    pub(in super::super) fn on_time(&mut self, scene: &mut Scene<'_>) {
        let now = scene.now.elapsed;
        self.expire_sessions(scene);
        if let Phase::PreparingRebalance(Gathering { until, initial }) = self.phase
            && until <= now
        {
            match initial {
                Some(initial) if initial.more_came && !initial.remaining.is_zero() => {
                    let Initial { delay, remaining, .. } = initial;
                    let next = Initial {
                        delay: initial_delay(scene).min(remaining),
                        remaining: remaining.saturating_sub(delay),
                        more_came: false,
                    };
                    let (until, initial) = (now + next.delay, Some(next));
                    self.phase = Phase::PreparingRebalance(Gathering { until, initial });
                }
                _ => self.complete_join(scene),
            }
        }
        if self.sync_until.is_some_and(|until| until <= now) {
            self.expire_sync(scene);
        }
        let gathering = match self.phase {
            Phase::PreparingRebalance(gathering) => Some(gathering.until),
            _ => None,
        };
        let deadlines = self.members.values().map(|member| member.deadline);
        let deadlines = deadlines.chain(self.pending.values().copied());
        if let Some(next) = deadlines.chain(gathering).chain(self.sync_until).min() {
            self.alarm.by(next);
        }
    }

    /// Whoever has neither shown itself nor waits for an answer is gone, and so are ids with which
    /// nobody came.
    fn expire_sessions(&mut self, scene: &mut Scene<'_>) {
        let now = scene.now.elapsed;
        let known = self.members.len() + self.pending.len();
        self.pending.retain(|_, until| now < *until);
        let mut expired = Vec::new();
        for (id, member) in self.members.iter_mut().filter(|(_, it)| it.deadline <= now) {
            if member.is_waiting(now) {
                member.begin_session(now);
            } else {
                expired.push(Arc::clone(id));
            }
        }
        for id in &expired {
            tracing::info!(group = %self.id, member = %id, "member's session ended");
            scene.count(Transition::LeftSession);
            self.remove(id, scene);
        }
        if !expired.is_empty() {
            self.rebalance(Transition::RebalanceSessions, scene);
        } else if self.members.len() + self.pending.len() < known {
            self.try_complete_join(scene);
        }
    }

    /// Whoever has not fetched its assignment by now is thrown out.
    fn expire_sync(&mut self, scene: &mut Scene<'_>) {
        self.sync_until = None;
        let late = self.members.iter().filter(|(_, member)| member.must_sync);
        let late: Vec<_> = late.map(|(id, _)| Arc::clone(id)).collect();
        for id in &late {
            tracing::info!(group = %self.id, member = %id, "member did not fetch its assignment");
            scene.count(Transition::LeftNotSynced);
            self.remove(id, scene);
        }
        if !late.is_empty() {
            self.rebalance(Transition::RebalanceNotSynced, scene);
        }
    }
}

/// `group.initial.rebalance.delay.ms`
fn initial_delay(scene: &Scene<'_>) -> Duration {
    Duration::from_millis(
        scene.config.groups.classic.initial_rebalance_delay_ms.max(0).unsigned_abs().into(),
    )
}
