//! ElectLeaders: the controller elects; here it is asked who may.

use milena_metadata::controller::ElectLeaders;
use milena_protocol::{
    ErrorCode,
    api::{
        ElectLeadersRequest, ElectLeadersResponse,
        elect_leaders::response::{PartitionResult, ReplicaElectionResult},
    },
};

use super::{Call, Outcome};
use crate::authorizer::{Operation, Resource};

pub(super) async fn handle(call: &Call<'_>, request: ElectLeadersRequest<'_>) -> Outcome {
    if !call.may(Operation::Alter, Resource::Cluster) {
        return refuse(call, &request, ErrorCode::ClusterAuthorizationFailed);
    }
    call.relay::<ElectLeaders>(&request, |code| refuse(call, &request, code)).await
}

/// Says it partition by partition as well: the first version has no other place for it.
fn refuse(call: &Call<'_>, request: &ElectLeadersRequest<'_>, code: ErrorCode) -> Outcome {
    let partition = |id: &i32| PartitionResult {
        partition_id: *id,
        error_code: code as i16,
        error_message: Some(code.message()),
    };
    let results = request.topic_partitions.iter().flatten().map(|topic| ReplicaElectionResult {
        topic: topic.topic,
        partition_result: topic.partitions.iter().map(partition).collect(),
    });
    call.answer(&ElectLeadersResponse {
        error_code: if call.version == 0 { 0 } else { code as i16 },
        replica_election_results: results.collect(),
        ..Default::default()
    })
}
