//! What the controller asks about configuration: which keys there are and which values are good.
//! Whoever starts the controller knows.

use std::borrow::Cow;

use super::ApiError;
use crate::image::{Config, ConfigResource, MetadataImage, ResourceType};

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

    /// Whether a value is a list, to which entries can be added.
    fn is_list(&self, kind: ResourceType, key: &str) -> bool;

    /// The value that holds where none is set.
    fn default_value(&self, kind: ResourceType, key: &str) -> Option<Cow<'static, str>>;

    /// Every setting of a topic that has these of its own, in the order of names.
    fn effective_topic_configs(&self, image: &MetadataImage, own: &Config) -> Vec<EffectiveConfig>;
}

/// Knows nothing and accepts everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnyConfig;

impl ConfigSchema for AnyConfig {
    fn validate(&self, _resource: &ConfigResource, _config: &Config) -> Result<(), ApiError> {
        Ok(())
    }

    fn is_list(&self, _kind: ResourceType, _key: &str) -> bool {
        false
    }

    fn default_value(&self, _kind: ResourceType, _key: &str) -> Option<Cow<'static, str>> {
        None
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
