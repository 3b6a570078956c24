//! The life of a broker: start, serve, stop.

use std::{net::SocketAddr, sync::Arc, thread::JoinHandle, time::Duration};

use arc_swap::ArcSwap;
use milena_config::ServerConfig;
use milena_env::{Clock, Disk, Random};
use milena_metadata::{
    BrokerOptions, MetadataNode, NodeOptions,
    controller::ControllerOptions,
    image::{self, ClientQuotas},
};
use milena_protocol::Uuid;
use milena_storage::StorageError;
use tokio::sync::oneshot;

use crate::{
    authorizer::{Authorizer, Everybody},
    broker::{Broker, NetworkSettings},
    config_schema::Schema,
    coordinator::{Coordinators, Follower},
    error::StartError,
    features,
    fetch::SessionCache,
    housekeeping::Housekeeping,
    log_directories::{self, Opened},
    metrics::{Endpoint, Served},
    network::{
        budget::Budget,
        listeners::{Allowed, Caller, Connections},
        ports::Ports,
        threads::IoThreads,
    },
    partition::{Partition, assign::Assigner, stray, table::Partitions},
    producer_ids::ProducerIds,
    quotas::{CreationLimits, Quotas, of_ip},
    telemetry::Telemetry,
    unserved,
};

/// How long a fetch session is kept although others want its place: Kafka's own time.
const FETCH_SESSION_KEPT: Duration = Duration::from_secs(120);

/// What a broker needs of the outside world.
#[derive(Debug)]
pub struct Outside {
    pub disk: Arc<dyn Disk>,
    pub clock: Arc<dyn Clock>,
    pub random: Random,
}

/// A running broker.
#[derive(Debug)]
pub struct Server {
    broker: Arc<Broker>,
    addresses: Vec<SocketAddr>,
    threads: Arc<IoThreads>,
    acceptor: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    failure: Option<oneshot::Receiver<String>>,
    housekeeping: Option<Housekeeping>,
    metrics: Option<Served>,
}

impl Server {
    /// Starts a broker. It accepts connections when this returns.
    pub fn start(config: ServerConfig, outside: Outside) -> Result<Self, StartError> {
        Self::start_guarded(config, outside, Box::new(Everybody))
    }

    /// As [`Server::start`]; `authorizer` is asked who may do what.
    pub(crate) fn start_guarded(
        config: ServerConfig,
        mut outside: Outside,
        authorizer: Box<dyn Authorizer>,
    ) -> Result<Self, StartError> {
        unserved::refuse(&config)?;
        // A port that is taken is found out before anything is changed on disk.
        let ports = Ports::open(&config)?;
        let endpoints = ports.endpoints(&config)?;
        let metrics = config.network.metrics_listener.as_deref().map(Endpoint::open).transpose()?;
        let opened = log_directories::open(&config, &mut outside)?;
        let begun = Self::begin(config, outside, authorizer, (ports, endpoints, metrics), &opened);
        // Whoever cannot begin leaves behind what was there, also for an Apache Kafka.
        begun.inspect_err(|_| log_directories::close_again(&opened.directories))
    }

    fn begin(
        config: ServerConfig,
        mut outside: Outside,
        authorizer: Box<dyn Authorizer>,
        (ports, endpoints, metrics): (Ports, Vec<image::Endpoint>, Option<Endpoint>),
        opened: &Opened,
    ) -> Result<Self, StartError> {
        let Opened { directories, closed } = opened;
        let directories = directories.clone();
        let moves = stray::settle_moves(&directories)?;
        let first = directories.first().ok_or(StartError::NoDirectory)?;
        let cluster_id = first.meta().cluster_id.clone();
        let partitions = Arc::new(Partitions::default());
        let node_id = config.node.id;
        let shared_config = Arc::new(ArcSwap::from_pointee(config.clone()));
        let assigner = Assigner::new(
            node_id,
            directories.clone(),
            closed.first().cloned(),
            Arc::clone(&partitions),
            Arc::clone(&shared_config),
        );
        let random = Random::from_seed(outside.random.next_u64());
        let coordinators = Coordinators::new(&outside.clock, &shared_config, random);
        let follower =
            Follower::new(node_id, assigner, Arc::clone(&partitions), Arc::clone(&coordinators));
        let controller = controller_options(&config, &cluster_id);
        let features = controller.features.clone();
        let (failed, failure) = oneshot::channel();
        let metadata = MetadataNode::start(NodeOptions {
            node_id,
            directory: Arc::clone(first),
            disk: Arc::clone(&outside.disk),
            clock: Arc::clone(&outside.clock),
            random: Random::from_seed(outside.random.next_u64()),
            controller_endpoints: endpoints.clone(),
            controller,
            schema: Arc::new(Schema::new(Arc::clone(&shared_config))),
            broker: Some(BrokerOptions {
                incarnation: new_uuid(&mut outside.random),
                endpoints,
                rack: config.node.rack.clone(),
                directories: directories.iter().filter_map(|d| d.meta().directory_id).collect(),
                previous_epoch: log_directories::previous_epoch(&directories),
            }),
            publisher: Box::new(follower),
            on_failure: Box::new(|why| drop(failed.send(why))),
            snapshot_bytes: config.quorum.snapshot_after_bytes,
            drives_directory: false,
        })?;
        stray::set_aside(&directories, &metadata.image(), node_id)?;
        if let Some(address) = ports.addresses().first()
            && let Some(warning) = features::behind(&metadata.image(), &address.to_string())
        {
            tracing::warn!("{warning}");
        }
        let unwritten = directories.clone();
        let elsewhere = move || unwritten.iter().map(|d| d.unwritten_bytes()).sum();
        let network = &config.network;
        let (allowing, limiting) = (Arc::clone(&shared_config), Arc::clone(&metadata));
        let broker = Arc::new(Broker {
            clock: Arc::clone(&outside.clock),
            disk: Arc::clone(&outside.disk),
            cluster_id,
            node_id,
            network: NetworkSettings {
                listeners: network.listeners.iter().map(|listener| listener.name.clone()).collect(),
                request_bytes_max: network.request_bytes_max as usize,
                idle_max: network.connections_idle_ms_max.map(Duration::from_millis),
                // The other half is for the logs: a client that does not read its answer must not
                // keep them from being closed.
                drain_timeout: Duration::from_millis(config.node.shutdown_timeout_ms / 2),
            },
            budget: Budget::new(config.bytes_in_flight_max(), Box::new(elsewhere)),
            connections: Connections::new(Arc::clone(&outside.clock), move |caller| {
                allowed(&allowing.load(), &limiting.look().client_quotas, caller)
            }),
            authorizer,
            metadata,
            features,
            directories,
            closed_directories: closed.clone(),
            partitions,
            relocations: Arc::default(),
            coordinators,
            fetch_sessions: SessionCache::new(
                network.fetch_sessions_max,
                FETCH_SESSION_KEPT,
                Random::from_seed(outside.random.next_u64()),
            ),
            producer_ids: ProducerIds::default(),
            quotas: Quotas::default(),
            telemetry: Telemetry::new(Random::from_seed(outside.random.next_u64())),
            config: shared_config,
        });
        let threads = IoThreads::start(&broker).map_err(|source| StartError::Threads {
            threads: broker.config().network.threads,
            source,
        })?;
        let housekeeping = Housekeeping::start(&broker, outside.random.uuid())?;
        broker.coordinators.start(&broker)?;
        if broker.directories.len() > 1 {
            let coordinators = Arc::clone(&broker.coordinators);
            let moved = move |partition: &Arc<Partition>| coordinators.moved(partition);
            broker.relocations.start(
                Arc::clone(&broker.partitions),
                Arc::clone(&broker.clock),
                Arc::clone(&broker.config),
                moved,
            )?;
            for (name, to) in moves {
                let from = broker.directories.iter().find(|it| it.log(&name).is_some());
                if let Some(from) = from.filter(|from| !Arc::ptr_eq(from, &to)) {
                    broker.relocations.want(name, from, &to);
                }
            }
        }
        let metrics = metrics.map(|port| port.serve(&broker)).transpose()?;
        let addresses = ports.addresses();
        let acceptor = ports.accept(&broker, &threads)?;
        Ok(Self {
            broker,
            addresses,
            threads,
            acceptor: Some(acceptor),
            failure: Some(failure),
            housekeeping: Some(housekeeping),
            metrics,
        })
    }

    #[cfg(test)]
    pub(crate) fn io_threads(&self) -> usize {
        self.threads.count()
    }

    #[cfg(test)]
    pub(crate) fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// Where it listens, in the order of `listeners`.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where it tells its metrics, if `milena.metrics.listener` is set.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().and_then(|served| served.address)
    }

    #[must_use]
    pub fn cluster_id(&self) -> &str {
        &self.broker.cluster_id
    }

    /// Resolves if the metadata log fails, with the reason: nothing can be decided or believed any
    /// more, and the process has to end.
    pub async fn failed(&mut self) -> String {
        match self.failure.take() {
            Some(failure) => match failure.await {
                Ok(why) => why,
                Err(_) => std::future::pending().await,
            },
            None => std::future::pending().await,
        }
    }

    /// Stops: accepts nothing more, answers what is in flight, closes the logs cleanly.
    pub fn stop(mut self) -> Result<(), StorageError> {
        if let Some((stop, thread)) = self.acceptor.take() {
            let _ = stop.send(());
            // A panic there was printed there; the logs are worth closing all the same.
            let _ = thread.join();
        }
        self.threads.drain();
        if let Some(metrics) = self.metrics.take() {
            metrics.stop();
        }
        if let Some(housekeeping) = self.housekeeping.take() {
            housekeeping.stop();
        }
        self.broker.relocations.stop();
        self.broker.coordinators.stop();
        let epoch = self.broker.metadata.broker_epoch();
        self.broker.metadata.stop();
        for directory in &self.broker.directories {
            if directory.offline().is_none() {
                directory.close(epoch)?;
            }
        }
        Ok(())
    }
}

/// What connections there may be, as it is now.
fn allowed(config: &ServerConfig, quotas: &ClientQuotas, caller: Caller) -> Allowed {
    let (network, ip) = (&config.network, caller.ip);
    let listener = network.listeners.get(caller.listener);
    let of_listener = listener.and_then(|it| network.listener_connections_max.get(&it.name));
    let of_all = network.connections_per_second_max;
    let of_named = network.connections_per_ip_overrides.get(&ip.to_string());
    let of_one_ip = of_named.unwrap_or(&network.connections_per_ip_max);
    Allowed {
        connections: network.connections_max as usize,
        of_listener: of_listener.map_or(usize::MAX, |most| *most as usize),
        of_one_ip: *of_one_ip as usize,
        creation: CreationLimits {
            window: config.quotas.clients.into(),
            of_all: (of_all < i32::MAX as u32).then_some(f64::from(of_all)),
            of_ip: of_ip(quotas, ip),
        },
    }
}

fn controller_options(config: &ServerConfig, cluster_id: &str) -> ControllerOptions {
    ControllerOptions {
        cluster_id: cluster_id.to_owned(),
        default_partitions: config.new_topics.partitions,
        default_replication_factor: config.new_topics.replication_factor,
        session_timeout: Duration::from_millis(config.quorum.session_timeout_ms),
        delete_topic_enable: config.new_topics.deletion_enabled,
        unclean_leader_election: config.topic_defaults.unclean_leader_election,
        min_insync_replicas: config.topic_defaults.min_insync_replicas,
        own_broker: Some(config.node.id),
        features: features::supported(),
        ..ControllerOptions::default()
    }
}

/// An id that Kafka would make: none of those that mean something, none that begins with a hyphen.
pub(crate) fn new_uuid(random: &mut Random) -> Uuid {
    loop {
        let uuid = Uuid::from_be_bytes(random.uuid());
        if !uuid.to_string().starts_with('-') {
            return uuid;
        }
    }
}
