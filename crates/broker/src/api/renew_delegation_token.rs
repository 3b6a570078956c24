//! RenewDelegationToken: nobody has proven who they are, so nobody has a token.

use milena_protocol::{
    ErrorCode,
    api::{RenewDelegationTokenRequest, RenewDelegationTokenResponse},
};

use super::{Call, Outcome};

pub(super) async fn handle(call: &Call<'_>, _: RenewDelegationTokenRequest<'_>) -> Outcome {
    call.answer(&RenewDelegationTokenResponse {
        error_code: ErrorCode::DelegationTokenRequestNotAllowed as i16,
        expiry_timestamp_ms: -1,
        ..Default::default()
    })
}
