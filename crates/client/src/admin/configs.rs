//! Settings of topics, brokers, groups, loggers and subscriptions of metrics.

use milena_protocol::api::{
    DescribeConfigsRequest, IncrementalAlterConfigsRequest, ListConfigResourcesRequest,
    describe_configs::{request::DescribeConfigsResource, response::DescribeConfigsResourceResult},
    incremental_alter_configs::request::{AlterConfigsResource, AlterableConfig},
};

use super::{Admin, Each, To, done, unless_later};
use crate::{
    error::{Error, Result},
    network::{DescribeConfigs, IncrementalAlterConfigs, ListConfigResources},
};

/// What an answer says of a resource: what was done, the code and the detail, the kind and the
/// name, and what is given if all went well.
type Told<'t, T> = (&'static str, i16, Option<&'t str>, i8, &'t str, T);

/// What has settings, by Kafka's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i8)]
pub enum ResourceKind {
    /// A topic.
    Topic = 2,
    /// A broker by its id; the empty name is all of them.
    Broker = 4,
    /// What a broker logs.
    BrokerLogger = 8,
    /// A subscription of clients' metrics.
    ClientMetrics = 16,
    /// A group.
    Group = 32,
}

/// Something that has settings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigResource {
    /// What it is.
    pub kind: ResourceKind,
    /// Its name.
    pub name: Box<str>,
}

/// Where a value comes from, by Kafka's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
#[non_exhaustive]
pub enum ConfigSource {
    /// The broker does not say.
    Unknown = 0,
    /// Set for the topic.
    Topic = 1,
    /// Set for this broker while it ran.
    DynamicBroker = 2,
    /// Set for all brokers while they ran.
    DynamicDefaultBroker = 3,
    /// The broker's own file.
    StaticBroker = 4,
    /// Nobody set it.
    Default = 5,
    /// Set for the broker's logger.
    BrokerLogger = 6,
    /// Set for the subscription.
    ClientMetrics = 7,
    /// Set for the group.
    Group = 8,
}

/// One setting as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Kafka's key.
    pub name: Box<str>,
    /// Its value; nothing if it is secret or has none.
    pub value: Option<Box<str>>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Whether it is secret.
    pub is_sensitive: bool,
    /// Whether it only changes by a restart.
    pub is_read_only: bool,
    /// All that says something of it, what counts first.
    pub synonyms: Vec<ConfigSynonym>,
    /// What it does.
    pub documentation: Option<Box<str>>,
}

/// Something that says what a setting is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigSynonym {
    /// The key there.
    pub name: Box<str>,
    /// The value there.
    pub value: Option<Box<str>>,
    /// Where it is.
    pub source: ConfigSource,
}

/// How one setting is to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    /// Kafka's key.
    pub name: Box<str>,
    /// What is to be done with it.
    pub operation: ConfigOperation,
}

/// What is to be done with a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigOperation {
    /// It is this value from now on.
    Set(Box<str>),
    /// It is no longer set here.
    Unset,
    /// A list gets another element.
    Append(Box<str>),
    /// A list loses an element.
    Subtract(Box<str>),
}

impl ResourceKind {
    const ALL: [Self; 5] =
        [Self::Topic, Self::Broker, Self::BrokerLogger, Self::ClientMetrics, Self::Group];

    fn from_number(number: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as i8 == number)
    }
}

impl ConfigResource {
    /// A resource by kind and name.
    #[must_use]
    pub fn new(kind: ResourceKind, name: &str) -> Self {
        Self { kind, name: name.into() }
    }

    fn from_answer(kind: i8, name: &str) -> Result<Self> {
        let kind = ResourceKind::from_number(kind)
            .ok_or_else(|| Error::Invalid(format!("a resource of kind {kind}").into()))?;
        Ok(Self::new(kind, name))
    }

    /// A broker answers for itself alone.
    fn to(&self) -> To<'static> {
        match (self.kind, self.name.parse()) {
            (ResourceKind::Broker | ResourceKind::BrokerLogger, Ok(id)) => To::Broker(id),
            _ => To::Any,
        }
    }
}

impl ConfigSource {
    const fn from_number(number: i8) -> Self {
        match number {
            1 => Self::Topic,
            2 => Self::DynamicBroker,
            3 => Self::DynamicDefaultBroker,
            4 => Self::StaticBroker,
            5 => Self::Default,
            6 => Self::BrokerLogger,
            7 => Self::ClientMetrics,
            8 => Self::Group,
            _ => Self::Unknown,
        }
    }
}

impl ConfigOperation {
    fn wire(&self) -> (i8, Option<&str>) {
        match self {
            Self::Set(value) => (0, Some(value)),
            Self::Unset => (1, None),
            Self::Append(value) => (2, Some(value)),
            Self::Subtract(value) => (3, Some(value)),
        }
    }
}

impl Config {
    fn from_answer(told: &DescribeConfigsResourceResult<'_>) -> Self {
        let synonyms = told.synonyms.iter().map(|synonym| ConfigSynonym {
            name: synonym.name.into(),
            value: synonym.value.map(Into::into),
            source: ConfigSource::from_number(synonym.source),
        });
        Self {
            name: told.name.into(),
            value: told.value.map(Into::into),
            source: ConfigSource::from_number(told.config_source),
            is_sensitive: told.is_sensitive,
            is_read_only: told.read_only,
            synonyms: synonyms.collect(),
            documentation: told.documentation.map(Into::into),
        }
    }
}

impl Admin {
    /// All settings of these, with where each value comes from and what it does.
    pub async fn describe_configs(
        &self,
        resources: &[ConfigResource],
    ) -> Result<Each<ConfigResource, Vec<Config>>> {
        let mut all = Each::new();
        for resource in resources {
            let asked = DescribeConfigsResource {
                resource_type: resource.kind as i8,
                resource_name: &resource.name,
                configuration_keys: None,
            };
            let request = DescribeConfigsRequest {
                resources: vec![asked],
                include_synonyms: true,
                include_documentation: true,
            };
            let (what, to) = ("describe settings", resource.to());
            let read = self.ask::<DescribeConfigs, _>(what, to, &request, |answer| {
                each_resource(answer.message()?.results.iter().map(|told| {
                    let configs = told.configs.iter().map(Config::from_answer).collect();
                    let (kind, name) = (told.resource_type, told.resource_name);
                    ("describe", told.error_code, told.error_message, kind, name, configs)
                }))
            });
            all.extend(read.await?);
        }
        Ok(all)
    }

    /// Changes settings, each resource as a whole or not at all.
    pub async fn alter_configs(
        &self,
        changes: &[(ConfigResource, Vec<ConfigChange>)],
        validate_only: bool,
    ) -> Result<Each<ConfigResource>> {
        let mut all = Each::new();
        for (resource, changes) in changes {
            let configs = changes.iter().map(|change| {
                let (config_operation, value) = change.operation.wire();
                AlterableConfig { name: &change.name, config_operation, value }
            });
            let asked = AlterConfigsResource {
                resource_type: resource.kind as i8,
                resource_name: &resource.name,
                configs: configs.collect(),
            };
            let request = IncrementalAlterConfigsRequest { resources: vec![asked], validate_only };
            let (what, to) = ("change settings", resource.to());
            let read = self.ask::<IncrementalAlterConfigs, _>(what, to, &request, |answer| {
                each_resource(answer.message()?.responses.iter().map(|told| {
                    let (kind, name) = (told.resource_type, told.resource_name);
                    ("change", told.error_code, told.error_message, kind, name, ())
                }))
            });
            all.extend(read.await?);
        }
        Ok(all)
    }

    /// What has settings of its own; of older brokers only the subscriptions of metrics are known.
    pub async fn list_config_resources(
        &self,
        kinds: &[ResourceKind],
    ) -> Result<Vec<ConfigResource>> {
        let resource_types = kinds.iter().map(|kind| *kind as i8).collect();
        let request = ListConfigResourcesRequest { resource_types };
        let what = "list what has settings";
        self.ask::<ListConfigResources, _>(what, To::Any, &request, |answer| {
            let message = answer.message()?;
            Error::check(what, message.error_code, None)?;
            let told = message.config_resources.iter();
            let known = told.filter_map(|told| {
                ConfigResource::from_answer(told.resource_type, told.resource_name).ok()
            });
            Ok(known.collect())
        })
        .await
    }
}

fn each_resource<'t, T>(
    told: impl Iterator<Item = Told<'t, T>>,
) -> Result<Each<ConfigResource, T>> {
    let each = told.map(|(doing, code, detail, kind, name, value)| {
        let what = format!("{doing} the settings of {}", named(name));
        Ok((ConfigResource::from_answer(kind, name)?, done(what, code, detail, value)))
    });
    unless_later(each.collect::<Result<_>>()?)
}

fn named(name: &str) -> &str {
    if name.is_empty() { "all brokers" } else { name }
}
