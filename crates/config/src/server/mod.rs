//! The configuration of one process: read from its file, checked as a whole, typed.
//!
//! Start at [`ServerConfig::parse`]. Nothing is read from a disk here, and nothing is decided that
//! the broker could decide better.

mod cluster;
mod error;
mod group;
mod log;
mod network;
#[cfg(test)]
mod test;

pub use cluster::{Node, Quorum, Quotas, Replication, Transactions, Voter, Window};
pub(crate) use error::contradiction;
pub use error::{ConfigError, Warning};
pub use group::{
    Bounded, ClassicGroups, ConsumerGroups, Groups, InternalTopic, Membership, Offsets,
    ShareGroups, StreamsGroups,
};
pub use log::{Cleaner, Logs, NewTopics};
pub use network::{Listener, Network, SecurityProtocol};

use crate::{
    definition::UpdateMode,
    error::ValueError,
    keys::{
        Scope, milena,
        obsolete::{Successor, successor},
    },
    layers::{Entries, Layers},
    properties::Entry,
    topic::TopicConfig,
};

#[derive(Clone, Debug, PartialEq)]
pub struct ServerConfig {
    pub node: Node,
    pub network: Network,
    pub logs: Logs,
    pub new_topics: NewTopics,
    pub replication: Replication,
    pub groups: Groups,
    pub transactions: Transactions,
    pub quotas: Quotas,
    pub quorum: Quorum,
    /// What a topic is that sets nothing itself.
    pub topic_defaults: TopicConfig,
    /// What all of this was read from.
    pub layers: Layers,
}

impl ServerConfig {
    /// From what stands in a file and on the command line; of a key that comes twice, the last
    /// counts.
    pub fn parse(entries: &[Entry]) -> Result<(Self, Vec<Warning>), ConfigError> {
        let mut warnings = Vec::new();
        let mut fixed = Entries::new();
        let mut renamed = Entries::new();
        for entry in entries {
            if let Some(successor) = successor(&entry.key) {
                let is_set = |key: &str| entries.iter().any(|entry| entry.key == key);
                warnings.push(Warning::obsolete(entry, successor, is_set));
                if let Successor::Renamed(key) = successor {
                    renamed.insert(key.to_owned(), entry.value.clone());
                }
            }
            match Scope::Broker.find(&entry.key) {
                Some(definition) => {
                    let value = definition.canonical(&entry.value);
                    value.map_err(|error| ConfigError::value(entry, definition, error))?;
                }
                None if entry.key.starts_with(milena::PREFIX) => {
                    return Err(ConfigError::unknown(entry));
                }
                None if successor(&entry.key).is_none() => warnings.push(Warning::unknown(entry)),
                None => {}
            }
            fixed.insert(entry.key.clone(), entry.value.clone());
        }
        // Kafka's default of the old name means that nobody set it.
        renamed.retain(|key, value| value != "-1" && !fixed.contains_key(key));
        fixed.extend(renamed);
        // Kafka, too, tells the id under both names.
        if let Some(id) = fixed.get("node.id").cloned() {
            fixed.insert("broker.id".to_owned(), id);
        }
        let config = Self::read(Layers { fixed, ..Layers::default() });
        config.map(|config| (config, warnings)).map_err(|error| error.located(entries))
    }

    /// Bytes of requests, answers and fresh records that may be in memory.
    #[must_use]
    pub fn bytes_in_flight_max(&self) -> usize {
        let queued = self.network.queued_request_bytes_max.unwrap_or(u64::MAX);
        self.node.memory_budget_bytes.min(usize::try_from(queued).unwrap_or(usize::MAX))
    }

    /// The same process after changes for all brokers and for this one. What is not allowed there
    /// is left out: it was refused when it was new, and must not stop a broker later.
    pub fn changed(&self, cluster: &Entries, broker: &Entries) -> Result<Self, ConfigError> {
        let allowed = |layer: &Entries, for_all: bool| -> Entries {
            let good = layer.iter().filter(|(key, value)| {
                let Some(definition) = Scope::Broker.find(key) else { return true };
                let may_change = match definition.update_mode {
                    // For one listener it may change.
                    UpdateMode::ReadOnly => definition.name != key.as_str(),
                    UpdateMode::PerBroker => !for_all,
                    UpdateMode::ClusterWide => true,
                };
                may_change && definition.canonical(value).is_ok()
            });
            good.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        Self::read(Layers {
            fixed: self.layers.fixed.clone(),
            cluster: allowed(cluster, true),
            broker: allowed(broker, false),
        })
    }

    fn read(layers: Layers) -> Result<Self, ConfigError> {
        Self::build(layers.clone()).map_err(|error| error.with_value(&layers))
    }

    fn build(layers: Layers) -> Result<Self, ConfigError> {
        let config = Self {
            node: Node::read(&layers)?,
            network: Network::read(&layers)?,
            logs: Logs::read(&layers)?,
            new_topics: NewTopics::read(&layers)?,
            replication: Replication::read(&layers)?,
            groups: Groups::read(&layers)?,
            transactions: Transactions::read(&layers)?,
            quotas: Quotas::read(&layers)?,
            quorum: Quorum::read(&layers)?,
            topic_defaults: TopicConfig::defaults(&layers)?,
            layers,
        };
        config.check()?;
        Ok(config)
    }

    /// What no area sees alone.
    fn check(&self) -> Result<(), ConfigError> {
        let (node, network, quorum) = (&self.node, &self.network, &self.quorum);
        let of_clients = |listener: &&Listener| !network.is_controllers(listener);
        if node.is_broker && !network.listeners.iter().any(|listener| of_clients(&listener)) {
            let what = "a broker needs a listener that is not the controller's".to_owned();
            return Err(contradiction("listeners", what));
        }
        if node.is_broker && network.advertised.is_empty() {
            let what = "a broker must be reached by clients".to_owned();
            return Err(contradiction("advertised.listeners", what));
        }
        if !node.is_broker
            && let Some(stray) = network.listeners.iter().find(of_clients)
        {
            let what = format!(
                "{} is for clients, but process.roles is controller: name it in \
                 controller.listener.names",
                stray.name
            );
            return Err(contradiction("listeners", what));
        }
        let votes = quorum.voters.iter().any(|voter| voter.id == node.id);
        if node.is_controller && !quorum.voters.is_empty() && !votes {
            let what = format!("a controller must be a voter: node.id={} is not there", node.id);
            return Err(contradiction("controller.quorum.voters", what));
        }
        if !node.is_controller && votes {
            let what = format!("node.id={} is a voter, but process.roles is broker", node.id);
            return Err(contradiction("controller.quorum.voters", what));
        }
        if !node.is_controller && quorum.voters.is_empty() && quorum.bootstrap_servers.is_empty() {
            let what = "a broker without the role controller must know where one is: set \
                        controller.quorum.bootstrap.servers=host:port";
            return Err(contradiction("process.roles", what.to_owned()));
        }
        let queued = network.queued_request_bytes_max;
        if queued.is_some_and(|queued| queued < u64::from(network.request_bytes_max)) {
            let longest = network.request_bytes_max;
            let what = format!("is less than socket.request.max.bytes={longest}, one request");
            return Err(contradiction("queued.max.request.bytes", what));
        }
        if self.topic_defaults.retention_ms == 0 {
            let what = "nothing would be kept; -1 is for ever, and 1 the shortest".to_owned();
            let keys = ["log.retention.ms", "log.retention.minutes", "log.retention.hours"];
            let set = keys.into_iter().find(|key| self.layers.text(key).as_deref() == Some("0"));
            return Err(contradiction(set.unwrap_or("log.retention.ms"), what));
        }
        if quorum.voters.len() > 1 && network.controller_listener_names.is_empty() {
            let what = "controllers on other nodes are reached by a listener that must be named";
            return Err(contradiction("controller.listener.names", what.to_owned()));
        }
        Ok(())
    }
}

impl From<ValueError> for ConfigError {
    fn from(error: ValueError) -> Self {
        contradiction(&error.key.clone(), error.to_string())
    }
}
