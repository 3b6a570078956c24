//! OffsetForLeaderEpoch: where an epoch ended, so that a reader finds out where its log and the
//! leader's part.

use milena_protocol::{
    ErrorCode, LeaderEpoch,
    api::{
        OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
        offset_for_leader_epoch::{
            request::OffsetForLeaderPartition,
            response::{EpochEndOffset, OffsetForLeaderTopicResult},
        },
    },
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    error_map::ToCode,
    partition::{EpochCheck, Partition, table::Topic},
};

/// No epoch, and no offset.
const UNDEFINED: i32 = -1;

pub(super) async fn handle(call: &Call<'_>, request: OffsetForLeaderEpochRequest<'_>) -> Outcome {
    // Brokers may ask about every topic.
    let is_broker = call.may(Operation::ClusterAction, Resource::Cluster);
    let mut topics = Vec::with_capacity(request.topics.len());
    for asked in &request.topics {
        let may = is_broker || call.may(Operation::Describe, Resource::Topic(asked.topic));
        let known = call.broker().partitions.by_name(asked.topic);
        let answer = |wanted: &OffsetForLeaderPartition| {
            let partition = Topic::find(known.as_deref(), wanted.partition);
            let found = match partition {
                _ if !may => Err(ErrorCode::TopicAuthorizationFailed),
                Err(absent) => Err(absent.code()),
                Ok(partition) => end_of_epoch(partition, wanted),
            };
            let code = found.as_ref().err().copied().unwrap_or(ErrorCode::None);
            let (leader_epoch, end_offset) = found.unwrap_or((UNDEFINED, UNDEFINED.into()));
            EpochEndOffset {
                error_code: code as i16,
                partition: wanted.partition,
                leader_epoch,
                end_offset,
            }
        };
        topics.push(OffsetForLeaderTopicResult {
            topic: asked.topic,
            partitions: asked.partitions.iter().map(answer).collect(),
        });
    }
    call.answer(&OffsetForLeaderEpochResponse { topics, ..Default::default() })
}

fn end_of_epoch(
    partition: &Partition,
    wanted: &OffsetForLeaderPartition,
) -> Result<(i32, i64), ErrorCode> {
    if partition.log.is_offline() {
        return Err(ErrorCode::KafkaStorageError);
    }
    match partition.check_epoch(wanted.current_leader_epoch) {
        EpochCheck::Current => {}
        other => return Err(other.code()),
    }
    let ended = partition.log.end_offset_for(LeaderEpoch(wanted.leader_epoch));
    let undefined = (UNDEFINED, UNDEFINED.into());
    Ok(ended.map_or(undefined, |(epoch, offset)| (epoch.0, offset.0)))
}
