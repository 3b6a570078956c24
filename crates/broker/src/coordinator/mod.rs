//! Coordinators: each keeps the state of groups or of transactions in the log of a partition of an
//! internal topic, and serves what that partition's leader is asked.
//!
//! `shard` is one such partition: it locks, lets a pure core decide ([`Machine`]), appends what the
//! core wants remembered, and gives out no answer before all that it rests on is committed.
//! `service` is how the rest of the broker asks, `runtime` finds the shard, `load` replays a log
//! into a new core, `timekeeper` wakes cores when their time has come, `counters` says what has
//! happened. What groups are is told in `group`, what transactions are in `transaction`.

mod counters;
pub(crate) mod group;
mod internal_topic;
mod load;
mod runtime;
mod scene;
mod service;
mod shard;
#[cfg(test)]
mod test;
mod timekeeper;
pub(crate) mod transaction;

use std::{fmt::Debug, time::Duration};

use milena_config::ServerConfig;
use milena_metadata::image::Delta;
use milena_protocol::{DecodeError, Offset, ProducerEpoch, ProducerId};

pub(crate) use counters::{Counters, Transition};
pub(crate) use internal_topic::partition_of;
pub(crate) use runtime::{CoordinatorError, Runtime};
pub(crate) use scene::{Effects, Now, Reply, Scene, TooLarge, WriteError};
pub(crate) use service::{Coordinators, Follower};
pub(crate) use shard::{Pending, Within};
pub(crate) use timekeeper::Timekeeper;

/// The core of a coordinator: (state, event, now) -> (records, answer). No socket, clock, disk or
/// chance of its own: all of that is in the [`Scene`].
///
/// What it changes for good goes through records: they are pushed to the scene and applied by the
/// same function that replays them after a restart.
pub(crate) trait Machine: Debug + Default + Send + 'static {
    /// Whose partitions hold the records.
    const TOPIC: &'static str;

    /// Bytes that are read at once while a log is replayed.
    fn load_bytes(config: &ServerConfig) -> u32;

    /// Takes in a record that was written before.
    fn replay(&mut self, record: &Logged<'_>) -> Result<(), ReplayError>;

    /// Everything has been replayed, and the machine begins to serve.
    fn loaded(&mut self, scene: &mut Scene<'_>);

    /// A moment that [`Machine::next_wake`] named has come.
    fn on_time(&mut self, scene: &mut Scene<'_>);

    /// When it wants to be woken, in time since the process began.
    fn next_wake(&self) -> Option<Duration>;

    /// The cluster's metadata have changed; the scene has the new image.
    fn on_metadata(&mut self, delta: &Delta, scene: &mut Scene<'_>);
}

/// A record cannot be taken in: whoever wrote it knew more than is known here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("no transaction can be in state {0}")]
    TransactionState(i8),
}

/// A record as it lies in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Logged<'a> {
    pub(crate) offset: Offset,
    /// The transaction that it is part of.
    pub(crate) transaction: Option<(ProducerId, ProducerEpoch)>,
    pub(crate) what: What<'a>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum What<'a> {
    Record {
        key: &'a [u8],
        value: Option<&'a [u8]>,
    },
    /// The end of the transaction.
    Marker {
        is_commit: bool,
    },
}
