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
use crate::authorizer::{Operation, Resource};

pub(super) async fn handle(call: &Call<'_>, request: AlterClientQuotasRequest<'_>) -> Outcome {
    if !call.may(Operation::AlterConfigs, Resource::Cluster) {
        return refuse(call, &request, ErrorCode::ClusterAuthorizationFailed);
    }
    call.relay::<AlterClientQuotas>(&request, |code| refuse(call, &request, code)).await
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
