//! Replays the log of an internal topic's partition into a new core.

use milena_protocol::{
    Offset,
    records::{Batch, Budget, CodecError, ControlType, FramingError, Scratch},
};
use milena_storage::{BadBatch, ReadError};

use super::{Logged, Machine, ReplayError, What};
use crate::partition::Partition;

/// Why a log does not lead to a core.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Batch(#[from] BadBatch),
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error(transparent)]
    Framing(#[from] FramingError),
    #[error("the record at offset {offset} is not known here: {why}")]
    Record { offset: Offset, why: ReplayError },
}

/// The core that the log leads to; `None` where it cannot be read, which is logged.
pub(super) fn load<M: Machine>(partition: &Partition, buffer_bytes: usize) -> Option<M> {
    let mut machine = M::default();
    let log = &partition.log;
    match replay(partition, buffer_bytes, &mut machine) {
        Ok(records) => {
            tracing::debug!(partition = %log.name(), records, "coordinator loaded");
            Some(machine)
        }
        Err(error) => {
            tracing::error!(partition = %log.name(), %error, "a coordinator's log cannot be read");
            None
        }
    }
}

fn replay<M: Machine>(
    partition: &Partition,
    buffer_bytes: usize,
    machine: &mut M,
) -> Result<u64, LoadError> {
    let log = &partition.log;
    let mut scratch = Scratch::default();
    let mut count = 0;
    // What is missing at the end was compacted away.
    log.walk(log.start_offset(), log.appended_end(), buffer_bytes.max(1), |batch| {
        count += replay_batch(log.start_offset(), batch, &mut scratch, machine)?;
        Ok::<_, LoadError>(())
    })?;
    Ok(count)
}

fn replay_batch<M: Machine>(
    start: Offset,
    batch: &Batch<'_>,
    scratch: &mut Scratch,
    machine: &mut M,
) -> Result<u64, LoadError> {
    let header = *batch.header();
    let is_control = header.attributes.is_control();
    let is_transactional = header.attributes.is_transactional();
    let transaction = is_transactional.then_some((header.producer_id, header.producer_epoch));
    let mut count = 0;
    for record in batch.records(scratch, Budget::default())? {
        let record = record?;
        let Some(key) = record.key.filter(|_| record.offset >= start) else { continue };
        let what = match ControlType::from_key(key).filter(|_| is_control) {
            Some(ControlType::Commit) => What::Marker { is_commit: true },
            Some(ControlType::Abort) => What::Marker { is_commit: false },
            Some(_) => continue,
            None => What::Record { key, value: record.value },
        };
        let offset = record.offset;
        let told = machine.replay(&Logged { offset, transaction, what });
        told.map_err(|why| LoadError::Record { offset, why })?;
        count += 1;
    }
    Ok(count)
}
