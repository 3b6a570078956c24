//! write_metadata DIR [PARTITIONS]: a metadata log and a snapshot for Apache Kafka's tools to look
//! at (`tests/kafka/check-metadata.sh`), and what it costs: start, creation, memory.

#![allow(clippy::unwrap_used, reason = "it is run by hand")]

use std::{path::Path, sync::Arc, time::Duration};

use milena_env::{Clock, Disk, Random, RealClock, RealDisk};
use milena_metadata::{
    BrokerOptions, MetadataNode, NodeOptions, Publisher,
    controller::{
        AllocateProducerIds, AlterClientQuotas, AnyConfig, ControllerOptions, CreateTopics,
        DeleteTopics,
    },
    image::{Delta, Endpoint, MetadataImage},
    quorum,
};
use milena_protocol::{
    Uuid,
    api::{
        AllocateProducerIdsRequest, AlterClientQuotasRequest, CreateTopicsRequest,
        DeleteTopicsRequest,
        alter_client_quotas::request::{EntityData, EntryData, OpData},
        create_topics::request::{CreatableTopic, CreatableTopicConfig},
        delete_topics::request::DeleteTopicState,
    },
};
use milena_storage::{
    DirectoryConfig, DirectoryIdentity, LogConfig, LogDirectory, OpenOptions, Workers,
};

struct Nobody;

impl Publisher for Nobody {
    fn publish(&mut self, _delta: &Delta, _image: &Arc<MetadataImage>) {}
}

fn open(path: &Path) -> Arc<LogDirectory> {
    let log_config = |_: &str| Arc::new(quorum::log_config());
    let log_config: &(dyn Fn(&str) -> Arc<LogConfig> + Sync) = &log_config;
    LogDirectory::open(OpenOptions {
        disk: Arc::new(RealDisk),
        clock: Arc::new(RealClock),
        path: path.to_owned(),
        identity: DirectoryIdentity {
            cluster_id: None,
            new_cluster_id: "bWlsZW5hLWFuZC1rYWZrYQ".to_owned(),
            node_id: 1,
            new_directory_id: Uuid::from_u128(0xd1d1),
        },
        config: DirectoryConfig::default(),
        new_ring_key: [7; 16],
        first: None,
        log_config,
        workers: Workers::Threads,
        threads: 1,
    })
    .unwrap()
}

fn start(directory: &Arc<LogDirectory>) -> Arc<MetadataNode> {
    let endpoint = |listener: &str, port| Endpoint {
        listener: listener.into(),
        host: "localhost".into(),
        port,
        security_protocol: 0,
    };
    let mut random = Random::from_os().unwrap();
    let options = NodeOptions {
        node_id: 1,
        directory: Arc::clone(directory),
        disk: Arc::new(RealDisk) as Arc<dyn Disk>,
        clock: Arc::new(RealClock),
        controller_endpoints: vec![endpoint("CONTROLLER", 9093)],
        controller: ControllerOptions {
            cluster_id: directory.meta().cluster_id.clone(),
            ..ControllerOptions::default()
        },
        schema: Arc::new(AnyConfig),
        broker: Some(BrokerOptions {
            incarnation: Uuid::from_be_bytes(random.uuid()),
            endpoints: vec![endpoint("PLAINTEXT", 9092)],
            rack: None,
            directories: vec![directory.meta().directory_id.unwrap()],
            previous_epoch: -1,
        }),
        random,
        publisher: Box::new(Nobody),
        on_failure: Box::new(|why| eprintln!("failed: {why}")),
        snapshot_bytes: 20 << 20,
        drives_directory: false,
    };
    MetadataNode::start(options).unwrap()
}

fn resident_kib() -> u64 {
    let status =
        (&RealDisk as &dyn Disk).open(Path::new("/proc/self/status"), milena_env::disk::Open::Read);
    let mut bytes = vec![0; 4096];
    let len = status.unwrap().read_at(&mut bytes, 0).unwrap();
    bytes.truncate(len);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let line = text.lines().find(|line| line.starts_with("VmRSS")).unwrap().to_owned();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn timed<T>(what: &str, act: impl FnOnce() -> T) -> T {
    let begun = RealClock.monotonic();
    let result = act();
    let took = RealClock.monotonic() - begun;
    println!("{what}: {:.1} ms, {} KiB resident", took.as_secs_f64() * 1e3, resident_kib());
    result
}

fn create(node: &MetadataNode, names: &[String], num_partitions: i32) {
    let topics = names.iter().map(|name| CreatableTopic {
        name,
        num_partitions,
        replication_factor: 1,
        configs: vec![CreatableTopicConfig { name: "retention.ms", value: Some("86400000") }],
        ..CreatableTopic::default()
    });
    let request = CreateTopicsRequest { topics: topics.collect(), ..Default::default() };
    let answer = block_on(node.call::<CreateTopics>(&request)).unwrap();
    assert!(answer.message().unwrap().topics.iter().all(|topic| topic.error_code == 0));
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Something of every kind.
fn variety(node: &MetadataNode) {
    let state = DeleteTopicState { name: Some("doomed"), ..DeleteTopicState::default() };
    create(node, &["doomed".to_owned()], 2);
    let request = DeleteTopicsRequest { topics: vec![state], ..Default::default() };
    block_on(node.call::<DeleteTopics>(&request)).unwrap();
    let request = AllocateProducerIdsRequest { broker_id: 1, broker_epoch: node.broker_epoch() };
    block_on(node.call::<AllocateProducerIds>(&request)).unwrap();
    let entity = vec![EntityData { entity_type: "user", entity_name: Some("ann") }];
    let ops = vec![OpData { key: "producer_byte_rate", value: 1024.0, remove: false }];
    let request =
        AlterClientQuotasRequest { entries: vec![EntryData { entity, ops }], validate_only: false };
    block_on(node.call::<AlterClientQuotas>(&request)).unwrap();
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().expect("a directory to be made");
    let partitions: usize = arguments.next().map_or(100, |count| count.parse().unwrap());
    let path = Path::new(&path);

    let directory = timed("new directory opened", || open(path));
    let node = timed("new node started", || start(&directory));
    let names: Vec<String> = (0..partitions.div_ceil(10)).map(|n| format!("topic-{n}")).collect();
    timed(&format!("{partitions} partitions created"), || {
        names.chunks(1000).for_each(|names| create(&node, names, 10));
    });
    variety(&node);
    let lone = |n| vec![format!("lone-{n}")];
    timed("50 topics created one by one", || (0..50).for_each(|n| create(&node, &lone(n), 1)));
    timed("killed node started again, log alone", || {
        node.stop();
        drop(start(&directory));
    });
    let node = start(&directory);
    node.request_snapshot();
    RealClock.sleep(Duration::from_millis(1500));
    create(&node, &["after-the-snapshot".to_owned()], 3);
    node.stop();
    directory.close(node.broker_epoch()).unwrap();
    drop((node, directory));

    let directory = timed("used directory opened", || open(path));
    let node = timed("node started from a snapshot", || start(&directory));
    let image = node.image();
    println!("{} topics, {} partitions", image.topics.len(), image.topics.partition_count());
    node.stop();
    directory.close(node.broker_epoch()).unwrap();
}
