//! Batches that the broker itself writes: what coordinators want remembered, and the ends of
//! transactions.

use bytes::{Bytes, BytesMut};
use milena_protocol::{
    LeaderEpoch,
    records::{BuildError, Origin, RecordError, Scratch},
};
use milena_storage::{
    AppendError, Appended,
    producers::{self, Proof},
};

use super::Partition;

/// Why such a batch is not appended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OwnError {
    #[error("{0} replicas are in sync")]
    NotEnoughReplicas(usize),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl Partition {
    /// Appends a batch, if the partition is led in this epoch and enough replicas would hold it.
    pub(crate) fn append_own(
        &self,
        batch: Vec<u8>,
        epoch: LeaderEpoch,
        origin: producers::Origin,
        proof: Proof<'_>,
    ) -> Result<Appended, OwnError> {
        let in_sync = self.leader().in_sync_count();
        if in_sync < self.min_in_sync() {
            return Err(OwnError::NotEnoughReplicas(in_sync));
        }
        // The same memory: nobody else has it.
        let mut batch = BytesMut::from(Bytes::from(batch));
        let mut scratch = Scratch::default();
        let validated =
            self.log.prepare(&mut batch, i16::MAX, Origin::Coordinator, &mut scratch)?;
        Ok(self.log.append_proven(batch, &validated, epoch, origin, proof)?)
    }
}
