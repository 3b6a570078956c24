//! IncrementalAlterConfigs: changes some settings and leaves the others. The controller judges and
//! keeps them; here it is asked who may.

use milena_metadata::controller::IncrementalAlterConfigs;
use milena_protocol::{
    ErrorCode,
    api::{
        IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
        incremental_alter_configs::{
            request::AlterConfigsResource, response::AlterConfigsResourceResponse,
        },
    },
};

use super::{Call, Outcome, configs};
use crate::error_map::ToCode;

pub(super) async fn handle(
    call: &Call<'_>,
    mut request: IncrementalAlterConfigsRequest<'_>,
) -> Outcome {
    let (mut allowed, mut responses) = (Vec::new(), Vec::new());
    for resource in std::mem::take(&mut request.resources) {
        match configs::refuse(call, resource.resource_type, resource.resource_name) {
            None => allowed.push(resource),
            Some((code, message)) => responses.push(refusal(&resource, code, message)),
        }
    }
    request.resources = allowed;
    let answer = match call.broker().metadata.call::<IncrementalAlterConfigs>(&request).await {
        Ok(answer) => answer,
        Err(error) => {
            let code = error.code();
            responses.extend(request.resources.iter().map(|it| refusal(it, code, code.message())));
            let response = IncrementalAlterConfigsResponse { responses, ..Default::default() };
            return call.answer(&response);
        }
    };
    match answer.message() {
        Ok(mut response) => {
            response.responses.append(&mut responses);
            call.answer(&response)
        }
        Err(error) => Outcome::close(&error),
    }
}

fn refusal<'a>(
    resource: &AlterConfigsResource<'a>,
    code: ErrorCode,
    message: &'static str,
) -> AlterConfigsResourceResponse<'a> {
    AlterConfigsResourceResponse {
        error_code: code as i16,
        error_message: Some(message),
        resource_type: resource.resource_type,
        resource_name: resource.resource_name,
    }
}
