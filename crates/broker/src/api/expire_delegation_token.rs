//! ExpireDelegationToken: nobody has proven who they are, so nobody has a token.

use milena_protocol::{
    ErrorCode,
    api::{ExpireDelegationTokenRequest, ExpireDelegationTokenResponse},
};

use super::{Call, Outcome};

pub(super) async fn handle(call: &Call<'_>, _: ExpireDelegationTokenRequest<'_>) -> Outcome {
    call.answer(&ExpireDelegationTokenResponse {
        error_code: ErrorCode::DelegationTokenRequestNotAllowed as i16,
        expiry_timestamp_ms: -1,
        ..Default::default()
    })
}
