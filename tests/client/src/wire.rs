//! What a test asks a broker without the client that it tests: to make a topic, and what is in a
//! partition.

use std::{io, time::Duration};

use bytes::{Bytes, BytesMut};
use milena_env::{
    net::{self, TcpStream},
    timer,
};
use milena_protocol::{
    ErrorCode, Message,
    api::{
        ApiKey, CreateTopicsRequest, CreateTopicsResponse, FetchRequest, FetchResponse,
        create_topics::request::{CreatableTopic, CreatableTopicConfig},
        fetch::{
            request::{FetchPartition, FetchTopic},
            response::AbortedTransaction,
        },
    },
    header::{RequestHeader, ResponseHeader},
    records::{Batch, Batches, Budget, Scratch},
    wire::{Part, Reader, Writer, split_frame},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const CREATE_TOPICS: i16 = 7;
/// The last version that names topics.
const FETCH: i16 = 12;

/// How often, and how many times, to look for a partition that is not there yet.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const LOOKS_MAX: u32 = 500;

/// A connection of its own to the broker that leads everything.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
}

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Stored {
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Wire {
    /// Connects.
    pub async fn connect(bootstrap: &str) -> io::Result<Self> {
        Ok(Self { stream: net::connect(bootstrap).await? })
    }

    /// Makes a topic.
    pub async fn create(
        &mut self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> io::Result<()> {
        let configs = configs.iter();
        let topic = CreatableTopic {
            name,
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs
                .map(|(name, value)| CreatableTopicConfig { name, value: Some(value) })
                .collect(),
            ..Default::default()
        };
        let request =
            CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
        let body = self.ask(ApiKey::CreateTopics, CREATE_TOPICS, &request).await?;
        let answer = CreateTopicsResponse::decode(&body, CREATE_TOPICS).map_err(other)?.message;
        match answer.topics.first().map(|topic| topic.error_code) {
            Some(0) => Ok(()),
            code => Err(other(format!("no topic {name}: {code:?}"))),
        }
    }

    /// All records of a partition, also those of transactions that were aborted or are open.
    pub async fn read(&mut self, topic: &str, partition: i32) -> io::Result<Vec<Stored>> {
        self.read_at(topic, partition, 0).await
    }

    /// The records of a partition that are committed, once no transaction is open.
    pub async fn read_committed(&mut self, topic: &str, partition: i32) -> io::Result<Vec<Stored>> {
        self.read_at(topic, partition, 1).await
    }

    async fn read_at(
        &mut self,
        topic: &str,
        partition: i32,
        isolation_level: i8,
    ) -> io::Result<Vec<Stored>> {
        let (mut all, mut next, mut looks) = (Vec::new(), 0, 0);
        loop {
            let asked = FetchPartition {
                partition,
                fetch_offset: next,
                partition_max_bytes: 1 << 20,
                ..Default::default()
            };
            let request = FetchRequest {
                max_wait_ms: 100,
                min_bytes: 1,
                max_bytes: 1 << 20,
                isolation_level,
                topics: vec![FetchTopic { topic, partitions: vec![asked], ..Default::default() }],
                ..Default::default()
            };
            let body = self.ask(ApiKey::Fetch, FETCH, &request).await?;
            let answer = FetchResponse::decode(&body, FETCH).map_err(other)?.message;
            let found = answer.responses.iter().flat_map(|topic| &topic.partitions).next();
            let found = found.ok_or_else(|| other("nothing is said of the partition"))?;
            // A leader hears a moment later of what was just made.
            let is_new = [ErrorCode::NotLeaderOrFollower, ErrorCode::UnknownTopicOrPartition]
                .iter()
                .any(|code| found.error_code == *code as i16);
            if is_new && looks < LOOKS_MAX {
                looks += 1;
                timer::sleep(LOOK_AGAIN).await;
                continue;
            }
            if found.error_code != 0 {
                return Err(other(format!("cannot read: {}", found.error_code)));
            }
            let bytes = found.records.as_ref().and_then(|records| records.as_slice());
            let mut aborted: Vec<_> = found.aborted_transactions.iter().flatten().collect();
            next = read_batches(bytes.unwrap_or_default(), next, &mut all, |batch| {
                let header = batch.header();
                let is_of = |it: &&AbortedTransaction| {
                    it.producer_id == header.producer_id.0
                        && it.first_offset <= header.base_offset.0
                };
                if header.attributes.is_control() {
                    // The end of one of them.
                    let ended = aborted.iter().position(&is_of);
                    ended.map(|at| aborted.remove(at));
                    return false;
                }
                !aborted.iter().any(is_of)
            })?;
            if next >= found.high_watermark {
                return Ok(all);
            }
        }
    }

    async fn ask<'m>(
        &mut self,
        api: ApiKey,
        version: i16,
        request: &impl Message<'m>,
    ) -> io::Result<Bytes> {
        let mut writer = Writer::with_capacity(256);
        let header = RequestHeader {
            request_api_key: api.number(),
            request_api_version: version,
            client_id: Some("test"),
            ..Default::default()
        };
        header.encode(&mut writer, api.api().request_header_version(version)).map_err(other)?;
        request.encode(&mut writer, version).map_err(other)?;
        for part in writer.finish().map_err(other)?.into_parts() {
            if let Part::Bytes(bytes) = part {
                self.stream.write_all(&bytes).await?;
            }
        }
        let mut incoming = BytesMut::new();
        let frame = loop {
            if let Some(frame) = split_frame(&mut incoming, 100 << 20).map_err(other)? {
                break frame;
            }
            if self.stream.read_buf(&mut incoming).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        let mut reader = Reader::new(&frame);
        let version = api.api().response_header_version(version);
        ResponseHeader::decode_from(&mut reader, version).map_err(other)?;
        Ok(frame.slice_ref(reader.rest()))
    }
}

/// Adds the records of those batches that are wanted, and gives the offset behind all of them.
fn read_batches(
    bytes: &[u8],
    mut next: i64,
    all: &mut Vec<Stored>,
    mut is_wanted: impl FnMut(&Batch<'_>) -> bool,
) -> io::Result<i64> {
    let (mut scratch, from) = (Scratch::new(), next);
    for batch in Batches::checking(bytes) {
        next = next.max(batch.header().next_offset().0);
        if !is_wanted(&batch) {
            continue;
        }
        let records = batch.records(&mut scratch, Budget::default()).map_err(other)?;
        for record in records {
            let record = record.map_err(other)?;
            if record.offset.0 >= from {
                let headers = record
                    .headers
                    .map(|header| (header.key.to_vec(), header.value.map(<[u8]>::to_vec)));
                all.push(Stored {
                    offset: record.offset.0,
                    timestamp: record.timestamp,
                    key: record.key.map(<[u8]>::to_vec),
                    value: record.value.map(<[u8]>::to_vec),
                    headers: headers.collect(),
                });
            }
        }
    }
    Ok(next)
}

pub(crate) fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::other(error)
}
