//! ListOffsets: where a partition begins and ends, and where a time lies in it.

use std::collections::BTreeMap;

use milena_protocol::{
    ErrorCode, Offset,
    api::{
        ListOffsetsRequest, ListOffsetsResponse,
        list_offsets::{
            request::ListOffsetsPartition,
            response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
        },
    },
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    error_map::ToCode,
    partition::{EpochCheck, Partition, table::Topic},
};

/// What a request asks for instead of a time.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// Since which version each may be asked for; all others of their kind mean nothing.
fn is_understood(version: i16, timestamp: i64) -> bool {
    match timestamp {
        EARLIEST.. => true,
        MAX_TIMESTAMP => version >= 7,
        EARLIEST_LOCAL => version >= 8,
        LATEST_TIERED => version >= 9,
        EARLIEST_PENDING_UPLOAD => version >= 11,
        _ => false,
    }
}

const READ_COMMITTED: i8 = 1;
/// Who asks as a replica sees the end of the log; -2 is a tool that wants the same.
const CONSUMER: i32 = -1;

/// A place in the log, with the time and leader epoch of what lies there.
struct Found {
    timestamp: i64,
    offset: i64,
    epoch: i32,
}

impl Found {
    const NOTHING: Self = Self { timestamp: -1, offset: -1, epoch: -1 };
}

pub(super) async fn handle(call: &Call<'_>, request: ListOffsetsRequest<'_>) -> Outcome {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let may = call.may(Operation::Describe, Resource::Topic(topic.name));
        let known = call.broker().partitions.by_name(topic.name);
        let mut seen = BTreeMap::new();
        for wanted in &topic.partitions {
            *seen.entry(wanted.partition_index).or_insert(0) += 1;
        }
        let answer = |wanted: &ListOffsetsPartition| {
            // Which of two questions an answer belongs to, nobody could say.
            let count = seen.remove(&wanted.partition_index)?;
            let found = Topic::find(known.as_deref(), wanted.partition_index);
            let found = match found {
                _ if !may => Err(ErrorCode::TopicAuthorizationFailed),
                _ if count > 1 => Err(ErrorCode::InvalidRequest),
                _ if !is_understood(call.version, wanted.timestamp) => {
                    Err(ErrorCode::UnsupportedVersion)
                }
                Err(absent) => Err(absent.code()),
                Ok(partition) => match partition.check_epoch(wanted.current_leader_epoch) {
                    EpochCheck::Current => find(partition, &request, wanted.timestamp),
                    other => Err(other.code()),
                },
            };
            Some(respond(wanted.partition_index, found))
        };
        topics.push(ListOffsetsTopicResponse {
            name: topic.name,
            partitions: topic.partitions.iter().filter_map(answer).collect(),
            ..Default::default()
        });
    }
    call.answer(&ListOffsetsResponse { topics, ..Default::default() })
}

fn respond(index: i32, found: Result<Found, ErrorCode>) -> ListOffsetsPartitionResponse {
    let code = found.as_ref().err().copied().unwrap_or(ErrorCode::None);
    let Found { timestamp, offset, epoch } = found.unwrap_or(Found::NOTHING);
    ListOffsetsPartitionResponse {
        partition_index: index,
        error_code: code as i16,
        timestamp,
        offset,
        leader_epoch: epoch,
        ..Default::default()
    }
}

fn find(
    partition: &Partition,
    request: &ListOffsetsRequest<'_>,
    timestamp: i64,
) -> Result<Found, ErrorCode> {
    let log = &partition.log;
    let bound = if request.replica_id != CONSUMER {
        log.appended_end()
    } else if request.isolation_level == READ_COMMITTED {
        partition.last_stable_offset()
    } else {
        partition.high_watermark()
    };
    let at = |offset: Offset| {
        let epoch = log.epoch_for_offset(offset).map_or(-1, |epoch| epoch.0);
        Found { timestamp: -1, offset: offset.0, epoch }
    };
    let found = match timestamp {
        LATEST => {
            return Ok(Found { epoch: partition.leader_epoch().0, ..at(bound) });
        }
        EARLIEST => return Ok(at(log.start_offset())),
        EARLIEST_LOCAL => return Ok(at(log.local_start_offset())),
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => return Ok(Found::NOTHING),
        MAX_TIMESTAMP => log.max_timestamp(bound),
        _ => log.offset_for_timestamp(timestamp, bound),
    };
    match found {
        Ok(None) => Ok(Found::NOTHING),
        Ok(Some(record)) => Ok(Found {
            timestamp: record.timestamp,
            offset: record.offset.0,
            epoch: record.epoch.0,
        }),
        Err(error) => Err(error.code()),
    }
}
