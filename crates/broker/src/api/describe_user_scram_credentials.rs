//! DescribeUserScramCredentials: who can log in by which mechanism, and no secret.

use milena_metadata::controller::describe_user_scram_credentials;
use milena_protocol::{
    ErrorCode,
    api::{DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse},
};

use super::{Call, Outcome};
use crate::authorizer::{Operation, Resource};

pub(super) async fn handle(
    call: &Call<'_>,
    request: DescribeUserScramCredentialsRequest<'_>,
) -> Outcome {
    if !call.may(Operation::Describe, Resource::Cluster) {
        let code = ErrorCode::ClusterAuthorizationFailed;
        return call.answer(&DescribeUserScramCredentialsResponse {
            error_code: code as i16,
            error_message: Some(code.message()),
            ..Default::default()
        });
    }
    let image = call.broker().image();
    describe_user_scram_credentials(&image, &request, |response| call.answer(response))
}
