//! ElectLeaders: the controller elects; here it is asked who may.

use milena_metadata::controller::ElectLeaders;
use milena_protocol::{
    ErrorCode,
    api::{ElectLeadersRequest, ElectLeadersResponse},
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    error_map::ToCode,
};

pub(super) async fn handle(call: &Call<'_>, request: ElectLeadersRequest<'_>) -> Outcome {
    let refuse = |code: ErrorCode| {
        call.answer(&ElectLeadersResponse { error_code: code as i16, ..Default::default() })
    };
    if !call.may(Operation::Alter, Resource::Cluster) {
        return refuse(ErrorCode::ClusterAuthorizationFailed);
    }
    let answer = match call.broker().metadata.call::<ElectLeaders>(&request).await {
        Ok(answer) => answer,
        Err(error) => return refuse(error.code()),
    };
    match answer.message() {
        Ok(response) => call.answer(&response),
        Err(error) => Outcome::close(&error),
    }
}
