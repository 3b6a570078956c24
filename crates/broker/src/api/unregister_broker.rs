//! UnregisterBroker: the controller forgets a broker; here it is asked who may.

use milena_metadata::controller::UnregisterBroker;
use milena_protocol::{
    ErrorCode,
    api::{UnregisterBrokerRequest, UnregisterBrokerResponse},
};

use super::{Call, Outcome};
use crate::authorizer::{Operation, Resource};

pub(super) async fn handle(call: &Call<'_>, request: UnregisterBrokerRequest) -> Outcome {
    let refuse = |code: ErrorCode| {
        call.answer(&UnregisterBrokerResponse { error_code: code as i16, ..Default::default() })
    };
    if !call.may(Operation::Alter, Resource::Cluster) {
        return refuse(ErrorCode::ClusterAuthorizationFailed);
    }
    call.relay::<UnregisterBroker>(&request, refuse).await
}
