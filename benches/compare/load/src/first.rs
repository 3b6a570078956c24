//! The first record: from no broker at all to an acknowledgement.

use std::{
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use milena_protocol::{
    Offset,
    api::{
        ApiKey, CreateTopicsRequest, CreateTopicsResponse, ProduceRequest, ProduceResponse,
        create_topics::request::CreatableTopic,
        produce::request::{PartitionProduceData, TopicProduceData},
    },
    records::BatchBuilder,
};

use crate::{Result, client::Client, client::name};

const TOPIC: &str = "first";
const PAUSE: Duration = Duration::from_micros(500);

/// Asks until a record is acknowledged, and says when that was, in seconds since 1970.
pub(crate) fn first(server: &str) -> Result<()> {
    let mut client = loop {
        match Client::connect(server) {
            Ok(client) => break client,
            Err(_) => thread::sleep(PAUSE),
        }
    };
    loop {
        match name(produce(&mut client)?) {
            "NONE" => break,
            "UNKNOWN_TOPIC_OR_PARTITION" => create(&mut client)?,
            "NOT_LEADER_OR_FOLLOWER" | "LEADER_NOT_AVAILABLE" => {}
            other => return Err(other.into()),
        }
        thread::sleep(PAUSE);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    println!("acknowledged {:.6}", now.as_secs_f64());
    Ok(())
}

fn create(client: &mut Client) -> Result<()> {
    let topic = CreatableTopic {
        name: TOPIC,
        num_partitions: 1,
        replication_factor: 1,
        ..Default::default()
    };
    let request =
        CreateTopicsRequest { topics: vec![topic], timeout_ms: 60_000, ..Default::default() };
    // If it is not there then, it is asked for again.
    let _: CreateTopicsResponse<'_> = client.call(ApiKey::CreateTopics, 7, &request)?;
    Ok(())
}

fn produce(client: &mut Client) -> Result<i16> {
    let mut batch = BatchBuilder::new(Offset(0));
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as i64;
    batch.append(now_ms, None, Some(b"the first of many"), []);
    let mut bytes = Vec::new();
    batch.build(&mut bytes)?;
    let records = Some(bytes::Bytes::from(bytes).into());
    let partition = PartitionProduceData { index: 0, records };
    let topic =
        TopicProduceData { name: TOPIC, partition_data: vec![partition], ..Default::default() };
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![topic],
        ..Default::default()
    };
    let answer: ProduceResponse<'_> = client.call(ApiKey::Produce, 9, &request)?;
    let partition = answer.responses.first().and_then(|it| it.partition_responses.first());
    Ok(partition.map_or(-1, |partition| partition.error_code))
}
