//! CreateAcls: without an authorizer nobody would ask them.

use milena_protocol::{
    ErrorCode,
    api::{CreateAclsRequest, CreateAclsResponse, create_acls::response::AclCreationResult},
};

use super::{Call, Outcome};
use crate::authorizer::{NO_AUTHORIZER, Operation, Resource};

pub(super) async fn handle(call: &Call<'_>, request: CreateAclsRequest<'_>) -> Outcome {
    let (code, message) = if call.may(Operation::Alter, Resource::Cluster) {
        (ErrorCode::SecurityDisabled, NO_AUTHORIZER)
    } else {
        let code = ErrorCode::ClusterAuthorizationFailed;
        (code, code.message())
    };
    let refused = AclCreationResult { error_code: code as i16, error_message: Some(message) };
    let results = request.creations.iter().map(|_| refused.clone()).collect();
    call.answer(&CreateAclsResponse { results, ..Default::default() })
}
