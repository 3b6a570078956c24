//! ApiVersions: what is served here. Always a client's first request, so it has an answer even in a
//! version that is not served.

use milena_protocol::{
    ErrorCode,
    api::{
        ApiKey, ApiVersionsRequest, ApiVersionsResponse,
        api_versions::response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey},
    },
};

use super::{Call, Outcome, SERVED};

/// librdkafka learns from Produce's lowest versions which message formats a broker reads; they are
/// told, and refused when somebody uses them.
const PRODUCE_VERSION_TOLD: i16 = 0;

/// A request in a version that is not served, whose body nobody can read. The client is told which
/// versions of this API it may ask in.
pub(super) fn refuse(call: &Call<'_>) -> Outcome {
    let mut api_keys = served();
    api_keys.retain(|api| api.api_key == ApiKey::ApiVersions.number());
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion as i16,
        api_keys,
        ..Default::default()
    };
    call.reply.in_version(0).answer(&response)
}

pub(super) async fn handle(call: &Call<'_>, request: ApiVersionsRequest<'_>) -> Outcome {
    if call.version >= 3 {
        let (name, version) = (request.client_software_name, request.client_software_version);
        if !is_software(name) || !is_software(version) {
            let error_code = ErrorCode::InvalidRequest as i16;
            return call.answer(&ApiVersionsResponse { error_code, ..Default::default() });
        }
        *call.client.software.borrow_mut() = Some((name.into(), version.into()));
    }
    let image = call.broker().image();
    let finalized = image.features.iter().map(|(name, level)| FinalizedFeatureKey {
        name,
        max_version_level: level,
        min_version_level: level,
    });
    let supported = call.broker().features.iter();
    let supported = supported.map(|feature| SupportedFeatureKey {
        name: &feature.name,
        // A client of Kafka before 4.0 cannot read a lowest version of 0.
        min_version: if call.version < 4 { feature.min.max(1) } else { feature.min },
        max_version: feature.max,
    });
    call.answer(&ApiVersionsResponse {
        api_keys: served(),
        supported_features: supported.collect(),
        finalized_features_epoch: image.position.offset,
        finalized_features: finalized.collect(),
        ..Default::default()
    })
}

fn served() -> Vec<ApiVersion> {
    let mut keys: Vec<ApiKey> = SERVED.to_vec();
    keys.sort_unstable_by_key(|key| key.number());
    let version = |key: ApiKey| {
        let api = key.api();
        let lowest = if key == ApiKey::Produce { PRODUCE_VERSION_TOLD } else { api.version_min };
        ApiVersion { api_key: key.number(), min_version: lowest, max_version: api.stable_max }
    };
    keys.into_iter().map(version).collect()
}

/// Letters and digits, with dots and hyphens between them.
fn is_software(name: &str) -> bool {
    let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    is_end(name.chars().next())
        && is_end(name.chars().next_back())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-')
}
