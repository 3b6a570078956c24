//! What the controller asks about configuration, answered from Kafka's keys.

use std::borrow::Cow;

use milena_config::{
    Scope,
    change::{Target, validate},
    definition::Type,
    describe,
};
use milena_metadata::{
    controller::{ApiError, ConfigSchema, EffectiveConfig},
    image::{Config, ConfigResource, MetadataImage, ResourceType},
};

use crate::{broker::SharedConfig, log_config::entries};

#[derive(Debug)]
pub(crate) struct Schema {
    config: SharedConfig,
}

impl Schema {
    pub(crate) fn new(config: SharedConfig) -> Self {
        Self { config }
    }
}

fn scope(kind: ResourceType) -> Option<Scope> {
    match kind {
        ResourceType::Topic => Some(Scope::Topic),
        ResourceType::Broker => Some(Scope::Broker),
        ResourceType::Group => Some(Scope::Group),
        ResourceType::ClientMetrics => Some(Scope::ClientMetrics),
        ResourceType::BrokerLogger => None,
    }
}

/// Whose settings these would be.
fn target(resource: &ConfigResource) -> Option<Target> {
    match resource.kind {
        ResourceType::Topic => Some(Target::Topic),
        ResourceType::Broker if resource.name.is_empty() => Some(Target::AllBrokers),
        ResourceType::Broker => Some(Target::Broker),
        ResourceType::Group => Some(Target::Group),
        ResourceType::ClientMetrics => Some(Target::ClientMetrics),
        ResourceType::BrokerLogger => None,
    }
}

impl ConfigSchema for Schema {
    fn validate(&self, resource: &ConfigResource, config: &Config) -> Result<(), ApiError> {
        let Some(target) = target(resource) else { return Ok(()) };
        let judged = target
            .check_name(&resource.name)
            .and_then(|()| validate(target, &entries(config), &self.config.load()));
        judged.map_err(|error| ApiError::new(error.code(), error.to_string()))
    }

    fn is_list(&self, kind: ResourceType, key: &str) -> bool {
        let definition = scope(kind).and_then(|scope| scope.find(key));
        definition.is_some_and(|definition| definition.kind == Type::List)
    }

    fn default_value(&self, kind: ResourceType, key: &str) -> Option<Cow<'static, str>> {
        scope(kind)?.find(key)?.default.map(Cow::Borrowed)
    }

    fn effective_topic_configs(&self, _: &MetadataImage, own: &Config) -> Vec<EffectiveConfig> {
        let effective = |described: describe::Described| EffectiveConfig {
            name: described.name.into(),
            value: described.value,
            is_read_only: described.is_read_only,
            is_sensitive: described.is_sensitive,
            source: described.source as i8,
        };
        describe::topic(&entries(own), &self.config.load()).into_iter().map(effective).collect()
    }
}
