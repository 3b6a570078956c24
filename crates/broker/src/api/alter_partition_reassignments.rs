//! AlterPartitionReassignments: the controller moves replicas; here it is asked who may.

use milena_metadata::controller::AlterPartitionReassignments;
use milena_protocol::{
    ErrorCode,
    api::{AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse},
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    error_map::ToCode,
};

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
    let answer = call.broker().metadata.call::<AlterPartitionReassignments>(&request).await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return refuse(error.code()),
    };
    match answer.message() {
        Ok(response) => call.answer(&response),
        Err(error) => Outcome::close(&error),
    }
}
