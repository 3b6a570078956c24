//! DescribeAcls: without an authorizer there are none to describe.

use milena_protocol::api::{DescribeAclsRequest, DescribeAclsResponse};

use super::{Call, Outcome, acls};
use crate::authorizer::Operation;

pub(super) async fn handle(call: &Call<'_>, _: DescribeAclsRequest<'_>) -> Outcome {
    let (code, message) = acls::refuse(call, Operation::Describe, acls::NO_AUTHORIZER_OF_BROKER);
    call.answer(&DescribeAclsResponse {
        error_code: code as i16,
        error_message: Some(message),
        ..Default::default()
    })
}
