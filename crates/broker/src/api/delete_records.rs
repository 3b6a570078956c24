//! DeleteRecords: everything below an offset goes, at once for readers and later on disk.

use std::time::Duration;

use milena_env::timer;
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
    error_map::ToCode,
    partition::{Partition, table::Topic},
    topics,
};

/// What a request says for everything that consumers can see.
const HIGH_WATERMARK: i64 = -1;
/// Not an error of Kafka's: whether it is one shows when the journal has the deletion.
const UNSETTLED: i16 = i16::MIN;
/// Where the log starts is not told.
const NO_LOW_WATERMARK: i64 = -1;

pub(super) async fn handle(call: &Call<'_>, request: DeleteRecordsRequest<'_>) -> Outcome {
    let mut results = Vec::with_capacity(request.topics.len());
    for asked in &request.topics {
        let may = call.may(Operation::Delete, Resource::Topic(asked.name));
        let known = call.broker().partitions.by_name(asked.name);
        let answer = |wanted: &DeleteRecordsPartition| {
            let partition = Topic::find(known.as_deref(), wanted.partition_index);
            let deleted = match partition {
                _ if !may => Err(ErrorCode::TopicAuthorizationFailed),
                Err(absent) => Err(absent.code()),
                Ok(_) if topics::is_internal(asked.name) => Err(ErrorCode::InvalidTopicException),
                Ok(partition) => delete_below(partition, wanted.offset),
            };
            match deleted {
                Err(code) => refusal(wanted.partition_index, code),
                Ok(low_watermark) => DeleteRecordsPartitionResult {
                    partition_index: wanted.partition_index,
                    low_watermark,
                    error_code: UNSETTLED,
                },
            }
        };
        results.push(DeleteRecordsTopicResult {
            name: asked.name,
            partitions: asked.partitions.iter().map(answer).collect(),
        });
    }
    // All are on their way before any is waited for.
    let timeout = Duration::from_millis(request.timeout_ms.max(0).unsigned_abs().into());
    timer::timeout(timeout, settle(call, &mut results)).await;
    for result in results.iter_mut().flat_map(|topic| &mut topic.partitions) {
        if result.error_code == UNSETTLED {
            *result = refusal(result.partition_index, ErrorCode::RequestTimedOut);
        }
    }
    call.answer(&DeleteRecordsResponse { topics: results, ..Default::default() })
}

fn refusal(partition_index: i32, code: ErrorCode) -> DeleteRecordsPartitionResult {
    let error_code = code as i16;
    DeleteRecordsPartitionResult { partition_index, low_watermark: NO_LOW_WATERMARK, error_code }
}

/// Waits until the journal has every deletion: what is answered does not come back.
async fn settle(call: &Call<'_>, results: &mut [DeleteRecordsTopicResult<'_>]) {
    for topic in results {
        let known = call.broker().partitions.by_name(topic.name);
        let unsettled = topic.partitions.iter_mut().filter(|it| it.error_code == UNSETTLED);
        for result in unsettled {
            let index = result.partition_index;
            let partition = known.as_ref().and_then(|known| known.partition(index));
            let is_settled = match partition {
                Some(partition) => partition.log.wait_deleted(Offset(result.low_watermark)).await,
                None => false,
            };
            if is_settled {
                result.error_code = ErrorCode::None as i16;
            } else {
                *result = refusal(index, ErrorCode::KafkaStorageError);
            }
        }
    }
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
