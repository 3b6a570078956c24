//! Whether a topic may be set to what somebody asks for.

use crate::{error::ValueError, keys::Scope, layers::Entries, topic::TopicConfig};

/// Why not; every variant is INVALID_CONFIG on the wire.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TopicConfigError {
    #[error("Unknown topic config name: {0}")]
    UnknownKey(String),
    #[error(transparent)]
    Value(#[from] ValueError),
    #[error(
        "conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms ({max})"
    )]
    CompactionLag { min: i64, max: i64 },
    #[error(
        "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with \
         remote log storage."
    )]
    RemoteStorage,
}

/// Judges all values that a topic would have of its own, over the broker's.
pub fn validate(overrides: &Entries, defaults: &TopicConfig) -> Result<(), TopicConfigError> {
    for key in overrides.keys() {
        Scope::Topic.find(key).ok_or_else(|| TopicConfigError::UnknownKey(key.clone()))?;
    }
    let mut config = defaults.clone();
    for (key, written) in overrides {
        let Some(definition) = Scope::Topic.find(key) else { continue };
        let value = definition.canonical(written)?;
        config.set(definition, &value)?;
        if key == "remote.storage.enable" && value == "true" {
            return Err(TopicConfigError::RemoteStorage);
        }
    }
    let (min, max) = (config.min_compaction_lag_ms, config.max_compaction_lag_ms);
    if min > max {
        return Err(TopicConfigError::CompactionLag { min, max });
    }
    Ok(())
}
