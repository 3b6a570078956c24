//! What the controller asks about configuration: which keys there are and which values are good.
//! Whoever starts the controller knows.

use std::borrow::Cow;

use milena_protocol::api::{
    alter_configs::request::AlterableConfig as Replacing,
    incremental_alter_configs::request::AlterableConfig as Altering,
};

use super::ApiError;
use crate::image::{Config, ConfigResource, MetadataImage};

/// A topic's setting as CreateTopics answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveConfig {
    pub name: Cow<'static, str>,
    /// `None` where it is secret.
    pub value: Option<String>,
    pub is_read_only: bool,
    pub is_sensitive: bool,
    /// Kafka's number of where the value comes from: 1 is the topic itself, 5 the default.
    pub source: i8,
}

pub trait ConfigSchema: std::fmt::Debug + Send + Sync {
    /// Judges all that would be set on a resource.
    fn validate(&self, resource: &ConfigResource, config: &Config) -> Result<(), ApiError>;

    /// What changes make of what is set on a resource, not yet judged.
    fn alter(
        &self,
        resource: &ConfigResource,
        current: &Config,
        changes: &[Altering<'_>],
    ) -> Result<Config, ApiError>;

    /// What a resource is set to by a request that names all of it, not yet judged.
    fn replace(
        &self,
        resource: &ConfigResource,
        values: &[Replacing<'_>],
    ) -> Result<Config, ApiError>;

    /// Every setting of a topic that has these of its own, in the order of names.
    fn effective_topic_configs(&self, image: &MetadataImage, own: &Config) -> Vec<EffectiveConfig>;
}

/// Knows nothing and accepts everything: what has a value is set, and all else is deleted.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnyConfig;

impl ConfigSchema for AnyConfig {
    fn validate(&self, _resource: &ConfigResource, _config: &Config) -> Result<(), ApiError> {
        Ok(())
    }

    fn alter(
        &self,
        _: &ConfigResource,
        current: &Config,
        changes: &[Altering<'_>],
    ) -> Result<Config, ApiError> {
        let mut altered = current.clone();
        for change in changes {
            match change.value {
                Some(value) => drop(altered.insert(change.name.into(), value.into())),
                None => drop(altered.remove(change.name)),
            }
        }
        Ok(altered)
    }

    fn replace(&self, _: &ConfigResource, values: &[Replacing<'_>]) -> Result<Config, ApiError> {
        let set = values.iter().filter_map(|it| Some((it.name.into(), it.value?.into())));
        Ok(set.collect())
    }

    fn effective_topic_configs(&self, _: &MetadataImage, own: &Config) -> Vec<EffectiveConfig> {
        own.iter()
            .map(|(name, value)| EffectiveConfig {
                name: name.to_string().into(),
                value: Some(value.to_string()),
                is_read_only: false,
                is_sensitive: false,
                source: 1,
            })
            .collect()
    }
}
