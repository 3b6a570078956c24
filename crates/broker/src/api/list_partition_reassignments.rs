//! ListPartitionReassignments: the moves of replicas that are under way, as the image has them.

use std::sync::Arc;

use milena_metadata::image::{Partition, Topic};
use milena_protocol::{
    ErrorCode,
    api::{
        ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
        list_partition_reassignments::response::{
            OngoingPartitionReassignment, OngoingTopicReassignment,
        },
    },
};

use super::{Call, Outcome};
use crate::authorizer::{Operation, Resource};

pub(super) async fn handle(
    call: &Call<'_>,
    request: ListPartitionReassignmentsRequest<'_>,
) -> Outcome {
    if !call.may(Operation::Describe, Resource::Cluster) {
        let error_code = ErrorCode::ClusterAuthorizationFailed as i16;
        let response = ListPartitionReassignmentsResponse { error_code, ..Default::default() };
        return call.answer(&response);
    }
    let image = call.broker().image();
    let mut topics = Vec::new();
    match &request.topics {
        None => topics.extend(image.topics.sorted().into_iter().filter_map(|topic| {
            let all = topic.partitions();
            ongoing(topic, all)
        })),
        Some(wanted) => topics.extend(wanted.iter().filter_map(|wanted| {
            let topic = image.topics.by_name(wanted.name)?;
            let named = wanted.partition_indexes.iter();
            let some = named.filter_map(|index| Some((*index, topic.partition(*index)?)));
            ongoing(topic, some)
        })),
    }
    call.answer(&ListPartitionReassignmentsResponse {
        topics,
        error_message: None,
        ..Default::default()
    })
}

/// The moves among these partitions, if there are any.
fn ongoing<'t, 'p>(
    topic: &'t Arc<Topic>,
    partitions: impl Iterator<Item = (i32, &'p Partition)>,
) -> Option<OngoingTopicReassignment<'t>> {
    let moving = partitions.filter(|(_, partition)| partition.is_reassigning());
    let partitions: Vec<_> = moving
        .map(|(partition_index, partition)| OngoingPartitionReassignment {
            partition_index,
            replicas: partition.replicas.to_vec(),
            adding_replicas: partition.adding_replicas().to_vec(),
            removing_replicas: partition.removing_replicas().to_vec(),
        })
        .collect();
    (!partitions.is_empty()).then(|| OngoingTopicReassignment { name: &topic.name, partitions })
}
