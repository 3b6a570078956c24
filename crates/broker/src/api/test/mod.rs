//! APIs over a whole broker on a simulated disk, asked by name and read as Kafka's tools print
//! answers.

mod configs;
mod denied;
mod log_dirs;
mod partitions;
mod quotas;
mod telemetry;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use milena_config::{ServerConfig, properties};
use milena_env::{Disk, Random, RealClock, SimulatedDisk};
use milena_protocol::{
    MESSAGES, Message,
    api::{
        ApiKey, CreateTopicsRequest, ProduceRequest,
        create_topics::request::CreatableTopic,
        produce::request::{PartitionProduceData, TopicProduceData},
    },
    header::{RequestHeader, ResponseHeader},
    records::BatchBuilder,
    wire::{Reader, Records, Writer},
};
use serde_json::Value;

use crate::{
    authorizer::{Authorizer, Everybody},
    server::{Outside, Server},
};

const PATIENCE: Duration = Duration::from_secs(20);

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A broker, and a connection to it.
struct Rig {
    server: Option<Server>,
    stream: TcpStream,
    client_id: String,
}

impl Rig {
    fn start(settings: &str) -> Self {
        Self::guarded(settings, Box::new(Everybody))
    }

    fn guarded(settings: &str, authorizer: Box<dyn Authorizer>) -> Self {
        Self::on(&SimulatedDisk::new(1), settings, authorizer)
    }

    fn on(disk: &Arc<SimulatedDisk>, settings: &str, authorizer: Box<dyn Authorizer>) -> Self {
        let text = format!(
            "listeners=PLAINTEXT://127.0.0.1:0\nlog.dirs=/data\nnum.network.threads=1\n{settings}"
        );
        let (config, _) =
            ServerConfig::parse(&properties::parse(text.as_bytes()).unwrap()).unwrap();
        let outside = Outside {
            disk: Arc::clone(disk) as Arc<dyn Disk>,
            clock: Arc::new(RealClock),
            random: Random::from_seed(1),
        };
        let server = Server::start_guarded(config, outside, authorizer).unwrap();
        let stream = connect(server.addresses()[0]);
        Self { server: Some(server), stream, client_id: "test".to_owned() }
    }

    /// Another connection.
    fn connect(&self) -> TcpStream {
        connect(self.server.as_ref().unwrap().addresses()[0])
    }

    /// Asks in the newest stable version.
    fn ask<'m>(&mut self, api: ApiKey, request: &impl Message<'m>) -> Value {
        let version = api.api().stable_max;
        self.ask_in(api, version, request).unwrap_or_else(|| panic!("{api:?} cannot say that"))
    }

    /// None where the version cannot say what the request says.
    fn ask_in<'m>(
        &mut self,
        api: ApiKey,
        version: i16,
        request: &impl Message<'m>,
    ) -> Option<Value> {
        let mut writer = Writer::with_capacity(256);
        let header = RequestHeader {
            request_api_key: api.number(),
            request_api_version: version,
            correlation_id: 7,
            client_id: Some(&self.client_id),
            ..Default::default()
        };
        header.encode(&mut writer, api.api().request_header_version(version)).unwrap();
        request.encode(&mut writer, version).ok()?;
        let body = writer.finish().ok()?.into_body()?;
        self.stream.write_all(&u32::try_from(body.len()).unwrap().to_be_bytes()).unwrap();
        self.stream.write_all(&body).unwrap();
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).unwrap_or_else(|e| panic!("{api:?} {version}: {e}"));
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut answer).unwrap();
        let mut reader = Reader::new(&answer);
        let header_version = api.api().response_header_version(version);
        ResponseHeader::decode_from(&mut reader, header_version).unwrap();
        let name = format!("{}Response", api.api().name);
        let entry = MESSAGES.iter().find(|entry| entry.name == name).unwrap();
        Some((entry.read)(reader.rest(), version).unwrap().json)
    }

    /// Writes a batch to the first partition of topic `t`.
    fn produce(&mut self, builder: &BatchBuilder) -> Value {
        let mut batch = Vec::new();
        builder.build(&mut batch).unwrap();
        let records = Some(Records::Slice(&batch));
        let partition = PartitionProduceData { index: 0, records, ..Default::default() };
        let topic =
            TopicProduceData { name: "t", partition_data: vec![partition], ..Default::default() };
        let request = ProduceRequest {
            acks: -1,
            timeout_ms: 5000,
            topic_data: vec![topic],
            ..Default::default()
        };
        self.ask_in(ApiKey::Produce, 9, &request).unwrap()
    }

    fn create_topic(&mut self, name: &str) {
        let topic =
            CreatableTopic { name, num_partitions: 2, replication_factor: 1, ..Default::default() };
        let request =
            CreateTopicsRequest { topics: vec![topic], timeout_ms: 5000, ..Default::default() };
        let answer = self.ask(ApiKey::CreateTopics, &request);
        assert_eq!(answer["topics"][0]["errorCode"], 0, "{answer}");
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().unwrap();
        }
    }
}
