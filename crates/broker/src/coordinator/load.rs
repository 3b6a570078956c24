//! Replays the log of an internal topic's partition into a new core.

use milena_protocol::records::{Batches, Budget, ControlType, Scratch};
use milena_storage::Limit;

use super::{Logged, Machine, What};
use crate::partition::Partition;

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
            tracing::error!(partition = %log.name(), error, "a coordinator's log cannot be read");
            None
        }
    }
}

fn replay<M: Machine>(
    partition: &Partition,
    buffer_bytes: usize,
    machine: &mut M,
) -> Result<u64, String> {
    let log = &partition.log;
    let (mut at, end) = (log.start_offset(), log.appended_end());
    let mut scratch = Scratch::default();
    let mut count = 0;
    while at < end {
        let limit = Limit { bytes_max: buffer_bytes.max(1), at_least_one: true };
        let plan = log.read(at, end, limit).map_err(|error| error.to_string())?;
        let bytes = plan.read().map_err(|error| error.to_string())?;
        let mut next = at;
        for batch in Batches::new(&bytes) {
            let header = *batch.header();
            let is_control = header.attributes.is_control();
            let transaction = header
                .attributes
                .is_transactional()
                .then_some((header.producer_id, header.producer_epoch));
            let records = batch.records(&mut scratch, Budget::default());
            for record in records.map_err(|error| error.to_string())? {
                let record = record.map_err(|error| error.to_string())?;
                if record.offset < at {
                    continue;
                }
                let Some(key) = record.key else { continue };
                let what = match ControlType::from_key(key).filter(|_| is_control) {
                    Some(ControlType::Commit) => What::Marker { is_commit: true },
                    Some(ControlType::Abort) => What::Marker { is_commit: false },
                    Some(_) => continue,
                    None => What::Record { key, value: record.value },
                };
                let logged = Logged { offset: record.offset, transaction, what };
                let told = machine.replay(&logged);
                told.map_err(|error| format!("offset {}: {error}", record.offset))?;
                count += 1;
            }
            next = header.next_offset();
        }
        if next == at {
            // Whatever was left of these offsets was compacted away.
            break;
        }
        at = next;
    }
    Ok(count)
}
