//! DeleteRecords: everything below an offset goes, at once for readers and later on disk.

use milena_protocol::{
    ErrorCode, Offset,
    api::{
        DeleteRecordsRequest, DeleteRecordsResponse,
        delete_records::{
            request::DeleteRecordsPartition,
            response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult},
        },
    },
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    partition::Partition,
    topics,
};

/// What a request says for everything that consumers can see.
const HIGH_WATERMARK: i64 = -1;
/// Where the log starts is not told.
const NO_LOW_WATERMARK: i64 = -1;

pub(super) async fn handle(call: &Call<'_>, request: DeleteRecordsRequest<'_>) -> Outcome {
    let mut results = Vec::with_capacity(request.topics.len());
    for asked in &request.topics {
        let may = call.may(Operation::Delete, Resource::Topic(asked.name));
        let known = call.broker().partitions.by_name(asked.name);
        let answer = |wanted: &DeleteRecordsPartition| {
            let partition = known.as_ref().and_then(|it| it.partition(wanted.partition_index));
            let deleted = match partition {
                _ if !may => Err(ErrorCode::TopicAuthorizationFailed),
                None => Err(ErrorCode::UnknownTopicOrPartition),
                Some(_) if topics::is_internal(asked.name) => Err(ErrorCode::InvalidTopicException),
                Some(partition) => delete_below(partition, wanted.offset),
            };
            let code = deleted.as_ref().err().copied().unwrap_or(ErrorCode::None);
            DeleteRecordsPartitionResult {
                partition_index: wanted.partition_index,
                low_watermark: deleted.unwrap_or(NO_LOW_WATERMARK),
                error_code: code as i16,
            }
        };
        results.push(DeleteRecordsTopicResult {
            name: asked.name,
            partitions: asked.partitions.iter().map(answer).collect(),
        });
    }
    call.answer(&DeleteRecordsResponse { topics: results, ..Default::default() })
}

/// Says where the log starts now.
fn delete_below(partition: &Partition, offset: i64) -> Result<i64, ErrorCode> {
    let log = &partition.log;
    if log.is_offline() {
        return Err(ErrorCode::KafkaStorageError);
    }
    {
        let config = log.config();
        if config.compact && !config.delete {
            return Err(ErrorCode::PolicyViolation);
        }
    }
    let high_watermark = partition.high_watermark();
    let below = if offset == HIGH_WATERMARK { high_watermark } else { Offset(offset) };
    if below < Offset(0) || below > high_watermark {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    Ok(log.delete_records(below).0)
}
