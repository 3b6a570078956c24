//! What all parts of a broker share.

use std::{path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use milena_config::ServerConfig;
use milena_env::{Clock, Disk};
use milena_metadata::{
    MetadataNode,
    image::{MetadataImage, SupportedFeature},
};
use milena_protocol::ProducerId;
use milena_storage::{Log, LogDirectory};

use crate::{
    authorizer::Authorizer,
    coordinator::Coordinators,
    fetch::SessionCache,
    network::{budget::Budget, listeners::Connections},
    partition::{relocations::Relocations, table::Partitions},
    producer_ids::{NoIds, ProducerIds},
    quotas::Quotas,
    telemetry::Telemetry,
};

/// What the configuration says about connections.
#[derive(Clone, Debug)]
pub(crate) struct NetworkSettings {
    /// `socket.request.max.bytes`
    pub(crate) request_bytes_max: usize,
    /// Their names, in the order of `listeners`.
    pub(crate) listeners: Vec<String>,
    /// `connections.max.idle.ms`; none means for ever.
    pub(crate) idle_max: Option<Duration>,
    /// How long a stop waits for connections, of `milena.shutdown.timeout.ms`.
    pub(crate) drain_timeout: Duration,
}

/// The settings as they are now: some keys can be changed while the broker runs.
pub(crate) type SharedConfig = Arc<ArcSwap<ServerConfig>>;

#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) cluster_id: String,
    pub(crate) node_id: i32,
    pub(crate) config: SharedConfig,
    pub(crate) network: NetworkSettings,
    pub(crate) budget: Arc<Budget>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) authorizer: Box<dyn Authorizer>,
    pub(crate) metadata: Arc<MetadataNode>,
    /// What this version can do, with the levels of each.
    pub(crate) features: Vec<SupportedFeature>,
    pub(crate) directories: Vec<Arc<LogDirectory>>,
    /// Where those lie that could not be opened at the start.
    pub(crate) closed_directories: Vec<PathBuf>,
    pub(crate) partitions: Arc<Partitions>,
    pub(crate) relocations: Arc<Relocations>,
    pub(crate) coordinators: Arc<Coordinators>,
    pub(crate) fetch_sessions: SessionCache,
    pub(crate) producer_ids: ProducerIds,
    pub(crate) quotas: Quotas,
    pub(crate) telemetry: Telemetry,
}

impl Broker {
    /// The cluster as it is now.
    pub(crate) fn image(&self) -> Arc<MetadataImage> {
        self.metadata.image()
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// The log directory that holds a log; none once it has moved or gone.
    pub(crate) fn directory_of(&self, log: &Arc<Log>) -> Option<&Arc<LogDirectory>> {
        let holds = |it: &&Arc<LogDirectory>| {
            it.log(log.name()).is_some_and(|held| Arc::ptr_eq(&held, log))
        };
        self.directories.iter().find(holds)
    }

    /// An id that no producer has had.
    pub(crate) async fn next_producer_id(&self) -> Result<ProducerId, NoIds> {
        let us = (self.node_id, self.metadata.broker_epoch());
        self.producer_ids.next(&self.metadata, us).await
    }

    /// The name of the listener at this place of the configuration.
    pub(crate) fn listener_name(&self, place: usize) -> &str {
        self.network.listeners.get(place).map_or("", |name| name)
    }
}
