//! RemoveRaftVoter: this cluster's voters are those of its configuration, and the answer says so.

use milena_protocol::{
    ErrorCode,
    api::{RemoveRaftVoterRequest, RemoveRaftVoterResponse},
};

use super::{Call, Outcome};
use crate::authorizer::{Operation, Resource};

pub(super) async fn handle(call: &Call<'_>, request: RemoveRaftVoterRequest<'_>) -> Outcome {
    let is_other_cluster = request.cluster_id.is_some_and(|id| id != call.broker().cluster_id);
    let (code, message) = if !call.may(Operation::Alter, Resource::Cluster) {
        (ErrorCode::ClusterAuthorizationFailed, None)
    } else if is_other_cluster {
        (ErrorCode::InconsistentClusterId, None)
    } else {
        let why = "the voters of this cluster are those of its configuration";
        (ErrorCode::UnsupportedVersion, Some(why))
    };
    call.answer(&RemoveRaftVoterResponse {
        error_code: code as i16,
        error_message: message,
        ..Default::default()
    })
}
