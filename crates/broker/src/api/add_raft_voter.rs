//! AddRaftVoter: this cluster's voters are those of its configuration, and the answer says so.

use milena_protocol::api::{AddRaftVoterRequest, AddRaftVoterResponse};

use super::{Call, Outcome, raft_voters};

pub(super) async fn handle(call: &Call<'_>, request: AddRaftVoterRequest<'_>) -> Outcome {
    let (code, error_message) = raft_voters::refuse(call, request.cluster_id);
    let error_code = code as i16;
    call.answer(&AddRaftVoterResponse { error_code, error_message, ..Default::default() })
}
