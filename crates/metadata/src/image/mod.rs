//! The cluster as one immutable value, made from Kafka's metadata records and from nothing else.
//!
//! A copy is a handful of reference counts, a change copies what is near it, and nobody who holds
//! an older image notices. `apply` reads records, `write` gives them back for a snapshot, `delta`
//! tells what changed.

mod apply;
mod client_quotas;
mod cluster;
mod configs;
mod delta;
mod partition;
mod scram;
mod security;
mod shard_map;
mod topics;
mod write;

use std::{collections::BTreeMap, sync::Arc};

pub use apply::{ApplyError, Replay};
pub(crate) use client_quotas::entity_data;
pub use client_quotas::{ClientQuotas, QuotaEntity};
pub use cluster::{Broker, Cluster, Endpoint, RegisteredController, SupportedFeature};
pub use configs::{Config, ConfigResource, Configs, ResourceType};
pub use delta::{Delta, TopicDelta};
pub use partition::{NO_LEADER, NodeList, Partition};
pub use scram::{ScramCredential, ScramCredentials};
pub use topics::{Topic, Topics};

use security::Security;

/// Up to where the metadata log has become an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The last record that is in it; -1 before the first.
    pub offset: i64,
    /// The controller's epoch that wrote it.
    pub epoch: i32,
    /// When it was written.
    pub timestamp: i64,
}

impl Position {
    pub const START: Self = Self { offset: -1, epoch: 0, timestamp: -1 };
}

/// The cluster's metadata up to one record of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataImage {
    pub position: Position,
    pub cluster: Cluster,
    pub topics: Topics,
    pub configs: Configs,
    pub client_quotas: ClientQuotas,
    pub features: Features,
    /// The first producer id that was given to nobody.
    pub next_producer_id: i64,
    pub scram: ScramCredentials,
    security: Security,
}

impl Default for MetadataImage {
    fn default() -> Self {
        Self {
            position: Position::START,
            cluster: Cluster::default(),
            topics: Topics::default(),
            configs: Configs::default(),
            client_quotas: ClientQuotas::default(),
            features: Features::default(),
            next_producer_id: 0,
            scram: ScramCredentials::default(),
            security: Security::default(),
        }
    }
}

/// Finalised levels by the feature's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features(Arc<BTreeMap<Box<str>, i16>>);

impl Features {
    /// The finalised level; 0 where there is none.
    #[must_use]
    pub fn level(&self, name: &str) -> i16 {
        self.0.get(name).copied().unwrap_or(0)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, i16)> {
        self.0.iter().map(|(name, level)| (&**name, *level))
    }

    fn set(&mut self, name: &str, level: i16) {
        let levels = Arc::make_mut(&mut self.0);
        if level == 0 {
            levels.remove(name);
        } else {
            levels.insert(name.into(), level);
        }
    }
}
