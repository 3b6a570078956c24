//! A member of a consumer group: what it told of itself, what it has, and when it is missed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use milena_protocol::Uuid;

use crate::coordinator::Transition;

/// The epoch of a static member that has left and may come back.
pub(super) const AWAY: i32 = -2;
/// The epoch of who leaves for good.
pub(super) const GONE: i32 = -1;

/// Partitions that somebody has, each with the epoch in which it got it.
pub(super) type Owned = BTreeMap<Uuid, BTreeMap<i32, i32>>;

/// What a member told of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) instance_id: Option<Box<str>>,
    pub(super) rack_id: Option<Box<str>>,
    pub(super) client_id: Box<str>,
    pub(super) client_host: Box<str>,
    /// The topics to which it subscribes by name. Members with the same ones mostly share the set.
    pub(super) topics: Arc<BTreeSet<Box<str>>>,
    /// The regular expression by which it subscribes to more; may be empty.
    pub(super) pattern: Box<str>,
    /// How long it may take to give partitions up.
    pub(super) rebalance_timeout_ms: i32,
    /// The server-side assignor that it would like.
    pub(super) assignor: Option<Box<str>>,
    /// Of a member that speaks the classic protocol.
    pub(super) classic: Option<ClassicMetadata>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClassicMetadata {
    pub(super) session_timeout_ms: i32,
    /// Names and subscriptions, the one it likes best first.
    pub(super) protocols: Vec<(Box<str>, Box<[u8]>)>,
}

/// How far a member is on its way to the target assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It has what it is to have.
    Stable,
    /// It has not yet given up what it is to give up.
    UnrevokedPartitions,
    /// Others have not yet given up what it is to have.
    UnreleasedPartitions,
    /// Of a newer Kafka.
    Unknown,
}

impl State {
    pub(super) const fn number(self) -> i8 {
        match self {
            Self::Stable => 0,
            Self::UnrevokedPartitions => 1,
            Self::UnreleasedPartitions => 2,
            Self::Unknown => 127,
        }
    }

    pub(super) const fn from_number(number: i8) -> Self {
        match number {
            0 => Self::Stable,
            1 => Self::UnrevokedPartitions,
            2 => Self::UnreleasedPartitions,
            _ => Self::Unknown,
        }
    }
}

/// What a member has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Current {
    pub(super) epoch: i32,
    /// That of a member that may not have heard of its epoch.
    pub(super) previous_epoch: i32,
    pub(super) state: State,
    pub(super) assigned: Owned,
    /// What it is to give up, and has until it says otherwise.
    pub(super) revoking: Owned,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Member {
    pub(super) metadata: Metadata,
    pub(super) current: Current,
    pub(super) deadlines: Deadlines,
}

/// When a member is missed. None of it is written down: a new coordinator gives new time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Deadlines {
    /// It must be heard of.
    pub(super) session: Option<Duration>,
    /// It must have given up what it is to give up.
    pub(super) revocation: Option<Duration>,
    /// Of a classic member: it must join again, having been told of a rebalance.
    pub(super) join: Option<Duration>,
    /// Of a classic member: it must fetch its assignment, having joined.
    pub(super) sync: Option<Duration>,
}

impl Default for Metadata {
    fn default() -> Self {
        Self {
            instance_id: None,
            rack_id: None,
            client_id: "".into(),
            client_host: "".into(),
            topics: Arc::default(),
            pattern: "".into(),
            rebalance_timeout_ms: -1,
            assignor: None,
            classic: None,
        }
    }
}

impl Metadata {
    /// How long it may take to do what a rebalance asks of it.
    pub(super) fn rebalance_timeout(&self) -> Duration {
        Duration::from_millis(self.rebalance_timeout_ms.max(0).unsigned_abs().into())
    }
}

impl Default for Current {
    fn default() -> Self {
        Self {
            epoch: 0,
            previous_epoch: -1,
            state: State::Stable,
            assigned: Owned::new(),
            revoking: Owned::new(),
        }
    }
}

impl Current {
    /// Whether nothing is left to do in this epoch.
    pub(super) fn is_reconciled_to(&self, epoch: i32) -> bool {
        self.state == State::Stable && self.epoch == epoch
    }

    /// Everything that nobody else may have now.
    pub(super) fn held(&self) -> impl Iterator<Item = (Uuid, i32)> {
        let all = self.assigned.iter().chain(&self.revoking);
        all.flat_map(|(topic, partitions)| partitions.keys().map(|partition| (*topic, *partition)))
    }

    /// In which epoch it got a partition that it has.
    pub(super) fn epoch_of(&self, topic: Uuid, partition: i32) -> Option<i32> {
        let find = |owned: &Owned| owned.get(&topic)?.get(&partition).copied();
        find(&self.assigned).or_else(|| find(&self.revoking))
    }
}

impl Deadlines {
    pub(super) fn first(&self) -> Option<Duration> {
        let Self { session, revocation, join, sync } = *self;
        [session, revocation, join, sync].into_iter().flatten().min()
    }

    /// Why the member is missed, if it is.
    pub(super) fn missed(&self, now: Duration) -> Option<Transition> {
        let is_over = |at: Option<Duration>| at.is_some_and(|at| at <= now);
        let reasons = [
            (self.session, Transition::LeftSession),
            (self.revocation, Transition::LeftNotRevoked),
            (self.join, Transition::LeftNotJoined),
            (self.sync, Transition::LeftNotSynced),
        ];
        reasons.into_iter().find(|(at, _)| is_over(*at)).map(|(_, why)| why)
    }
}
