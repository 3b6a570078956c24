//! Who uses more than their quota has to wait, and is told so.

use std::{
    io::{Read, Write},
    time::Duration,
};

use milena_env::{Clock, RealClock};
use milena_protocol::{
    Offset,
    api::{
        AlterClientQuotasRequest, ApiKey, CreatePartitionsRequest, CreateTopicsRequest,
        DeleteTopicsRequest, FetchRequest, MetadataRequest,
        alter_client_quotas::request::{EntityData, EntryData, OpData},
        create_partitions::request::CreatePartitionsTopic,
        create_topics::request::CreatableTopic,
        delete_topics::request::DeleteTopicState,
        fetch::request::{FetchPartition, FetchTopic},
    },
    records::BatchBuilder,
};
use serde_json::Value;

use super::Rig;

fn limit(rig: &mut Rig, client_id: &str, key: &str, value: f64) {
    let entity = vec![EntityData { entity_type: "client-id", entity_name: Some(client_id) }];
    let ops = vec![OpData { key, value, remove: false }];
    let request =
        AlterClientQuotasRequest { entries: vec![EntryData { entity, ops }], validate_only: false };
    let answer = rig.ask(ApiKey::AlterClientQuotas, &request);
    assert_eq!(answer["entries"][0]["errorCode"], 0, "{answer}");
}

fn produce(rig: &mut Rig, bytes: usize) -> Value {
    let mut builder = BatchBuilder::new(Offset(0));
    builder.append(1, None, Some(&vec![7; bytes]), []);
    rig.produce(&builder)
}

fn fetch(rig: &mut Rig) -> Value {
    let partition = FetchPartition { partition_max_bytes: 1 << 20, ..Default::default() };
    let topic = FetchTopic { topic: "t", partitions: vec![partition], ..Default::default() };
    let request = FetchRequest {
        topics: vec![topic],
        max_bytes: 1 << 20,
        session_epoch: -1,
        ..Default::default()
    };
    rig.ask_in(ApiKey::Fetch, 12, &request).unwrap()
}

#[test]
fn who_produces_too_much_has_to_wait_and_nobody_else() {
    let mut rig = Rig::start("");
    rig.create_topic("t");
    limit(&mut rig, "greedy", "producer_byte_rate", 10_000.0);
    rig.client_id = "greedy".to_owned();
    assert_eq!(produce(&mut rig, 90_000)["throttleTimeMs"], 0, "what ten seconds allow");
    let begun = RealClock.monotonic();
    let answer = produce(&mut rig, 14_000);
    assert_eq!(answer["responses"][0]["partitionResponses"][0]["errorCode"], 0, "{answer}");
    let wait = Duration::from_millis(answer["throttleTimeMs"].as_u64().unwrap());
    assert!(wait > Duration::from_millis(100) && wait < Duration::from_secs(1), "{wait:?}");
    // The connection is deaf for as long, whatever is asked.
    rig.ask(ApiKey::Metadata, &MetadataRequest::default());
    assert!((RealClock.monotonic() - begun) >= wait);
    rig.client_id = "modest".to_owned();
    assert_eq!(produce(&mut rig, 200_000)["throttleTimeMs"], 0);
}

#[test]
fn who_fetches_too_much_gets_nothing_until_it_has_waited() {
    let mut rig = Rig::start("");
    rig.create_topic("t");
    produce(&mut rig, 60_000);
    limit(&mut rig, "test", "consumer_byte_rate", 10_000.0);
    let first = fetch(&mut rig);
    assert_eq!(
        (&first["throttleTimeMs"], first["responses"].as_array().unwrap().len()),
        (&0.into(), 1)
    );
    let begun = RealClock.monotonic();
    let second = fetch(&mut rig);
    let wait = Duration::from_millis(second["throttleTimeMs"].as_u64().unwrap());
    assert!(wait > Duration::from_millis(500), "{second}");
    assert_eq!(second["responses"].as_array().unwrap().len(), 0, "none of it counts as fetched");
    assert_eq!(second["errorCode"], 0);
    rig.ask(ApiKey::Metadata, &MetadataRequest::default());
    assert!((RealClock.monotonic() - begun) >= wait);
}

#[test]
fn a_batch_that_is_larger_than_the_quota_is_fetched_all_the_same() {
    let mut rig = Rig::start("");
    rig.create_topic("t");
    produce(&mut rig, 60_000);
    limit(&mut rig, "test", "consumer_byte_rate", 100.0);
    let first = fetch(&mut rig);
    assert_eq!(first["throttleTimeMs"], 0);
    assert_eq!(first["responses"].as_array().unwrap().len(), 1, "a reader must get on");
    rig.client_id = "another".to_owned();
    assert_eq!(fetch(&mut rig)["throttleTimeMs"], 0);
}

#[test]
fn who_keeps_a_thread_too_busy_has_to_wait() {
    let mut rig = Rig::start("");
    limit(&mut rig, "test", "request_percentage", 0.000_001);
    rig.ask(ApiKey::Metadata, &MetadataRequest::default());
    let begun = RealClock.monotonic();
    let answer = rig.ask(ApiKey::Metadata, &MetadataRequest::default());
    let waited = RealClock.monotonic() - begun;
    assert!(waited > Duration::from_millis(500) && waited < Duration::from_secs(5), "{waited:?}");
    assert_eq!(answer["throttleTimeMs"], 1000, "never longer than a sample");
}

/// Ten tokens for partitions, which come back so slowly that it does not show.
#[test]
fn who_creates_and_deletes_too_many_partitions_is_refused_or_has_to_wait() {
    let mut rig = Rig::start("controller.quota.window.num=1000000");
    limit(&mut rig, "test", "controller_mutation_rate", 0.000_01);
    let create = |rig: &mut Rig, version, name, num_partitions| {
        let topic =
            CreatableTopic { name, num_partitions, replication_factor: 1, ..Default::default() };
        let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
        let answer = rig.ask_in(ApiKey::CreateTopics, version, &request).unwrap();
        let wait = answer["throttleTimeMs"].as_i64().unwrap();
        (answer["topics"][0]["errorCode"].as_i64().unwrap(), wait)
    };
    const EXISTS: i64 = 36;
    const THROTTLED: i64 = 89;
    assert_eq!(create(&mut rig, 7, "a", 6), (0, 0));
    assert_eq!(create(&mut rig, 7, "a", 6), (EXISTS, 0), "what fails does not count");
    assert_eq!(create(&mut rig, 7, "b", 5), (0, 0), "by one too many, but begun in time");
    // From here on every answer makes its connection deaf.
    let mut again = |version, name| {
        rig.stream = rig.connect();
        create(&mut rig, version, name, 1)
    };
    let (code, wait) = again(7, "c");
    assert!(code == THROTTLED && wait > 90_000_000, "{code} {wait}");
    let (code, longer) = again(5, "c");
    assert!(code == 0 && longer > wait, "an old client cannot be refused");
    rig.client_id = "another".to_owned();
    rig.stream = rig.connect();
    assert_eq!(create(&mut rig, 7, "d", 100), (0, 0));
    let version = ApiKey::DeleteTopics.api().stable_max;
    rig.client_id = "test".to_owned();
    let topic = DeleteTopicState { name: Some("d"), ..Default::default() };
    let request = DeleteTopicsRequest { topics: vec![topic], ..Default::default() };
    let answer = rig.ask_in(ApiKey::DeleteTopics, version, &request).unwrap();
    assert_eq!(answer["responses"][0]["errorCode"], THROTTLED, "{answer}");
    rig.stream = rig.connect();
    let topic = CreatePartitionsTopic { name: "a", count: 7, assignments: None };
    let request = CreatePartitionsRequest { topics: vec![topic], ..Default::default() };
    let answer = rig.ask(ApiKey::CreatePartitions, &request);
    assert_eq!(answer["results"][0]["errorCode"], THROTTLED, "{answer}");
}

/// Whether a new connection is served, and after how long.
fn connected(rig: &Rig) -> (bool, Duration) {
    let since = RealClock.monotonic();
    let mut stream = rig.connect();
    // ApiVersions in version 0, without a client id.
    stream.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff]).unwrap();
    let is_served = stream.read_exact(&mut [0; 8]).is_ok();
    (is_served, RealClock.monotonic() - since)
}

#[test]
fn an_address_that_connects_too_often_is_kept_waiting_and_refused() {
    let mut rig = Rig::start("");
    let entity = vec![EntityData { entity_type: "ip", entity_name: Some("127.0.0.1") }];
    let ops = vec![OpData { key: "connection_creation_rate", value: 1.0, remove: false }];
    let entries = vec![EntryData { entity, ops }];
    let request = AlterClientQuotasRequest { entries, validate_only: false };
    rig.ask(ApiKey::AlterClientQuotas, &request);
    let served = (0..10).filter(|_| connected(&rig).0).count();
    assert_eq!(served, 10, "ten seconds' worth");
    let more: Vec<_> = (0..3).map(|_| connected(&rig)).collect();
    let (is_served, wait) = more[2];
    assert!(!is_served && wait > Duration::from_millis(500), "{is_served} {wait:?}");
}

#[test]
fn all_wait_while_more_connect_than_a_broker_accepts() {
    let rig = Rig::start("max.connection.creation.rate=2");
    let waits: Vec<_> = (0..22).map(|_| connected(&rig)).collect();
    assert!(waits.iter().all(|(is_served, _)| *is_served), "{waits:?}");
    assert!(waits[..15].iter().all(|(_, wait)| *wait < Duration::from_millis(300)), "{waits:?}");
    assert!(waits[21].1 > Duration::from_millis(100), "{waits:?}");
}

#[test]
fn who_goes_while_it_has_to_wait_is_noticed() {
    let mut rig = Rig::start("max.connections=1");
    rig.create_topic("t");
    limit(&mut rig, "test", "producer_byte_rate", 1.0);
    let answer = produce(&mut rig, 100_000);
    assert!(answer["throttleTimeMs"].as_u64().unwrap() > 10_000_000, "{answer}");
    assert!(!connected(&rig).0, "there may be one connection");
    rig.stream.shutdown(std::net::Shutdown::Write).unwrap();
    let since = RealClock.monotonic();
    while !connected(&rig).0 {
        assert!(RealClock.monotonic() - since < Duration::from_secs(10), "nobody noticed");
    }
}
