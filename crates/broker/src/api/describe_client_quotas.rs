//! DescribeClientQuotas: what clients may use, as far as somebody has set it.

use milena_metadata::controller::describe_client_quotas;
use milena_protocol::{
    ErrorCode,
    api::{DescribeClientQuotasRequest, DescribeClientQuotasResponse},
};

use super::{Call, Outcome};
use crate::authorizer::{Operation, Resource};

pub(super) async fn handle(call: &Call<'_>, request: DescribeClientQuotasRequest<'_>) -> Outcome {
    let refuse = |code: ErrorCode, message: &str| {
        call.answer(&DescribeClientQuotasResponse {
            error_code: code as i16,
            error_message: Some(message),
            entries: None,
            ..Default::default()
        })
    };
    if !call.may(Operation::DescribeConfigs, Resource::Cluster) {
        let code = ErrorCode::ClusterAuthorizationFailed;
        return refuse(code, code.message());
    }
    let image = call.broker().image();
    match describe_client_quotas(&image, &request) {
        Ok(response) => call.answer(&response),
        Err(error) => refuse(error.code, &error.message),
    }
}
