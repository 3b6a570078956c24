//! Levels at which features are finalised for the whole cluster.

use milena_protocol::{
    ErrorCode,
    api::{
        UpdateFeaturesRequest, UpdateFeaturesResponse,
        update_features::{request::FeatureUpdateKey, response::UpdatableFeatureResult},
    },
    metadata::{FeatureLevelRecord, Value},
};

use super::{
    ApiError, ControllerError,
    error::{code, message},
    scene::Scene,
};
use crate::{METADATA_VERSION, image::SupportedFeature};

const UPGRADE: i8 = 1;
const SAFE_DOWNGRADE: i8 = 2;
const UNSAFE_DOWNGRADE: i8 = 3;

pub(super) fn update(
    scene: &mut Scene<'_>,
    request: &UpdateFeaturesRequest<'_>,
) -> Result<(), ControllerError> {
    let judged = request.feature_updates.iter().try_for_each(|update| {
        judge(scene, update).map_err(|error| {
            let why = error.message;
            let message = format!(
                "The update failed for all features since the following feature had an error: {why}"
            );
            ApiError::new(error.code, message)
        })
    });
    if judged.is_ok() && !request.validate_only {
        for update in &request.feature_updates {
            scene.put(&Value::FeatureLevelRecord(FeatureLevelRecord {
                name: update.feature,
                feature_level: update.max_version_level,
            }))?;
        }
    }
    // Since version 2 there is one answer for all of them.
    let each = request.feature_updates.iter().filter(|_| scene.version < 2 && judged.is_ok());
    let results = each
        .map(|update| UpdatableFeatureResult {
            feature: update.feature,
            ..UpdatableFeatureResult::default()
        })
        .collect();
    scene.answer(&UpdateFeaturesResponse {
        throttle_time_ms: 0,
        error_code: code(&judged),
        error_message: message(&judged),
        results,
    })
}

fn judge(scene: &Scene<'_>, update: &FeatureUpdateKey<'_>) -> Result<(), ApiError> {
    let (name, level) = (update.feature, update.max_version_level);
    let refuse = |why: &str| {
        let message = format!("Invalid update version {level} for feature {name}. {why}");
        Err(ApiError::new(ErrorCode::InvalidUpdateVersion, message))
    };
    let upgrade_type = match update.upgrade_type {
        _ if scene.version == 0 && update.allow_downgrade => SAFE_DOWNGRADE,
        kind @ (UPGRADE | SAFE_DOWNGRADE | UNSAFE_DOWNGRADE) => kind,
        _ => return refuse("The controller does not support the given upgrade type."),
    };
    if level < 0 {
        return refuse("A feature version cannot be less than 0.");
    }
    if let Some(why) = why_unsupported(scene, name, level) {
        return refuse(&why);
    }
    let current = scene.image.features.level(name);
    if level < current && upgrade_type == UPGRADE {
        return refuse(
            "Can't downgrade the version of this feature without setting the upgrade type to \
             either safe or unsafe downgrade.",
        );
    }
    if level > current && upgrade_type != UPGRADE {
        return refuse("Can't downgrade to a newer version.");
    }
    if name == METADATA_VERSION && level < current {
        let why = match upgrade_type {
            UNSAFE_DOWNGRADE => "Unsafe metadata downgrade is not supported in this version.",
            _ => {
                "Refusing to perform the requested downgrade because it might delete metadata \
                 information."
            }
        };
        let message =
            format!("Unsupported metadata.version downgrade from {current} to {level}. {why}");
        return Err(ApiError::new(ErrorCode::InvalidUpdateVersion, message));
    }
    Ok(())
}

/// Who cannot work at that level.
fn why_unsupported(scene: &Scene<'_>, name: &str, level: i16) -> Option<String> {
    let judge = |what: String, features: &[SupportedFeature]| {
        let (min, max) = features
            .iter()
            .find(|feature| &*feature.name == name)
            .map_or((0, 0), |feature| (feature.min, feature.max));
        // 0 means that the feature is off, which everybody can do but for the metadata version.
        if (min..=max).contains(&level) || (level == 0 && name != METADATA_VERSION) {
            None
        } else if max == 0 {
            Some(format!("{what} does not support this feature."))
        } else {
            let range = if min == max { min.to_string() } else { format!("{min}-{max}") };
            Some(format!("{what} only supports versions {range}"))
        }
    };
    let local = scene.options.own_broker.map_or(String::new(), |id| format!(" {id}"));
    judge(format!("Local controller{local}"), &scene.options.features).or_else(|| {
        let mut brokers = scene.image.cluster.brokers();
        brokers.find_map(|broker| judge(format!("Broker {}", broker.id), &broker.features))
    })
}
