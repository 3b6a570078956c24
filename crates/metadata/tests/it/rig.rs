//! A node of one on a simulated disk: started, asked, stopped or crashed, started again.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use milena_env::{Disk, ManualClock, Random, SimulatedDisk};
use milena_metadata::{
    Answer, BrokerOptions, MetadataNode, NodeOptions, Publisher, StartError,
    controller::{AnyConfig, Call, ControllerOptions},
    image::{Delta, Endpoint, MetadataImage},
    quorum,
};
use milena_protocol::Uuid;
use milena_storage::{
    DirectoryConfig, DirectoryIdentity, LogConfig, LogDirectory, OpenOptions, Workers,
};

pub(crate) const CLUSTER: &str = "kcLhPZYmQ_6TrI5GEYd7dA";

/// What a publisher heard, in order.
pub(crate) type Heard = Arc<Mutex<Vec<(Delta, Arc<MetadataImage>)>>>;

struct Listener(Heard);

impl Publisher for Listener {
    fn publish(&mut self, delta: &Delta, image: &Arc<MetadataImage>) {
        self.0.lock().unwrap().push((delta.clone(), Arc::clone(image)));
    }
}

pub(crate) struct Rig {
    pub(crate) disk: Arc<SimulatedDisk>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) directory: Arc<LogDirectory>,
    pub(crate) node: Arc<MetadataNode>,
    pub(crate) heard: Heard,
    pub(crate) failure: Arc<Mutex<Option<String>>>,
}

pub(crate) fn endpoint(port: u16) -> Endpoint {
    Endpoint { listener: "PLAINTEXT".into(), host: "localhost".into(), port, security_protocol: 0 }
}

impl Rig {
    pub(crate) fn start(disk: Arc<SimulatedDisk>, seed: u64) -> Result<Self, StartError> {
        Self::start_with(disk, seed, |_| {})
    }

    pub(crate) fn start_with(
        disk: Arc<SimulatedDisk>,
        seed: u64,
        adjust: impl FnOnce(&mut NodeOptions),
    ) -> Result<Self, StartError> {
        let clock = Arc::new(ManualClock::new(1_700_000_000_000));
        let log_config = |_: &str| Arc::new(quorum::log_config());
        let log_config: &(dyn Fn(&str) -> Arc<LogConfig> + Sync) = &log_config;
        let directory = LogDirectory::open(OpenOptions {
            disk: Arc::clone(&disk) as Arc<dyn Disk>,
            clock: Arc::clone(&clock) as _,
            path: Path::new("/data").into(),
            identity: DirectoryIdentity {
                cluster_id: None,
                new_cluster_id: CLUSTER.to_owned(),
                node_id: 1,
                new_directory_id: Uuid::from_u128(0xd1),
            },
            config: DirectoryConfig {
                journal_bytes: 4 << 20,
                journal_file_bytes: 1 << 20,
                ..DirectoryConfig::default()
            },
            new_ring_key: [7; 16],
            first: None,
            log_config,
            workers: Workers::Caller,
            threads: 1,
        })
        .map_err(|error| StartError::Quorum(error.into()))?;
        let heard = Heard::default();
        let failure = Arc::new(Mutex::new(None));
        let failed = Arc::clone(&failure);
        let mut options = NodeOptions {
            node_id: 1,
            directory: Arc::clone(&directory),
            disk: Arc::clone(&disk) as Arc<dyn Disk>,
            clock: Arc::clone(&clock) as _,
            random: Random::from_seed(seed),
            controller_endpoints: vec![endpoint(9093)],
            controller: ControllerOptions {
                cluster_id: CLUSTER.to_owned(),
                ..ControllerOptions::default()
            },
            schema: Arc::new(AnyConfig),
            broker: Some(BrokerOptions {
                incarnation: Uuid::from_u128(u128::from(seed) + 1_000),
                endpoints: vec![endpoint(9092)],
                rack: None,
                directories: vec![Uuid::from_u128(0xd1)],
                previous_epoch: -1,
            }),
            publisher: Box::new(Listener(Arc::clone(&heard))),
            on_failure: Box::new(move |why| *failed.lock().unwrap() = Some(why)),
            snapshot_bytes: u64::MAX,
            drives_directory: true,
        };
        adjust(&mut options);
        let node = MetadataNode::start(options)?;
        Ok(Self { disk, clock, directory, node, heard, failure })
    }

    pub(crate) fn ask<C: Call>(&self, request: &C::Request<'_>) -> Answer<C> {
        block_on(self.node.call::<C>(request)).unwrap()
    }

    pub(crate) fn image(&self) -> Arc<MetadataImage> {
        self.node.image()
    }

    /// A clean stop, as of a broker that is told to.
    pub(crate) fn stop(self) -> Arc<SimulatedDisk> {
        self.node.stop();
        let closed = self.directory.close(self.node.broker_epoch());
        assert!(closed.is_ok() || self.disk.is_power_off(), "{closed:?}");
        self.disk.kill()
    }

    /// A power failure: what was not synced is kept, lost or torn.
    pub(crate) fn crash(self) -> Arc<SimulatedDisk> {
        let disk = self.disk.crash();
        self.node.stop();
        disk
    }
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}
