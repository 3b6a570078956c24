//! What both kinds of membership have in common: what they may want done, and what they hear of it.

use std::collections::BTreeSet;

use super::super::TopicPartition;
use crate::error::Error;

/// What a member wants done. The shell does it, and tells the core what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action<R> {
    /// Ask the coordinator. One request at a time, save heartbeats.
    Send(R),
    /// Stop to read these, in peace (commit first, tell the listener) or because they are lost
    /// already; then tell that it is done.
    Revoke { partitions: BTreeSet<TopicPartition>, lost: bool },
    /// Begin to read these, tell the listener, then tell that it is done.
    Assign(BTreeSet<TopicPartition>),
    /// Tell the user; there is no membership until he subscribes again.
    Fail(Failure),
    /// The place in the group is another one.
    Identify { id: Box<str>, epoch: i32 },
}

/// An error of which only its text says whether it is the same.
#[derive(Clone, Debug)]
pub(super) struct Failure(pub(super) Error);

impl PartialEq for Failure {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_string() == other.0.to_string()
    }
}

impl Eq for Failure {}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) heartbeat: std::time::Duration,
    pub(super) poll_max: std::time::Duration,
}
