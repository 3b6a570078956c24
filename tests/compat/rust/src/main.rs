//! rskafka: the same story as the other clients', without what it cannot say (acks other than
//! all, settings).

use std::collections::BTreeMap;

use chrono::{TimeZone, Utc};
use rskafka::{
    client::{
        ClientBuilder,
        partition::{Compression, OffsetAt, UnknownTopicHandling},
    },
    record::Record,
};

const TOPIC: &str = "compat-rskafka";

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let address = std::env::args().nth(1).expect("an address");
    let client = ClientBuilder::new(vec![address]).build().await.unwrap();
    let admin = client.controller_client().unwrap();
    admin.create_topic(TOPIC, 2, 1, 5_000).await.unwrap();
    let partition = client.partition_client(TOPIC, 0, UnknownTopicHandling::Retry).await.unwrap();
    let codecs = [
        Compression::NoCompression,
        Compression::Gzip,
        Compression::Lz4,
        Compression::Snappy,
        Compression::Zstd,
    ];
    let mut expected = Vec::new();
    for (number, codec) in codecs.into_iter().enumerate() {
        let value = format!("value {number}").into_bytes();
        expected.push(value.clone());
        let record = Record {
            key: Some(b"k".to_vec()),
            value: Some(value),
            headers: BTreeMap::from([("h".to_owned(), b"1".to_vec())]),
            timestamp: Utc.timestamp_millis_opt(1_700_000_000_000).unwrap(),
        };
        let offsets = partition.produce(vec![record], codec).await.unwrap();
        assert_eq!(offsets, [number as i64]);
    }
    assert_eq!(partition.get_offset(OffsetAt::Latest).await.unwrap(), 5);
    let mut read = Vec::new();
    while read.len() < expected.len() {
        let (records, _) =
            partition.fetch_records(read.len() as i64, 1..1_000_000, 10_000).await.unwrap();
        read.extend(records.into_iter().map(|record| record.record.value.unwrap()));
    }
    assert_eq!(read, expected);
    let (from_three, _) = partition.fetch_records(3, 1..1_000_000, 10_000).await.unwrap();
    assert_eq!(from_three.first().map(|record| record.offset), Some(3));
    partition.delete_records(2, 5_000).await.unwrap();
    assert_eq!(partition.get_offset(OffsetAt::Earliest).await.unwrap(), 2);
    admin.delete_topic(TOPIC, 5_000).await.unwrap();
    assert!(client.list_topics().await.unwrap().iter().all(|topic| topic.name != TOPIC));
    println!("well");
}
