//! DeleteAcls: without an authorizer there are none to delete.

use milena_protocol::{
    ErrorCode,
    api::{DeleteAclsRequest, DeleteAclsResponse, delete_acls::response::DeleteAclsFilterResult},
};

use super::{Call, Outcome};
use crate::authorizer::{NO_AUTHORIZER, Operation, Resource};

pub(super) async fn handle(call: &Call<'_>, request: DeleteAclsRequest<'_>) -> Outcome {
    let (code, message) = if call.may(Operation::Alter, Resource::Cluster) {
        (ErrorCode::SecurityDisabled, NO_AUTHORIZER)
    } else {
        let code = ErrorCode::ClusterAuthorizationFailed;
        (code, code.message())
    };
    let refused = DeleteAclsFilterResult {
        error_code: code as i16,
        error_message: Some(message),
        ..Default::default()
    };
    let filter_results = request.filters.iter().map(|_| refused.clone()).collect();
    call.answer(&DeleteAclsResponse { filter_results, ..Default::default() })
}
