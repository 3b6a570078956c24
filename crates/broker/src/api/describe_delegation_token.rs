//! DescribeDelegationToken: nobody has proven who they are, so nobody sees a token.

use milena_protocol::{
    ErrorCode,
    api::{DescribeDelegationTokenRequest, DescribeDelegationTokenResponse},
};

use super::{Call, Outcome};

pub(super) async fn handle(call: &Call<'_>, _: DescribeDelegationTokenRequest<'_>) -> Outcome {
    let error_code = ErrorCode::DelegationTokenRequestNotAllowed as i16;
    call.answer(&DescribeDelegationTokenResponse { error_code, ..Default::default() })
}
