//! What was configured: by topic, broker, group and client metrics subscription.

use std::{collections::BTreeMap, sync::Arc};

use super::shard_map::ShardMap;

/// Kafka's numbers of the kinds of things that are configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum ResourceType {
    Topic = 2,
    /// The empty name stands for all brokers.
    Broker = 4,
    BrokerLogger = 8,
    ClientMetrics = 16,
    Group = 32,
}

impl ResourceType {
    #[must_use]
    pub const fn from_number(number: i8) -> Option<Self> {
        Some(match number {
            2 => Self::Topic,
            4 => Self::Broker,
            8 => Self::BrokerLogger,
            16 => Self::ClientMetrics,
            32 => Self::Group,
            _ => return None,
        })
    }

    #[must_use]
    pub const fn number(self) -> i8 {
        self as i8
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigResource {
    pub kind: ResourceType,
    pub name: Box<str>,
}

impl ConfigResource {
    #[must_use]
    pub fn new(kind: ResourceType, name: &str) -> Self {
        Self { kind, name: name.into() }
    }

    #[must_use]
    pub fn topic(name: &str) -> Self {
        Self::new(ResourceType::Topic, name)
    }
}

/// Keys and values of one resource.
pub type Config = BTreeMap<Box<str>, Box<str>>;

static NOTHING: Config = Config::new();

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Configs(ShardMap<ConfigResource, Arc<Config>>);

impl Configs {
    /// What was set on a resource itself; empty where nothing was.
    #[must_use]
    pub fn of(&self, resource: &ConfigResource) -> &Config {
        self.0.get(resource).map_or(&NOTHING, |config| config)
    }

    #[must_use]
    pub fn value(&self, resource: &ConfigResource, key: &str) -> Option<&str> {
        self.of(resource).get(key).map(|value| &**value)
    }

    /// Everything that has a value of its own, in order.
    #[must_use]
    pub fn sorted(&self) -> Vec<(&ConfigResource, &Config)> {
        let mut all: Vec<_> = self.0.iter().map(|(name, config)| (name, &**config)).collect();
        all.sort_unstable_by_key(|(resource, _)| *resource);
        all
    }

    pub(super) fn set(&mut self, resource: &ConfigResource, key: &str, value: Option<&str>) {
        if self.0.get(resource).is_none() {
            if value.is_none() {
                return;
            }
            self.0.insert(resource.clone(), Arc::default());
        }
        let Some(config) = self.0.get_mut(resource).map(Arc::make_mut) else { return };
        match value {
            Some(value) => drop(config.insert(key.into(), value.into())),
            None => drop(config.remove(key)),
        }
        if config.is_empty() {
            self.0.remove(resource);
        }
    }

    pub(super) fn remove(&mut self, resource: &ConfigResource) -> bool {
        self.0.remove(resource).is_some()
    }
}
