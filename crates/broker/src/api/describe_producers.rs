//! DescribeProducers: who writes to a partition, and whose transaction is open there.

use milena_protocol::{
    ErrorCode,
    api::{
        DescribeProducersRequest, DescribeProducersResponse,
        describe_producers::response::{PartitionResponse, ProducerState, TopicResponse},
    },
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    partition::Partition,
};

pub(super) async fn handle(call: &Call<'_>, request: DescribeProducersRequest<'_>) -> Outcome {
    let mut topics = Vec::with_capacity(request.topics.len());
    for asked in &request.topics {
        let known = call.broker().partitions.by_name(asked.name);
        let of_topic = if !call.may(Operation::Read, Resource::Topic(asked.name)) {
            Some(ErrorCode::TopicAuthorizationFailed)
        } else if known.is_none() {
            Some(ErrorCode::UnknownTopicOrPartition)
        } else {
            None
        };
        let answer = |index: &i32| {
            let partition = known.as_ref().and_then(|topic| topic.partition(*index));
            let partition_index = *index;
            match (of_topic, partition) {
                (Some(code), _) => PartitionResponse {
                    partition_index,
                    error_code: code as i16,
                    error_message: Some(code.message()),
                    ..Default::default()
                },
                (None, None) => PartitionResponse {
                    partition_index,
                    error_code: ErrorCode::UnknownTopicOrPartition as i16,
                    ..Default::default()
                },
                (None, Some(partition)) => PartitionResponse {
                    partition_index,
                    active_producers: producers_of(partition),
                    ..Default::default()
                },
            }
        };
        topics.push(TopicResponse {
            name: asked.name,
            partitions: asked.partition_indexes.iter().map(answer).collect(),
        });
    }
    call.answer(&DescribeProducersResponse { topics, ..Default::default() })
}

fn producers_of(partition: &Partition) -> Vec<ProducerState> {
    partition.log.with_producers(|producers| {
        let state = producers.iter().map(|(id, entry)| ProducerState {
            producer_id: id.0,
            producer_epoch: entry.epoch.0.into(),
            last_sequence: entry.last_batch().map_or(-1, |batch| batch.last_sequence),
            last_timestamp: entry.last_timestamp,
            coordinator_epoch: entry.coordinator_epoch,
            current_txn_start_offset: entry.open_transaction.map_or(-1, |offset| offset.0),
        });
        state.collect()
    })
}
