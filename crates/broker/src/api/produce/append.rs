//! Appends what a Produce brought: memory only, nothing is waited for.

use std::sync::Arc;

use bytes::{Buf, BytesMut};
use milena_protocol::{
    ErrorCode,
    records::{self, RecordError},
};
use milena_storage::{
    AppendError,
    producers::{Origin, Proof},
};

use super::{Fate, Refusal, Terms, TopicItems};
use crate::{error_map::ToCode, network::threads::Worker, partition::Partition};

/// Cuts the batches out of the frame and appends each. They are in the order of the frame.
pub(super) fn append(
    worker: &Worker,
    terms: &Terms,
    frame: &mut BytesMut,
    topics: &mut [TopicItems],
) {
    let mut at = 0;
    for item in topics.iter_mut().flat_map(|topic| &mut topic.items) {
        let batch = if item.records.is_empty() {
            BytesMut::new()
        } else {
            frame.advance(item.records.start - at);
            at = item.records.end;
            frame.split_to(item.records.len())
        };
        if let Ok(partition) = &item.place {
            item.fate = append_one(worker, terms, partition, item.standing.proof(), batch);
        }
    }
}

fn append_one(
    worker: &Worker,
    terms: &Terms,
    partition: &Arc<Partition>,
    proof: Proof<'_>,
    mut batch: BytesMut,
) -> Fate {
    let (epoch, in_sync) = {
        let leader = partition.leader();
        (leader.epoch(), leader.in_sync_count())
    };
    if terms.acks == -1 && in_sync < partition.min_in_sync() {
        return Fate::Refused(ErrorCode::NotEnoughReplicas.into());
    }
    let log = &partition.log;
    let mut scratch = worker.scratch.borrow_mut();
    let origin = records::Origin::Client;
    let validated = match log.prepare(&mut batch, terms.version, origin, &mut scratch) {
        Ok(validated) => validated,
        Err(error) => return refused_records(&error),
    };
    let append_time_ms = if log.config().log_append_time { validated.max_timestamp } else { -1 };
    match log.append_proven(batch, &validated, epoch, Origin::Client, proof) {
        Ok(appended) => {
            Fate::Appended { base_offset: appended.base_offset, end: appended.end, append_time_ms }
        }
        Err(error) => {
            if let AppendError::Storage(error) = &error {
                tracing::debug!(partition = %log.name(), %error, "not appended");
            }
            let is_from_log = matches!(error, AppendError::Sequence(_));
            let message = Some(error.to_string().into());
            Fate::Refused(Refusal { message, is_from_log, ..error.code().into() })
        }
    }
}

fn refused_records(error: &RecordError) -> Fate {
    let records = match error {
        RecordError::Rejected(rejected) => {
            let reason = |r: &records::RejectedRecord| (r.index, r.reason.to_string().into());
            rejected.records.iter().map(reason).collect()
        }
        _ => Vec::new(),
    };
    // What is wrong with the batch as a whole is seen before the log is asked.
    let is_from_log = !matches!(
        error,
        RecordError::Length(_)
            | RecordError::Magic(_)
            | RecordError::Crc { .. }
            | RecordError::NoBatch { .. }
            | RecordError::BytesBehindBatch(_)
            | RecordError::OldMagic(_)
            | RecordError::TooLarge { .. }
            | RecordError::ZstdTooEarly
    );
    let message = Some(error.to_string().into());
    Fate::Refused(Refusal { message, records, is_from_log, ..error.code().into() })
}
