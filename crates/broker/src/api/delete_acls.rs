//! DeleteAcls: without an authorizer there are none to delete.

use milena_protocol::api::{
    DeleteAclsRequest, DeleteAclsResponse, delete_acls::response::DeleteAclsFilterResult,
};

use super::{Call, Outcome, acls};
use crate::authorizer::Operation;

pub(super) async fn handle(call: &Call<'_>, request: DeleteAclsRequest<'_>) -> Outcome {
    let (code, message) = acls::refuse(call, Operation::Alter, acls::NO_AUTHORIZER);
    let refused = DeleteAclsFilterResult {
        error_code: code as i16,
        error_message: Some(message),
        ..Default::default()
    };
    let filter_results = request.filters.iter().map(|_| refused.clone()).collect();
    call.answer(&DeleteAclsResponse { filter_results, ..Default::default() })
}
