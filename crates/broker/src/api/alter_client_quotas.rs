//! AlterClientQuotas: sets what clients may use. The controller keeps it; here it is asked who may.

use milena_metadata::controller::AlterClientQuotas;
use milena_protocol::{
    ErrorCode,
    api::{
        AlterClientQuotasRequest, AlterClientQuotasResponse,
        alter_client_quotas::response::{EntityData, EntryData},
    },
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    error_map::ToCode,
};

pub(super) async fn handle(call: &Call<'_>, request: AlterClientQuotasRequest<'_>) -> Outcome {
    if !call.may(Operation::AlterConfigs, Resource::Cluster) {
        return refuse(call, &request, ErrorCode::ClusterAuthorizationFailed);
    }
    match call.broker().metadata.call::<AlterClientQuotas>(&request).await {
        Ok(answer) => match answer.message() {
            Ok(response) => call.answer(&response),
            Err(error) => Outcome::close(&error),
        },
        Err(error) => refuse(call, &request, error.code()),
    }
}

fn refuse(call: &Call<'_>, request: &AlterClientQuotasRequest<'_>, code: ErrorCode) -> Outcome {
    let entries = request.entries.iter().map(|entry| EntryData {
        error_code: code as i16,
        error_message: Some(code.message()),
        entity: entry
            .entity
            .iter()
            .map(|it| EntityData { entity_type: it.entity_type, entity_name: it.entity_name })
            .collect(),
    });
    call.answer(&AlterClientQuotasResponse { entries: entries.collect(), ..Default::default() })
}
