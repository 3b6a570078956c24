//! A member of a group of the consumer protocol (KIP-848): the broker says what to read, and this
//! member gives up, commits, says so, and takes. Pure: (state, event, now) -> actions.

use std::{collections::BTreeSet, time::Duration};

use milena_protocol::ErrorCode;

use super::{
    super::TopicPartition,
    core::{Action, Failure, Times},
};
use crate::error::Error;

/// The epochs that join and leave.
const JOIN: i32 = 0;
const LEAVE: i32 = -1;
const LEAVE_FOR_A_WHILE: i32 = -2;

/// One heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Beat {
    pub(super) epoch: i32,
    /// Whether to say everything about the member, or only what has changed.
    pub(super) is_full: bool,
    /// What it owns, if the broker is to hear it.
    pub(super) owned: Option<BTreeSet<TopicPartition>>,
}

/// What a heartbeat was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Beaten {
    pub(super) epoch: i32,
    pub(super) interval: Duration,
    /// What to have; nothing if that has not changed.
    pub(super) target: Option<BTreeSet<TopicPartition>>,
    /// Whether there is more in topics that are not known here yet. The broker tells it again when
    /// it is told everything.
    pub(super) is_partial: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Out,
    /// A member, or about to become one.
    In,
    /// Gives up what it lost, then joins again.
    Losing,
    /// Has left because nobody polled; joins when somebody does.
    Stuck,
}

#[derive(Debug)]
pub(super) struct Modern {
    times: Times,
    is_static: bool,
    phase: Phase,
    member_id: Box<str>,
    epoch: i32,
    owned: BTreeSet<TopicPartition>,
    target: BTreeSet<TopicPartition>,
    /// Partitions are being given up or taken.
    is_reconciling: bool,
    /// How many times it was told to give up what it has not given up yet.
    revoking: u32,
    /// What comes after what is being given up.
    takes: BTreeSet<TopicPartition>,
    interval: Duration,
    beat_at: Duration,
    is_beating: bool,
    /// The broker does not know yet what is owned, or whatever else has changed.
    tells_owned: bool,
    tells_all: bool,
    failures: u32,
}

type Actions = Vec<Action<Beat>>;

impl Modern {
    pub(super) fn new(times: Times, member_id: Box<str>, is_static: bool) -> Self {
        Self {
            times,
            is_static,
            phase: Phase::Out,
            member_id,
            epoch: JOIN,
            owned: BTreeSet::new(),
            target: BTreeSet::new(),
            is_reconciling: false,
            revoking: 0,
            takes: BTreeSet::new(),
            interval: times.heartbeat,
            beat_at: Duration::ZERO,
            is_beating: false,
            tells_owned: false,
            tells_all: true,
            failures: 0,
        }
    }

    pub(super) fn member_id(&self) -> &str {
        &self.member_id
    }

    pub(super) fn owned(&self) -> &BTreeSet<TopicPartition> {
        &self.owned
    }

    fn identify(&self) -> Action<Beat> {
        // Nobody commits as a member that is not one yet.
        let epoch = if self.phase == Phase::In && self.epoch > 0 { self.epoch } else { -1 };
        Action::Identify { id: self.member_id.clone(), epoch }
    }

    /// Joins, or says what it subscribes to now.
    pub(super) fn subscribe(&mut self, now: Duration) -> Actions {
        if self.phase == Phase::Out {
            // What it lost comes first.
            self.phase = if self.revoking == 0 { Phase::In } else { Phase::Losing };
            self.epoch = JOIN;
            self.failures = 0;
        }
        self.tells_all = true;
        self.beat_at = now;
        self.beat(now)
    }

    fn beat(&mut self, now: Duration) -> Actions {
        if self.phase != Phase::In || self.is_beating || now < self.beat_at {
            return Vec::new();
        }
        self.is_beating = true;
        self.beat_at = now + self.interval;
        let (is_full, tells_owned) = (self.tells_all, self.tells_owned || self.tells_all);
        (self.tells_all, self.tells_owned) = (false, false);
        // Who joins has nothing.
        let owned = tells_owned.then(|| match self.epoch {
            JOIN => BTreeSet::new(),
            _ => self.owned.clone(),
        });
        vec![Action::Send(Beat { epoch: self.epoch, is_full, owned })]
    }

    pub(super) fn beaten(&mut self, now: Duration, answer: Result<Beaten, Error>) -> Actions {
        self.is_beating = false;
        if self.phase != Phase::In {
            return Vec::new();
        }
        let beaten = match answer {
            Ok(beaten) => beaten,
            Err(error) => return self.not_beaten(now, error),
        };
        self.failures = 0;
        let mut actions = Vec::new();
        if !beaten.interval.is_zero() {
            self.interval = beaten.interval;
        }
        if std::mem::replace(&mut self.epoch, beaten.epoch) != beaten.epoch {
            actions.push(self.identify());
        }
        self.tells_all |= beaten.is_partial;
        let urgent = (self.tells_all && !beaten.is_partial) || self.tells_owned;
        self.beat_at = if urgent { now } else { now + self.interval };
        if let Some(target) = beaten.target {
            self.target = target;
        }
        actions.extend(self.reconcile());
        actions.extend(self.beat(now));
        actions
    }

    fn not_beaten(&mut self, now: Duration, error: Error) -> Actions {
        // The broker may not have heard it.
        self.tells_all = true;
        match error.code() {
            Some(ErrorCode::FencedMemberEpoch | ErrorCode::UnknownMemberId) => {
                return self.lose(now);
            }
            // It may have been released by then.
            Some(ErrorCode::UnreleasedInstanceId) => return self.fail(error),
            _ if !error.is_retriable() => return self.fail(error),
            _ => {}
        }
        let pause = Duration::from_millis(100 << self.failures.min(4)).min(Duration::from_secs(1));
        self.failures += 1;
        self.beat_at = now + pause;
        Vec::new()
    }

    /// Moves towards the target: gives up first, then takes.
    fn reconcile(&mut self) -> Actions {
        if self.is_reconciling || self.owned == self.target {
            return Vec::new();
        }
        self.is_reconciling = true;
        let gone: BTreeSet<_> = self.owned.difference(&self.target).cloned().collect();
        self.takes = self.target.difference(&self.owned).cloned().collect();
        if gone.is_empty() {
            return vec![Action::Assign(self.takes.clone())];
        }
        vec![self.revoke(gone, false)]
    }

    fn revoke(&mut self, partitions: BTreeSet<TopicPartition>, lost: bool) -> Action<Beat> {
        self.revoking += 1;
        Action::Revoke { partitions, lost }
    }

    fn lose(&mut self, now: Duration) -> Actions {
        (self.epoch, self.tells_all) = (JOIN, true);
        self.target.clear();
        if self.owned.is_empty() && !self.is_reconciling {
            self.beat_at = now;
            let mut actions = vec![self.identify()];
            actions.extend(self.beat(now));
            return actions;
        }
        self.phase = Phase::Losing;
        vec![self.identify(), self.revoke(self.everything(), true)]
    }

    /// What it has, and what is being given to it.
    fn everything(&self) -> BTreeSet<TopicPartition> {
        self.owned.union(&self.takes).cloned().collect()
    }

    fn fail(&mut self, error: Error) -> Actions {
        self.phase = Phase::Out;
        self.epoch = JOIN;
        let mut actions = vec![self.identify()];
        let partitions = self.everything();
        if !partitions.is_empty() {
            actions.push(self.revoke(partitions, true));
        }
        actions.push(Action::Fail(Failure(error)));
        actions
    }

    /// Partitions were given up.
    pub(super) fn revoked(
        &mut self,
        now: Duration,
        partitions: &BTreeSet<TopicPartition>,
    ) -> Actions {
        self.owned.retain(|partition| !partitions.contains(partition));
        self.revoking = self.revoking.saturating_sub(1);
        if self.revoking > 0 {
            return Vec::new();
        }
        match self.phase {
            Phase::Losing => {
                self.takes.clear();
                self.is_reconciling = false;
                self.phase = Phase::In;
                self.beat_at = now;
                self.beat(now)
            }
            Phase::In if self.is_reconciling && self.takes.is_empty() => self.reconciled(now),
            Phase::In if self.is_reconciling => vec![Action::Assign(self.takes.clone())],
            _ => {
                self.takes.clear();
                self.is_reconciling = false;
                Vec::new()
            }
        }
    }

    /// The last of what was given is read now.
    pub(super) fn assigned(&mut self, now: Duration) -> Actions {
        if self.phase != Phase::In || !self.is_reconciling {
            return Vec::new();
        }
        self.owned.append(&mut self.takes);
        self.reconciled(now)
    }

    /// The broker hears at once what is owned now.
    fn reconciled(&mut self, now: Duration) -> Actions {
        self.is_reconciling = false;
        self.tells_owned = true;
        self.beat_at = now;
        let mut actions = self.beat(now);
        actions.extend(self.reconcile());
        actions
    }

    /// Time has passed; `polled` is when somebody last polled.
    pub(super) fn tick(&mut self, now: Duration, polled: Duration) -> Actions {
        let is_late = now.saturating_sub(polled) > self.times.poll_max;
        match self.phase {
            Phase::Stuck if !is_late => {
                self.phase = Phase::In;
                self.lose(now)
            }
            Phase::In if is_late => {
                let epoch = self.leaving_epoch();
                self.phase = Phase::Stuck;
                let beat = Beat { epoch, is_full: false, owned: None };
                vec![self.identify(), Action::Send(beat)]
            }
            Phase::In => self.beat(now),
            _ => Vec::new(),
        }
    }

    const fn leaving_epoch(&self) -> i32 {
        if self.is_static { LEAVE_FOR_A_WHILE } else { LEAVE }
    }

    /// When to tick next.
    pub(super) fn wake_at(&self, polled: Duration) -> Option<Duration> {
        if self.phase != Phase::In {
            return None;
        }
        let late = polled.saturating_add(self.times.poll_max);
        let late = late.saturating_add(Duration::from_millis(1));
        Some(if self.is_beating { late } else { late.min(self.beat_at) })
    }

    /// Gives everything up, and leaves once that is done.
    pub(super) fn leave(&mut self) -> Actions {
        let is_member = self.phase == Phase::In;
        let beat = Beat { epoch: self.leaving_epoch(), is_full: false, owned: None };
        let partitions = self.everything();
        self.phase = Phase::Out;
        let mut actions = Vec::new();
        if !partitions.is_empty() {
            actions.push(self.revoke(partitions, !is_member));
        }
        if is_member {
            actions.push(Action::Send(beat));
        }
        actions
    }

    /// Nothing of the group is left.
    pub(super) fn left(&mut self) {
        (self.epoch, self.tells_all) = (JOIN, true);
        self.target.clear();
        self.takes.clear();
        (self.is_reconciling, self.revoking) = (false, 0);
        self.is_beating = false;
    }
}
