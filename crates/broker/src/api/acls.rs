//! Why access rules are neither kept nor shown; shared by the APIs about them.

use milena_protocol::ErrorCode;

use super::Call;
use crate::authorizer::{Operation, Resource};

/// Kafka's words where its controller is asked.
pub(super) const NO_AUTHORIZER: &str = "No Authorizer is configured.";
/// Kafka's words where its broker is asked.
pub(super) const NO_AUTHORIZER_OF_BROKER: &str = "No Authorizer is configured on the broker";

/// Nobody looks at rules here, which is told to those who might change or see them.
pub(super) fn refuse(
    call: &Call<'_>,
    operation: Operation,
    disabled: &'static str,
) -> (ErrorCode, &'static str) {
    if call.may(operation, Resource::Cluster) {
        return (ErrorCode::SecurityDisabled, disabled);
    }
    let code = ErrorCode::ClusterAuthorizationFailed;
    (code, code.message())
}
