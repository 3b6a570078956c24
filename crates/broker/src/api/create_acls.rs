//! CreateAcls: without an authorizer nobody would ask them.

use milena_protocol::api::{
    CreateAclsRequest, CreateAclsResponse, create_acls::response::AclCreationResult,
};

use super::{Call, Outcome, acls};
use crate::authorizer::Operation;

pub(super) async fn handle(call: &Call<'_>, request: CreateAclsRequest<'_>) -> Outcome {
    let (code, message) = acls::refuse(call, Operation::Alter, acls::NO_AUTHORIZER);
    let refused = AclCreationResult { error_code: code as i16, error_message: Some(message) };
    let results = request.creations.iter().map(|_| refused.clone()).collect();
    call.answer(&CreateAclsResponse { results, ..Default::default() })
}
