//! What the controller asks about configuration, answered from Kafka's keys.

use milena_config::{
    ChangeError, Entries,
    change::{Alteration, Operation, Target, alter, replace, validate},
    describe,
};
use milena_metadata::{
    controller::{ApiError, ConfigSchema, EffectiveConfig},
    image::{Config, ConfigResource, MetadataImage, ResourceType},
};
use milena_protocol::{
    ErrorCode,
    api::{
        alter_configs::request::AlterableConfig as Replacing,
        incremental_alter_configs::request::AlterableConfig as Altering,
    },
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

fn refused(error: &ChangeError) -> ApiError {
    ApiError::new(error.code(), error.to_string())
}

fn changed(result: Result<Entries, ChangeError>) -> Result<Config, ApiError> {
    let boxed = |(key, value): (String, String)| (key.into(), value.into());
    result.map(|entries| entries.into_iter().map(boxed).collect()).map_err(|it| refused(&it))
}

impl ConfigSchema for Schema {
    fn validate(&self, resource: &ConfigResource, config: &Config) -> Result<(), ApiError> {
        let Some(target) = target(resource) else { return Ok(()) };
        let judged = target
            .check_name(&resource.name)
            .and_then(|()| validate(target, &entries(config), &self.config.load()));
        judged.map_err(|error| refused(&error))
    }

    fn alter(
        &self,
        resource: &ConfigResource,
        current: &Config,
        changes: &[Altering<'_>],
    ) -> Result<Config, ApiError> {
        let Some(target) = target(resource) else { return Ok(current.clone()) };
        let mut alterations = Vec::with_capacity(changes.len());
        for Altering { name: key, config_operation: number, value } in changes {
            let operation = Operation::from_number(*number).ok_or_else(|| {
                let message = format!("Unknown config operation {number}");
                ApiError::new(ErrorCode::InvalidRequest, message)
            })?;
            alterations.push(Alteration { key, operation, value: *value });
        }
        changed(alter(target, &entries(current), &alterations))
    }

    fn replace(
        &self,
        resource: &ConfigResource,
        values: &[Replacing<'_>],
    ) -> Result<Config, ApiError> {
        let Some(target) = target(resource) else { return Ok(Config::new()) };
        changed(replace(target, values.iter().map(|it| (it.name, it.value))))
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
