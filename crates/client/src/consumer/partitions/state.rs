//! One partition that is read: where its reader stands, what must be found out before it can go on,
//! and what was fetched ahead. Pure.

use std::time::Duration;

use milena_protocol::LeaderEpoch;

use super::{
    super::types::Watermarks,
    buffer::{Buffer, Read},
};
use crate::error::Error;

/// What is known, and what is to be found out.
#[derive(Clone, Debug)]
pub(crate) enum Status {
    /// What the group has committed.
    Committed,
    /// Where the log begins or ends, or where it was at a time.
    Reset(Reset),
    /// Whether the log still has what was read, now that somebody else leads it (KIP-320).
    Validate,
    /// Nothing: it can be fetched.
    Ready,
    /// It cannot go on from here; somebody must seek.
    Broken(Error),
}

/// Where to look for a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reset {
    /// As `auto.offset.reset` says.
    Policy,
    Earliest,
    Latest,
}

/// Why a partition is not read for a while, though it is assigned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// The user said so.
    pub(crate) paused: bool,
    /// The group takes it away, or the listener does not know of it yet.
    pub(crate) by_group: bool,
}

#[derive(Debug)]
pub(crate) struct Partition {
    /// Tells late answers from those that are still wanted.
    pub(super) incarnation: u64,
    pub(super) status: Status,
    /// What `poll` gives next; nothing before it is known.
    pub(super) read: Option<Read>,
    /// The leader epoch for which the position was proven.
    pub(super) leader_epoch: LeaderEpoch,
    /// What is fetched next.
    pub(super) fetch_at: i64,
    pub(super) buffer: Buffer,
    pub(super) held: Held,
    /// Whether it stands in the queue of those with something to give.
    pub(super) is_queued: bool,
    /// Nothing is tried before.
    pub(super) not_before: Duration,
    pub(super) failures: u32,
    /// A follower nearby, and until when.
    pub(super) preferred: Option<(i32, Duration)>,
    pub(super) watermarks: Option<Watermarks>,
}

impl Partition {
    pub(super) fn new(incarnation: u64, status: Status, by_group: bool) -> Self {
        Self {
            incarnation,
            status,
            read: None,
            leader_epoch: LeaderEpoch::UNKNOWN,
            fetch_at: 0,
            buffer: Buffer::default(),
            held: Held { paused: false, by_group },
            is_queued: false,
            not_before: Duration::ZERO,
            failures: 0,
            preferred: None,
            watermarks: None,
        }
    }

    /// Forgets what was fetched, and all answers on their way.
    pub(super) fn begin_anew(&mut self, incarnation: u64, status: Status) {
        self.incarnation = incarnation;
        self.status = status;
        self.buffer = Buffer::default();
        (self.not_before, self.failures) = (Duration::ZERO, 0);
    }

    /// Stands at an offset; it is proven first if its epoch is known.
    pub(super) fn stand_at(&mut self, incarnation: u64, read: Read) {
        let is_known = read.epoch != LeaderEpoch::UNKNOWN;
        self.begin_anew(incarnation, if is_known { Status::Validate } else { Status::Ready });
        self.read = Some(read);
        self.fetch_at = read.offset;
    }

    pub(super) fn can_give(&self) -> bool {
        !self.held.paused && !self.held.by_group && !self.buffer.is_empty()
    }

    /// Whether more of it is wanted.
    pub(super) fn is_readable(&self, now: Duration) -> bool {
        let is_held = self.held.paused || self.held.by_group;
        matches!(self.status, Status::Ready) && !is_held && self.not_before <= now
    }

    /// Nothing more is tried for a while.
    pub(super) fn back_off(&mut self, now: Duration, pause: impl FnOnce(u32) -> Duration) {
        self.not_before = now + pause(self.failures);
        self.failures = self.failures.saturating_add(1);
    }
}
