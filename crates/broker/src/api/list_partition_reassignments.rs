//! ListPartitionReassignments: the moves of replicas that are under way, as the image has them.

use milena_metadata::controller::list_partition_reassignments;
use milena_protocol::{
    ErrorCode,
    api::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse},
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
    call.answer(&list_partition_reassignments(&call.broker().image(), &request))
}
