//! DescribeAcls: without an authorizer there are none to describe.

use milena_protocol::{
    ErrorCode,
    api::{DescribeAclsRequest, DescribeAclsResponse},
};

use super::{Call, Outcome};
use crate::authorizer::{Operation, Resource};

pub(super) async fn handle(call: &Call<'_>, _: DescribeAclsRequest<'_>) -> Outcome {
    let (code, message) = if call.may(Operation::Describe, Resource::Cluster) {
        (ErrorCode::SecurityDisabled, "No Authorizer is configured on the broker")
    } else {
        let code = ErrorCode::ClusterAuthorizationFailed;
        (code, code.message())
    };
    call.answer(&DescribeAclsResponse {
        error_code: code as i16,
        error_message: Some(message),
        ..Default::default()
    })
}
