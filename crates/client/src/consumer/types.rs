//! The small things that a consumer is asked and told.

use milena_protocol::LeaderEpoch;

/// The first record that is no older than a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetAndTimestamp {
    /// Its offset.
    pub offset: i64,
    /// Its own time, in milliseconds since 1970.
    pub timestamp: i64,
    /// The leader epoch in which it was written, if it is known.
    pub leader_epoch: Option<i32>,
}

/// What a consumer knows of a partition from the last answer to a fetch of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watermarks {
    /// The first offset that there still is.
    pub log_start_offset: i64,
    /// Up to where everybody has it.
    pub high_watermark: i64,
    /// Up to where no transaction is open.
    pub last_stable_offset: i64,
}

/// An epoch where it is known.
pub(super) fn known(epoch: LeaderEpoch) -> Option<i32> {
    Some(epoch.0).filter(|epoch| *epoch >= 0)
}

pub(super) fn epoch(known: Option<i32>) -> LeaderEpoch {
    known.map_or(LeaderEpoch::UNKNOWN, LeaderEpoch)
}
