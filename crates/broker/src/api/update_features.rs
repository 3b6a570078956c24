//! UpdateFeatures: the controller raises or lowers levels; here it is asked who may, and older
//! versions are put into the newest one's words.

use milena_metadata::controller::UpdateFeatures;
use milena_protocol::{
    ErrorCode,
    api::{
        UpdateFeaturesRequest, UpdateFeaturesResponse,
        update_features::response::UpdatableFeatureResult,
    },
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    error_map::ToCode,
};

/// A downgrade that loses nothing, which version 0 said with a flag.
const SAFE_DOWNGRADE: i8 = 2;

pub(super) async fn handle(call: &Call<'_>, mut request: UpdateFeaturesRequest<'_>) -> Outcome {
    let refuse = |code: ErrorCode| {
        call.answer(&UpdateFeaturesResponse { error_code: code as i16, ..Default::default() })
    };
    if !call.may(Operation::Alter, Resource::Cluster) {
        return refuse(ErrorCode::ClusterAuthorizationFailed);
    }
    for update in request.feature_updates.iter_mut().filter(|update| update.allow_downgrade) {
        update.upgrade_type = SAFE_DOWNGRADE;
    }
    let answer = match call.broker().metadata.call::<UpdateFeatures>(&request).await {
        Ok(answer) => answer,
        Err(error) => return refuse(error.code()),
    };
    match answer.message() {
        Ok(mut response) => {
            if response.error_code == ErrorCode::None as i16 {
                // Version 2 does not say it feature by feature any more.
                let done = |feature| UpdatableFeatureResult { feature, ..Default::default() };
                let features = request.feature_updates.iter().map(|update| update.feature);
                response.results = features.map(done).collect();
            }
            call.answer(&response)
        }
        Err(error) => Outcome::close(&error),
    }
}
