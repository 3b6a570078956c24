//! Who uses more than their quota has to wait, and is told so.

use std::time::Duration;

use milena_env::{Clock, RealClock};
use milena_protocol::{
    Offset,
    api::{
        AlterClientQuotasRequest, ApiKey, FetchRequest, MetadataRequest,
        alter_client_quotas::request::{EntityData, EntryData, OpData},
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
    rig.ask(ApiKey::Metadata, &MetadataRequest::default());
    let waited = RealClock.monotonic() - begun;
    assert!(waited > Duration::from_millis(500) && waited < Duration::from_secs(5), "{waited:?}");
}
