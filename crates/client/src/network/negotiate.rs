//! Which versions of the APIs a broker speaks.

use std::collections::BTreeMap;

use milena_protocol::{ErrorCode, api::ApiKey};

use super::{Api, ApiVersions, Connection};
use crate::error::{Error, Result};

/// From this version on the request says who the client is.
const NAMED_FROM: i16 = 3;

/// What a broker said it speaks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Versions {
    ranges: BTreeMap<i16, (i16, i16)>,
    /// The levels that the whole cluster agreed on, such as `transaction.version`.
    features: BTreeMap<Box<str>, i16>,
}

impl Versions {
    /// The highest version that both sides speak.
    pub(crate) fn of(&self, key: ApiKey) -> Option<i16> {
        let (lowest, highest) = *self.ranges.get(&key.number())?;
        let api = key.api();
        let version = highest.min(api.stable_max);
        (version >= lowest && api.has_version(version)).then_some(version)
    }

    /// The level of a feature; 0 if the cluster does not have it.
    pub(crate) fn feature(&self, name: &str) -> i16 {
        self.features.get(name).copied().unwrap_or(0)
    }

    /// Only what is needed to ask for more.
    fn before_asking(version: i16) -> Self {
        let ranges = [(ApiVersions::KEY.number(), (version, version))].into();
        Self { ranges, features: BTreeMap::new() }
    }
}

/// Asks a broker what it speaks. Both sides may be the older one: it is asked again in the first
/// version if it does not know ours.
pub(super) async fn negotiate(connection: &mut Connection) -> Result<()> {
    let mut version = ApiVersions::KEY.api().stable_max;
    loop {
        connection.set_versions(Versions::before_asking(version));
        let request = milena_protocol::api::ApiVersionsRequest {
            client_software_name: "milena-client",
            client_software_version: env!("CARGO_PKG_VERSION"),
        };
        let answer = connection.call::<ApiVersions>(&request).await?;
        // A broker that does not know the version answers in the first one.
        if version >= NAMED_FROM && answer.code_at_start() == ErrorCode::UnsupportedVersion as i16 {
            version = 0;
            continue;
        }
        let message = answer.message()?;
        Error::check("ask for the versions of the APIs", message.error_code, None)?;
        let ranges = message.api_keys.iter();
        let features = message.finalized_features.iter();
        connection.set_versions(Versions {
            ranges: ranges.map(|api| (api.api_key, (api.min_version, api.max_version))).collect(),
            features: features.map(|it| (it.name.into(), it.max_version_level)).collect(),
        });
        return Ok(());
    }
}
