//! How often what has happened to groups and to transactions, each time with its reason: what
//! operators look at when members come and go, or producers are fenced. There is one number for
//! each kind, whatever the names of groups and transactional ids are.
//!
//! Every kind has its `tracing` event beside it, which says to whom it happened. What is refused in
//! the end, because it cannot be written, may have been counted.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! transitions {
    ($($name:ident = $event:literal $reason:literal,)*) => {
        /// What can happen to a group or a transactional id, and why.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Transition {
            $($name,)*
        }

        /// The event and the reason of each, in order.
        const NAMES: &[(&str, &str)] = &[$(($event, $reason),)*];
    };
}

transitions! {
    Loaded = "coordinator loaded" "elected",
    Reloaded = "coordinator loaded" "its records were not written",

    IdGiven = "member id given" "it has none",
    IdForgotten = "member id forgotten" "too many were given out after it",
    JoinedNew = "member joined" "a new member",
    JoinedStatic = "member joined" "a new static member",
    JoinedAsGuest = "member joined" "by the classic protocol",
    JoinedAgain = "member joined" "again",
    JoinedInPlace = "member joined" "a static member came back",

    LeftByRequest = "member left" "by request",
    LeftForAWhile = "member left" "a static member, for a while",
    LeftBeforeJoining = "member left" "before it joined",
    LeftSession = "member left" "its session timed out",
    LeftNotJoined = "member left" "it did not join again in time",
    LeftNotSynced = "member left" "it did not fetch its assignment in time",
    LeftNotRevoked = "member left" "it did not give up partitions in time",
    LeftTurnedAway = "member left" "the group is full",

    RefusedUnknown = "refused" "no such member",
    RefusedGeneration = "refused" "another generation",
    RefusedEpoch = "refused" "another member epoch",
    RefusedInstance = "refused" "the instance has another member",
    RefusedUnreleased = "refused" "the instance has not left",
    RefusedFull = "refused" "the group is full",
    RefusedProtocol = "refused" "no common protocol",
    RefusedPattern = "refused" "a regular expression is not taken",

    RebalanceNew = "rebalance" "a new member",
    RebalanceBack = "rebalance" "a static member came back",
    RebalanceLeader = "rebalance" "the leader joins again",
    RebalanceNews = "rebalance" "news of a member",
    RebalanceLeft = "rebalance" "members left",
    RebalanceSessions = "rebalance" "members' sessions ended",
    RebalanceNotSynced = "rebalance" "members did not fetch their assignments",
    RebalanceTurnedAway = "rebalance" "a member was turned away",
    RebalanceTooMany = "rebalance" "the group has more members than it may",
    RebalanceNotWritten = "rebalance" "the assignment could not be written",
    RebalanceConsumersLeft = "rebalance" "members of the consumer protocol left",
    RebalanceOutOfDate = "rebalance" "its assignment is out of date",
    RebalancePutOff = "rebalance put off" "no member joined again",
    Generation = "generation began" "members have joined",
    Stable = "group stable" "the leader has assigned",
    Empty = "group empty" "no member is left",

    EpochLeft = "epoch began" "members left",
    EpochSubscription = "epoch began" "a subscription changed",
    EpochTopics = "epoch began" "topics changed",
    Target = "target computed" "a new epoch",
    Reconciled = "member reconciled" "towards its target",
    Patterns = "regular expressions resolved" "they or the topics are new",
    Upgraded = "group upgraded" "a member of the consumer protocol joins",
    NotUpgraded = "group not upgraded" "it must or can not be",
    Downgraded = "group downgraded" "only classic members are left",

    CommittedByMember = "offsets committed" "by a member",
    CommittedByOther = "offsets committed" "by no member",
    OffsetExpired = "offset deleted" "expired",
    OffsetDeleted = "offset deleted" "by request",
    OffsetOfDeletedTopic = "offset deleted" "with its topic",
    DeletedByRequest = "group deleted" "by request",

    ProducerNew = "producer initialized" "a new transactional id",
    ProducerAgain = "producer initialized" "the id is known: whoever had it is fenced",
    TransactionBegun = "transaction begun" "its first partition",
    TransactionCommitted = "transaction committed" "by request",
    TransactionAborted = "transaction aborted" "by request",
    TransactionReplaced = "transaction aborted" "its producer was replaced",
    TransactionTimedOut = "transaction aborted" "out of time",
    MarkersAsked = "markers asked for" "a decision",
    MarkersAgain = "markers asked for" "not all were written",
    TransactionCompleted = "transaction completed" "all markers are written",
    VerificationFailed = "verification failure" "the partition is not part of the transaction",
    ProducerFenced = "producer refused" "fenced",
    ProducerStranger = "producer refused" "the transactional id is not its own",
    ProducerState = "producer refused" "the transaction's state does not allow for it",
    ProducerEarly = "producer put off" "the transaction before is still being ended",
    IdUnused = "transactional id forgotten" "unused for long",
}

impl Transition {
    pub(crate) fn reason(self) -> &'static str {
        NAMES.get(self as usize).map(|(_, reason)| *reason).unwrap_or_default()
    }
}

/// Since the broker began.
#[derive(Debug)]
pub(crate) struct Counters([AtomicU64; NAMES.len()]);

impl Default for Counters {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; NAMES.len()])
    }
}

impl Counters {
    pub(crate) fn add(&self, transition: Transition, count: usize) {
        if let Some(counter) = self.0.get(transition as usize) {
            counter.fetch_add(count as u64, Ordering::Relaxed);
        }
    }

    /// Event, reason and count of everything that has happened.
    pub(crate) fn snapshot(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let counts = self.0.iter().map(|counter| counter.load(Ordering::Relaxed));
        let named =
            NAMES.iter().zip(counts).map(|((event, reason), count)| (*event, *reason, count));
        named.filter(|(_, _, count)| *count > 0)
    }
}
