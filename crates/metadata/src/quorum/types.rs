//! What openraft is told about our log: who votes, what an entry says, what applying it answers.

use milena_protocol::Uuid;

use super::snapshot::SnapshotFile;
use crate::{image::Endpoint, records::Records};

/// What a leader wants in the log: the records of one or several requests, which become one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    pub records: Records,
    pub timestamp: i64,
}

/// A voter as the membership knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Voter {
    pub directory: Uuid,
    pub endpoints: Vec<Endpoint>,
}

openraft::declare_raft_types!(
    /// Our types, as openraft asks for them.
    pub TypeConfig:
        D = Proposal,
        R = Applied,
        NodeId = i32,
        Node = Voter,
        SnapshotData = SnapshotFile,
);

/// Where an entry ended up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The offset of the entry's last record.
    pub last_offset: i64,
}

pub(super) type Entry = openraft::Entry<TypeConfig>;
pub(super) type LogId = openraft::LogId<i32>;
pub(super) type Vote = openraft::Vote<i32>;
pub(super) type Membership = openraft::Membership<i32, Voter>;
pub(super) type StoredMembership = openraft::StoredMembership<i32, Voter>;
pub(super) type SnapshotMeta = openraft::SnapshotMeta<i32, Voter>;
pub(super) type StorageError = openraft::StorageError<i32>;
pub(super) type StorageIoError = openraft::StorageIOError<i32>;

/// The id of the entry at `index` in the epoch `term`.
pub(super) fn log_id(term: i32, index: u64) -> LogId {
    let term = u64::try_from(term).unwrap_or(0);
    LogId::new(openraft::CommittedLeaderId::new(term, 0), index)
}

/// The epoch of an entry, as a batch says it.
pub(super) fn epoch_of(id: &LogId) -> i32 {
    i32::try_from(id.leader_id.term).unwrap_or(i32::MAX)
}
