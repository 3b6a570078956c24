//! Transactions: as many as go, each with so many records in one partition; then what it costs to
//! read them, and how long a coordinator takes to know many ids again.
//!
//! Where the cluster has `transaction.version` 2 a client's transaction is a Produce and an EndTxn,
//! else an AddPartitionsToTxn before them.

use std::{
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use milena_protocol::{
    Offset, ProducerEpoch, ProducerId,
    api::{
        AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, ApiKey, ApiVersionsRequest,
        ApiVersionsResponse, EndTxnRequest, EndTxnResponse, FetchRequest, FetchResponse,
        InitProducerIdRequest, InitProducerIdResponse, ListTransactionsRequest,
        ListTransactionsResponse, ProduceRequest, ProduceResponse,
        add_partitions_to_txn::request::AddPartitionsToTxnTopic,
        fetch::request::{FetchPartition, FetchTopic},
        produce::request::{PartitionProduceData, TopicProduceData},
    },
    records::{BatchBuilder, Batches},
};

use crate::{
    Result,
    client::{Client, name},
    latencies::at_once,
};

pub(crate) const TOPIC: &str = "transactions";
const PARTITIONS: usize = 12;
const RECORD: &[u8] = &[b'x'; 100];
/// Kafka's own client waits 20 ms before it asks again while the last transaction is being ended.
const PAUSE: Duration = Duration::from_millis(1);

struct Producer {
    client: Client,
    transactional_id: String,
    partition: i32,
    id: i64,
    epoch: i16,
    sequence: i32,
    /// Whether each transaction has an epoch of its own, and adds its partitions by writing.
    is_new: bool,
}

/// Each connection is a transactional producer that commits one transaction after the other.
pub(crate) fn commit(
    server: &str,
    time: Duration,
    connections: usize,
    records: usize,
) -> Result<()> {
    Client::connect(server)?.topic(TOPIC, PARTITIONS)?;
    at_once(server, time, connections, move |server, number| one(server, number, time, records))
}

fn one(server: &str, number: usize, time: Duration, records: usize) -> Result<Vec<Duration>> {
    let mut producer = Producer::new(server, number)?;
    producer.transaction(records)?;
    let began = Instant::now();
    let mut latencies = Vec::new();
    while began.elapsed() < time {
        let asked = Instant::now();
        producer.transaction(records)?;
        latencies.push(asked.elapsed());
    }
    Ok(latencies)
}

impl Producer {
    fn new(server: &str, number: usize) -> Result<Self> {
        let mut client = Client::connect(server)?;
        let transactional_id = format!("id-{number}");
        client.find_transactional(&transactional_id)?;
        let request =
            ApiVersionsRequest { client_software_name: "load", client_software_version: "0" };
        let versions: ApiVersionsResponse<'_> = client.call(ApiKey::ApiVersions, 3, &request)?;
        let level = versions.finalized_features.iter().find(|it| it.name == "transaction.version");
        let is_new = level.is_some_and(|level| level.max_version_level >= 2);
        let partition = (number % PARTITIONS) as i32;
        let (id, epoch) = begin(&mut client, &transactional_id)?;
        Ok(Self { client, transactional_id, partition, id, epoch, sequence: 0, is_new })
    }

    fn transaction(&mut self, records: usize) -> Result<()> {
        if !self.is_new {
            until_done(|| self.add())?;
        }
        until_done(|| self.produce(records))?;
        until_done(|| self.end())
    }

    fn add(&mut self) -> Result<i16> {
        let topic = AddPartitionsToTxnTopic { name: TOPIC, partitions: vec![self.partition] };
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: &self.transactional_id,
            v3_and_below_producer_id: self.id,
            v3_and_below_producer_epoch: self.epoch,
            v3_and_below_topics: vec![topic],
            ..Default::default()
        };
        let answer: AddPartitionsToTxnResponse<'_> =
            self.client.call(ApiKey::AddPartitionsToTxn, 3, &request)?;
        let results = answer.results_by_topic_v3_and_below.iter();
        let partition = results.flat_map(|it| &it.results_by_partition).next();
        Ok(partition.map_or(-1, |partition| partition.partition_error_code))
    }

    fn produce(&mut self, records: usize) -> Result<i16> {
        let (id, epoch) = (ProducerId(self.id), ProducerEpoch(self.epoch));
        let batch = BatchBuilder::new(Offset(0)).with_producer(id, epoch, self.sequence);
        let mut batch = batch.with_transactional();
        for _ in 0..records {
            batch.append(1, None, Some(RECORD), []);
        }
        let mut bytes = Vec::new();
        batch.build(&mut bytes)?;
        let records_of = Some(Bytes::from(bytes).into());
        let partition = PartitionProduceData { index: self.partition, records: records_of };
        let topic =
            TopicProduceData { name: TOPIC, partition_data: vec![partition], ..Default::default() };
        let request = ProduceRequest {
            transactional_id: Some(&self.transactional_id),
            acks: -1,
            timeout_ms: 30_000,
            topic_data: vec![topic],
        };
        let version = if self.is_new { 12 } else { 11 };
        let answer: ProduceResponse<'_> = self.client.call(ApiKey::Produce, version, &request)?;
        let partition = answer.responses.first().and_then(|it| it.partition_responses.first());
        let code = partition.map_or(-1, |partition| partition.error_code);
        if code == 0 {
            self.sequence += records as i32;
        }
        Ok(code)
    }

    fn end(&mut self) -> Result<i16> {
        let request = EndTxnRequest {
            transactional_id: &self.transactional_id,
            producer_id: self.id,
            producer_epoch: self.epoch,
            committed: true,
        };
        let version = if self.is_new { 5 } else { 4 };
        let answer: EndTxnResponse = self.client.call(ApiKey::EndTxn, version, &request)?;
        if answer.error_code == 0 && self.is_new {
            (self.id, self.epoch, self.sequence) = (answer.producer_id, answer.producer_epoch, 0);
        }
        Ok(answer.error_code)
    }
}

fn begin(client: &mut Client, transactional_id: &str) -> Result<(i64, i16)> {
    let request = InitProducerIdRequest {
        transactional_id: Some(transactional_id),
        transaction_timeout_ms: 60_000,
        ..Default::default()
    };
    let mut given = (-1, -1);
    until_done(|| {
        let answer: InitProducerIdResponse = client.call(ApiKey::InitProducerId, 4, &request)?;
        given = (answer.producer_id, answer.producer_epoch);
        Ok(answer.error_code)
    })?;
    Ok(given)
}

/// Asks again while the answer is to wait.
fn until_done(mut ask: impl FnMut() -> Result<i16>) -> Result<()> {
    loop {
        match name(ask()?) {
            "NONE" => return Ok(()),
            "CONCURRENT_TRANSACTIONS"
            | "COORDINATOR_LOAD_IN_PROGRESS"
            | "COORDINATOR_NOT_AVAILABLE"
            | "NOT_COORDINATOR"
            | "NOT_ENOUGH_REPLICAS" => thread::sleep(PAUSE),
            other => return Err(other.into()),
        }
    }
}

/// Reads everything that was written, all of it or what is committed.
pub(crate) fn read(server: &str, topic: &str, is_committed: bool, times: usize) -> Result<()> {
    let mut client = Client::connect(server)?;
    let began = Instant::now();
    let mut records = 0;
    for _ in 0..times {
        for partition in 0..PARTITIONS as i32 {
            records += read_partition(&mut client, topic, partition, is_committed)?;
        }
    }
    println!("count {records} seconds {:.3}", began.elapsed().as_secs_f64());
    Ok(())
}

fn read_partition(
    client: &mut Client,
    topic: &str,
    partition: i32,
    is_committed: bool,
) -> Result<i64> {
    let (mut offset, mut records) = (0, 0);
    loop {
        let asked = FetchPartition {
            partition,
            fetch_offset: offset,
            partition_max_bytes: 1 << 20,
            ..Default::default()
        };
        let asked = FetchTopic { topic, partitions: vec![asked], ..Default::default() };
        let request = FetchRequest {
            max_wait_ms: 0,
            min_bytes: 0,
            max_bytes: 1 << 20,
            isolation_level: i8::from(is_committed),
            topics: vec![asked],
            ..Default::default()
        };
        let answer: FetchResponse<'_> = client.call(ApiKey::Fetch, 12, &request)?;
        let given = answer.responses.first().and_then(|topic| topic.partitions.first());
        let given = given.ok_or("no answer for the partition")?;
        if given.error_code != 0 {
            return Err(name(given.error_code).into());
        }
        let bytes = given.records.as_ref().and_then(|records| records.as_slice());
        let before = offset;
        for batch in Batches::new(bytes.unwrap_or_default()) {
            offset = batch.header().next_offset().0;
            records += i64::from(batch.header().record_count);
        }
        if offset == before {
            return Ok(records);
        }
    }
}

/// Makes so many transactional ids known.
pub(crate) fn ids(server: &str, count: usize) -> Result<()> {
    let mut client = Client::connect(server)?;
    client.find_transactional("many-0")?;
    for number in 0..count {
        begin(&mut client, &format!("many-{number}"))?;
    }
    println!("count {count}");
    Ok(())
}

/// Waits until the coordinator knows so many ids.
pub(crate) fn wait_until_loaded(server: &str, count: usize) -> Result<()> {
    let began = Instant::now();
    let mut client = Client::connect(server)?;
    loop {
        let request = ListTransactionsRequest { duration_filter: -1, ..Default::default() };
        let listed: ListTransactionsResponse<'_> =
            client.call(ApiKey::ListTransactions, 1, &request)?;
        if listed.error_code == 0 && listed.transaction_states.len() >= count {
            println!("milliseconds {:.1}", began.elapsed().as_secs_f64() * 1e3);
            return Ok(());
        }
        thread::sleep(Duration::from_millis(5));
    }
}
