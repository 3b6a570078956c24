//! A client of a few lines: frames over a blocking socket, and the calls that most tests need.
//!
//! It retries nothing and hides nothing; what a broker answers is what a test sees.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use milena_protocol::{
    ErrorCode, Message, Offset,
    api::{
        ApiKey, CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest,
        DeleteTopicsResponse, FetchRequest, FetchResponse, InitProducerIdRequest,
        InitProducerIdResponse, ListOffsetsRequest, ListOffsetsResponse, ProduceRequest,
        ProduceResponse,
        create_topics::request::{CreatableTopic, CreatableTopicConfig},
        delete_topics::request::DeleteTopicState,
        fetch::request::{FetchPartition, FetchTopic},
        list_offsets::request::{ListOffsetsPartition, ListOffsetsTopic},
        produce::request::{PartitionProduceData, TopicProduceData},
    },
    header::{RequestHeader, ResponseHeader},
    records::{BatchBuilder, Batches, Budget, Scratch},
    wire::{Reader, Records, Writer},
};

/// How long an answer may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Client {
    stream: TcpStream,
    correlation_id: i32,
    /// What the network makes of every call.
    pub(crate) fate: Fate,
    /// What [`Fate::Late`] and [`Fate::Doubled`] have kept back.
    pub(crate) overdue: Option<Overdue>,
}

/// What a network makes of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fate {
    #[default]
    Answered,
    /// The request arrives; the connection ends before its answer does.
    AnswerLost,
    /// The connection ends as soon as the request is on its way.
    CutOff,
    /// The request arrives when its sender has given it up.
    Late,
    /// It is answered, and arrives once more.
    Doubled,
}

/// A request that still is on its way.
#[derive(Clone, Debug)]
pub(crate) struct Overdue {
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    pub(crate) bytes: Vec<u8>,
}

/// One answer as it came.
pub(crate) struct Answer {
    bytes: Vec<u8>,
    version: i16,
    header_version: i16,
}

/// What Produce said of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Produced {
    pub(crate) code: ErrorCode,
    pub(crate) base_offset: i64,
    /// Which records were at fault, where it was said.
    pub(crate) at_fault: Vec<i32>,
}

/// What Fetch said of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fetched {
    pub(crate) code: ErrorCode,
    pub(crate) high_watermark: i64,
    pub(crate) log_start: i64,
    pub(crate) bytes: Vec<u8>,
}

/// A request as it goes over the wire, length and header first.
pub(crate) fn frame<'m>(
    api: ApiKey,
    version: i16,
    correlation_id: i32,
    request: &impl Message<'m>,
) -> Vec<u8> {
    let mut writer = Writer::with_capacity(256);
    let header = RequestHeader {
        request_api_key: api.number(),
        request_api_version: version,
        correlation_id,
        client_id: Some("test"),
        ..Default::default()
    };
    header.encode(&mut writer, api.api().request_header_version(version)).unwrap();
    request.encode(&mut writer, version).unwrap();
    let body = writer.finish().unwrap().into_body().unwrap();
    with_length(&body)
}

/// Puts the length in front of what follows it.
pub(crate) fn with_length(body: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes
}

/// A batch of records that have these values and the time 1 to n.
pub(crate) fn batch<V: AsRef<[u8]>>(values: &[V]) -> Vec<u8> {
    built(BatchBuilder::new(Offset(0)), values)
}

/// A batch from a builder that was told what is unusual about it.
pub(crate) fn built<V: AsRef<[u8]>>(mut builder: BatchBuilder, values: &[V]) -> Vec<u8> {
    for (number, value) in (1..).zip(values) {
        builder.append(number, Some(b"key"), Some(value.as_ref()), []);
    }
    let mut bytes = Vec::new();
    builder.build(&mut bytes).unwrap();
    bytes
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, correlation_id: 0, fate: Fate::default(), overdue: None })
    }

    /// The same connection once more, for a thread that only sends.
    pub(crate) fn another_hand(&self) -> Self {
        let stream = self.stream.try_clone().unwrap();
        Self { stream, correlation_id: 0, fate: Fate::default(), overdue: None }
    }

    /// Ends the connection, also for another hand that waits on it.
    pub(crate) fn hang_up(&self) {
        // It may have ended by itself.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a request; its correlation id is answered.
    pub(crate) fn send<'m>(
        &mut self,
        api: ApiKey,
        version: i16,
        request: &impl Message<'m>,
    ) -> io::Result<i32> {
        self.correlation_id += 1;
        let bytes = frame(api, version, self.correlation_id, request);
        self.send_bytes(&bytes)?;
        Ok(self.correlation_id)
    }

    /// Waits for the answer to a request of this API and version.
    pub(crate) fn receive(&mut self, api: ApiKey, version: i16) -> io::Result<Answer> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut bytes)?;
        let header_version = api.api().response_header_version(version);
        Ok(Answer { bytes, version, header_version })
    }

    pub(crate) fn call<'m>(
        &mut self,
        api: ApiKey,
        version: i16,
        request: &impl Message<'m>,
    ) -> io::Result<Answer> {
        if matches!(self.fate, Fate::Late | Fate::Doubled) {
            let bytes = frame(api, version, 1, request);
            self.overdue = Some(Overdue { api, version, bytes });
        }
        let lost = |how: &str| Err(io::Error::other(how.to_owned()));
        if self.fate == Fate::Late {
            return lost("nothing came");
        }
        let sent = self.send(api, version, request)?;
        if self.fate == Fate::CutOff {
            self.hang_up();
            return lost("the connection was cut");
        }
        let answer = self.receive(api, version)?;
        assert_eq!(answer.correlation_id(), sent, "answers come in the order of the requests");
        if self.fate == Fate::AnswerLost {
            return lost("the answer was lost");
        }
        Ok(answer)
    }

    /// Whether the other side ends the connection without another word, within `patience`.
    pub(crate) fn is_closed_within(&mut self, patience: Duration) -> bool {
        self.stream.set_read_timeout(Some(patience)).unwrap();
        let ended = match self.stream.read(&mut [0; 1]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        };
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        ended
    }

    pub(crate) fn is_closed(&mut self) -> bool {
        self.is_closed_within(PATIENCE)
    }

    /// Creates a topic, and says with which code.
    pub(crate) fn create_topic(
        &mut self,
        name: &str,
        partitions: i32,
        configs: &[(&'static str, &'static str)],
    ) -> ErrorCode {
        let config = |(name, value): &(&'static str, &'static str)| CreatableTopicConfig {
            name,
            value: Some(value),
            ..Default::default()
        };
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name,
                num_partitions: partitions,
                replication_factor: 1,
                configs: configs.iter().map(config).collect(),
                ..Default::default()
            }],
            ..Default::default()
        };
        let answer = self.call(ApiKey::CreateTopics, 7, &request).unwrap();
        code(answer.read::<CreateTopicsResponse<'_>>().topics[0].error_code)
    }

    pub(crate) fn delete_topic(&mut self, name: &str) -> ErrorCode {
        let topic = DeleteTopicState { name: Some(name), ..Default::default() };
        let request =
            DeleteTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
        let answer = self.call(ApiKey::DeleteTopics, 6, &request).unwrap();
        code(answer.read::<DeleteTopicsResponse<'_>>().responses[0].error_code)
    }

    /// Produces to one partition with acks=all.
    pub(crate) fn produce(&mut self, topic: &str, partition: i32, records: &[u8]) -> Produced {
        let request = produce_request(topic, -1, &[(partition, records)]);
        self.produced(&request).unwrap().remove(0)
    }

    /// Sends a Produce request, and says what became of each partition, in the request's order.
    pub(crate) fn produced(&mut self, request: &ProduceRequest<'_>) -> io::Result<Vec<Produced>> {
        Ok(produced(&self.call(ApiKey::Produce, 12, request)?))
    }

    /// Whatever one fetch of up to a megabyte gives at once.
    pub(crate) fn fetch(&mut self, topic: &str, partition: i32, from: i64) -> Fetched {
        self.fetched(&fetch_request(topic, partition, from)).unwrap()
    }

    pub(crate) fn fetched(&mut self, request: &FetchRequest<'_>) -> io::Result<Fetched> {
        let answer = self.call(ApiKey::Fetch, 12, request)?;
        let response: FetchResponse<'_> = answer.read();
        assert_eq!(response.error_code, 0);
        let partition = &response.responses[0].partitions[0];
        let records = partition.records.as_ref().and_then(|records| records.as_slice());
        Ok(Fetched {
            code: code(partition.error_code),
            high_watermark: partition.high_watermark,
            log_start: partition.log_start_offset,
            bytes: records.unwrap_or_default().to_vec(),
        })
    }

    /// All values of a partition from an offset on, each with its offset.
    pub(crate) fn read_all(
        &mut self,
        topic: &str,
        partition: i32,
        from: i64,
    ) -> io::Result<Vec<(i64, Vec<u8>)>> {
        let mut values = Vec::new();
        let mut next = from;
        loop {
            let fetched = self.fetched(&fetch_request(topic, partition, next))?;
            assert_eq!(fetched.code, ErrorCode::None, "{topic}-{partition} from {next}");
            let more = fetched.values();
            values.extend(more.into_iter().filter(|(offset, _)| *offset >= next));
            let Some((last, _)) = values.last().filter(|(last, _)| *last >= next) else {
                assert_eq!(fetched.high_watermark, next, "{topic}-{partition} ends early");
                return Ok(values);
            };
            next = last + 1;
        }
    }

    /// The offset that ListOffsets knows for a timestamp, or -1 the end, -2 the start.
    pub(crate) fn offset_at(
        &mut self,
        topic: &str,
        partition: i32,
        timestamp: i64,
    ) -> Result<i64, ErrorCode> {
        let asked =
            ListOffsetsPartition { partition_index: partition, timestamp, ..Default::default() };
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: vec![ListOffsetsTopic {
                name: topic,
                partitions: vec![asked],
                ..Default::default()
            }],
            ..Default::default()
        };
        let answer = self.call(ApiKey::ListOffsets, 7, &request).unwrap();
        let response: ListOffsetsResponse<'_> = answer.read();
        let told = &response.topics[0].partitions[0];
        match code(told.error_code) {
            ErrorCode::None => Ok(told.offset),
            other => Err(other),
        }
    }

    /// A new producer's id and epoch.
    pub(crate) fn init_producer_id(&mut self) -> io::Result<(i64, i16)> {
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: 1000,
            ..Default::default()
        };
        let answer = self.call(ApiKey::InitProducerId, 4, &request)?;
        let response: InitProducerIdResponse = answer.read();
        match code(response.error_code) {
            ErrorCode::None => Ok((response.producer_id, response.producer_epoch)),
            other => Err(io::Error::other(other.name())),
        }
    }
}

impl Answer {
    pub(crate) fn correlation_id(&self) -> i32 {
        i32::from_be_bytes(*self.bytes.first_chunk().unwrap())
    }

    /// The answer itself; nothing may stand behind it.
    pub(crate) fn read<'a, M: Message<'a>>(&'a self) -> M {
        let mut reader = Reader::new(&self.bytes);
        ResponseHeader::decode_from(&mut reader, self.header_version).unwrap();
        let decoded = M::decode(reader.rest(), self.version).unwrap();
        assert_eq!(decoded.trailing, 0, "bytes behind the answer");
        decoded.message
    }
}

impl Fetched {
    /// The values of the records, each with its offset.
    pub(crate) fn values(&self) -> Vec<(i64, Vec<u8>)> {
        let mut values = Vec::new();
        let mut scratch = Scratch::default();
        let mut batches = Batches::checking(&self.bytes);
        for batch in &mut batches {
            for record in batch.records(&mut scratch, Budget::default()).unwrap() {
                let record = record.unwrap();
                values.push((record.offset.0, record.value.unwrap_or_default().to_vec()));
            }
        }
        // The last batch may be cut off: a limit of bytes does not know where batches end.
        assert!(batches.stopped().is_none_or(|why| why.is_incomplete()), "{batches:?}");
        values
    }
}

pub(crate) fn code(number: i16) -> ErrorCode {
    ErrorCode::from_number(number).unwrap()
}

pub(crate) fn produced(answer: &Answer) -> Vec<Produced> {
    let response: ProduceResponse<'_> = answer.read();
    let of_topics = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    let one =
        |told: &milena_protocol::api::produce::response::PartitionProduceResponse<'_>| Produced {
            code: code(told.error_code),
            base_offset: told.base_offset,
            at_fault: told.record_errors.iter().map(|error| error.batch_index).collect(),
        };
    of_topics.map(one).collect()
}

pub(crate) fn produce_request<'a>(
    name: &'a str,
    acks: i16,
    partitions: &[(i32, &'a [u8])],
) -> ProduceRequest<'a> {
    let data = |(index, records): &(i32, &'a [u8])| PartitionProduceData {
        index: *index,
        records: Some(Records::Slice(records)),
        ..Default::default()
    };
    let partition_data = partitions.iter().map(data).collect();
    ProduceRequest {
        acks,
        timeout_ms: 15_000,
        topic_data: vec![TopicProduceData { name, partition_data, ..Default::default() }],
        ..Default::default()
    }
}

/// A fetch of up to a megabyte that does not wait.
pub(crate) fn fetch_request(topic: &str, partition: i32, from: i64) -> FetchRequest<'_> {
    let wanted = FetchPartition {
        partition,
        fetch_offset: from,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    FetchRequest {
        max_bytes: 1 << 20,
        topics: vec![FetchTopic { topic, partitions: vec![wanted], ..Default::default() }],
        ..Default::default()
    }
}
