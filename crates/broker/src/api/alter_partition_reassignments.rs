//! AlterPartitionReassignments: the controller moves replicas; here it is asked who may.

use milena_metadata::controller::AlterPartitionReassignments;
use milena_protocol::{
    ErrorCode,
    api::{AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse},
};

use super::{Call, Outcome};
use crate::authorizer::{Operation, Resource};

pub(super) async fn handle(
    call: &Call<'_>,
    request: AlterPartitionReassignmentsRequest<'_>,
) -> Outcome {
    let refuse = |code: ErrorCode| {
        let error_code = code as i16;
        call.answer(&AlterPartitionReassignmentsResponse { error_code, ..Default::default() })
    };
    if !call.may(Operation::Alter, Resource::Cluster) {
        return refuse(ErrorCode::ClusterAuthorizationFailed);
    }
    call.relay::<AlterPartitionReassignments>(&request, refuse).await
}
