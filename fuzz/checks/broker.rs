//! What must hold of a whole broker for any bytes on a connection: no thread panics, the
//! connection ends when its client ends it, and another one is served as if nothing had been.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{
        Mutex, MutexGuard, Once, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use milena_broker::{Outside, Server};
use milena_config::{ServerConfig, properties};
use milena_env::{Random, RealClock, SimulatedDisk};
use milena_protocol::{
    Message, Offset,
    api::{
        AlterClientQuotasRequest, ApiKey, CreateTopicsRequest, ProduceRequest, ProduceResponse,
        alter_client_quotas::request::{EntityData, EntryData, OpData},
        create_topics::request::CreatableTopic,
        produce::request::{PartitionProduceData, TopicProduceData},
    },
    header::{RequestHeader, ResponseHeader},
    records::BatchBuilder,
    wire::{Reader, Records, Writer},
};

/// So many inputs, and the broker gives way to a new one: its disk is memory.
const INPUTS_MAX: u32 = 2000;
const PATIENCE: Duration = Duration::from_secs(20);
/// What strangers write to; `OWN` is the other client's.
const TOPIC: &str = "t";
const OWN: &str = "own";
const BYSTANDER: &str = "bystander";

static PANICKED: AtomicBool = AtomicBool::new(false);
static SCENE: Mutex<Option<Scene>> = Mutex::new(None);

struct Scene {
    server: Option<Server>,
    address: SocketAddr,
    bystander: TcpStream,
    written: i64,
    inputs: u32,
}

/// The bytes are sent on a connection of their own.
pub(crate) fn check(bytes: &[u8]) {
    note_panics();
    let mut scene = scene();
    if scene.as_ref().is_none_or(|scene| scene.inputs >= INPUTS_MAX) {
        drop(scene.take());
        *scene = Some(Scene::start());
    }
    let scene = scene.as_mut().expect("there is one now");
    scene.inputs += 1;
    scene.send(bytes);
    assert!(!PANICKED.load(Ordering::SeqCst), "a thread of the broker panicked");
    scene.is_well();
}

fn scene() -> MutexGuard<'static, Option<Scene>> {
    SCENE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A runtime keeps the panic of a task to itself.
fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICKED.store(true, Ordering::SeqCst);
            usual(panic);
        }));
    });
}

impl Scene {
    fn start() -> Self {
        let text = "listeners=PLAINTEXT://127.0.0.1:0\nlog.dirs=/data\nnum.network.threads=1\n\
                    log.segment.bytes=1048576\nlog.retention.bytes=1048576\n\
                    connections.max.idle.ms=5000\n\
                    log.retention.check.interval.ms=500\nlog.segment.delete.delay.ms=1\n\
                    milena.shutdown.timeout.ms=1000\n";
        let entries = properties::parse(text.as_bytes()).expect("they are well-formed");
        let (config, _) = ServerConfig::parse(&entries).expect("they are well-valued");
        let (disk, clock) = (SimulatedDisk::new(1), std::sync::Arc::new(RealClock));
        let outside = Outside { disk, clock, random: Random::from_seed(1) };
        let server = Server::start(config, outside).expect("a broker starts");
        let address = server.addresses()[0];
        let bystander = connect(address);
        let mut scene = Self { server: Some(server), address, bystander, written: 0, inputs: 0 };
        for name in [TOPIC, OWN] {
            let topic = CreatableTopic {
                name,
                num_partitions: 2,
                replication_factor: 1,
                ..Default::default()
            };
            let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
            scene.call(ApiKey::CreateTopics, 7, &request);
        }
        scene.call(ApiKey::AlterClientQuotas, 1, &no_limits());
        scene
    }

    /// Sends, says that nothing more comes, and waits for the end of the connection.
    fn send(&mut self, bytes: &[u8]) {
        let mut stream = connect(self.address);
        let begun = Instant::now();
        stream.set_read_timeout(Some(PATIENCE / 20)).expect("it can be set");
        // The broker may have heard enough before the end.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let mut answers = [0; 4096];
        loop {
            match stream.read(&mut answers) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    assert!(begun.elapsed() < PATIENCE, "the connection hangs");
                    self.is_well();
                }
                Err(_) => return,
            }
        }
    }

    /// The other client writes on.
    fn is_well(&mut self) {
        let mut builder = BatchBuilder::new(Offset(0));
        builder.append(i64::from(self.inputs), None, Some(b"well"), []);
        let mut batch = Vec::new();
        builder.build(&mut batch).expect("it is small");
        let data =
            PartitionProduceData { records: Some(Records::Slice(&batch)), ..Default::default() };
        let topic =
            TopicProduceData { name: OWN, partition_data: vec![data], ..Default::default() };
        let request = ProduceRequest {
            acks: -1,
            timeout_ms: 10_000,
            topic_data: vec![topic],
            ..Default::default()
        };
        let answer = self.call(ApiKey::Produce, 9, &request);
        let mut reader = Reader::new(&answer);
        ResponseHeader::decode_from(&mut reader, 1).expect("a header");
        let response = ProduceResponse::decode(reader.rest(), 9).expect("an answer").message;
        let told = &response.responses[0].partition_responses[0];
        assert_eq!((told.error_code, told.base_offset), (0, self.written));
        self.written += 1;
    }

    fn call<'m>(&mut self, api: ApiKey, version: i16, request: &impl Message<'m>) -> Vec<u8> {
        let mut writer = Writer::with_capacity(256);
        let header = RequestHeader {
            request_api_key: api.number(),
            request_api_version: version,
            client_id: Some(BYSTANDER),
            ..Default::default()
        };
        header.encode(&mut writer, 2).expect("it can be written");
        request.encode(&mut writer, version).expect("it can be written");
        let frame = writer.finish().expect("it fits");
        let body = frame.into_body().expect("all bytes are in memory");
        let length = u32::try_from(body.len()).expect("it is small").to_be_bytes();
        self.bystander.write_all(&[&length[..], &body].concat()).expect("it is listened to");
        let mut length = [0; 4];
        self.bystander.read_exact(&mut length).expect("it is answered");
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.bystander.read_exact(&mut answer).expect("it is answered");
        answer
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().expect("a broker stops in order");
        }
    }
}

/// Strangers may limit whom they like, but not the other client: it has the strongest kind of
/// quota.
fn no_limits() -> AlterClientQuotasRequest<'static> {
    let entity = [("user", "ANONYMOUS"), ("client-id", BYSTANDER)];
    let keys = [
        "producer_byte_rate",
        "consumer_byte_rate",
        "request_percentage",
        "controller_mutation_rate",
    ];
    let entry = EntryData {
        entity: entity
            .map(|(entity_type, name)| EntityData { entity_type, entity_name: Some(name) })
            .to_vec(),
        ops: keys.map(|key| OpData { key, value: 1e15, remove: false }).to_vec(),
    };
    AlterClientQuotasRequest { entries: vec![entry], validate_only: false }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a broker listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket can time out");
    stream.set_nodelay(true).expect("a socket can be in haste");
    stream
}
