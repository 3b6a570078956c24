//! AlterUserScramCredentials: the controller keeps them; here it is asked who may.

use std::collections::BTreeSet;

use milena_metadata::controller::AlterUserScramCredentials;
use milena_protocol::{
    ErrorCode,
    api::{
        AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse,
        alter_user_scram_credentials::response::AlterUserScramCredentialsResult,
    },
};

use super::{Call, Outcome};
use crate::authorizer::{Operation, Resource};

pub(super) async fn handle(
    call: &Call<'_>,
    request: AlterUserScramCredentialsRequest<'_>,
) -> Outcome {
    if !call.may(Operation::Alter, Resource::Cluster) {
        return refuse(call, &request, ErrorCode::ClusterAuthorizationFailed);
    }
    call.relay::<AlterUserScramCredentials>(&request, |code| refuse(call, &request, code)).await
}

fn refuse(
    call: &Call<'_>,
    request: &AlterUserScramCredentialsRequest<'_>,
    code: ErrorCode,
) -> Outcome {
    let deletions = request.deletions.iter().map(|it| it.name);
    let users: BTreeSet<&str> =
        deletions.chain(request.upsertions.iter().map(|it| it.name)).collect();
    let results = users.into_iter().map(|user| AlterUserScramCredentialsResult {
        user,
        error_code: code as i16,
        error_message: Some(code.message()),
    });
    call.answer(&AlterUserScramCredentialsResponse {
        results: results.collect(),
        ..Default::default()
    })
}
