//! CreateDelegationToken: nobody has proven who they are, so nobody gets a token.

use milena_protocol::{
    ErrorCode,
    api::{CreateDelegationTokenRequest, CreateDelegationTokenResponse},
};

use super::{Call, Outcome};
use crate::authorizer::{ANONYMOUS, USER};

pub(super) async fn handle(call: &Call<'_>, _: CreateDelegationTokenRequest<'_>) -> Outcome {
    call.answer(&CreateDelegationTokenResponse {
        error_code: ErrorCode::DelegationTokenRequestNotAllowed as i16,
        principal_type: USER,
        principal_name: ANONYMOUS,
        token_requester_principal_type: USER,
        token_requester_principal_name: ANONYMOUS,
        issue_timestamp_ms: -1,
        expiry_timestamp_ms: -1,
        max_timestamp_ms: -1,
        ..Default::default()
    })
}
