//! Reading partitions that were chosen by hand: positions, resets, what is given and what is not.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use milena_client::{
    Error, TopicPartition,
    admin::{Admin, NewTopic},
    consumer::{Consumer, ConsumerConfig, IsolationLevel, OffsetReset, OwnedRecord},
    producer::{Compression, Producer, ProducerConfig, Record},
};
use milena_client_tests::Cluster;

/// The broker waits 45 seconds for a member of the consumer protocol that is gone.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn config(cluster: &Cluster) -> ConsumerConfig {
    ConsumerConfig::new(cluster.bootstrap()).auto_offset_reset(OffsetReset::Earliest)
}

pub(crate) async fn topic(cluster: &Cluster, word: &str, partitions: i32) -> String {
    let name = cluster.name(word);
    let admin = Admin::connect(&cluster.config()).unwrap();
    let made = admin.create_topics(&[NewTopic::new(&name).partitions(partitions)]).await.unwrap();
    assert!(made.iter().all(|(_, result)| result.is_ok()), "{made:?}");
    name
}

/// Sends numbers to a partition, each as its own text.
pub(crate) async fn send(
    cluster: &Cluster,
    topic: &str,
    partition: i32,
    numbers: Range<usize>,
    compression: Compression,
) {
    let settings = ProducerConfig::new(cluster.bootstrap()).compression(compression);
    let producer = Producer::new(settings).unwrap();
    for number in numbers {
        let text = number.to_string();
        let record = Record::to(topic).partition(partition).value(text.as_str());
        drop(producer.send(record.timestamp(number as i64 * 1000)).await.unwrap());
    }
    producer.flush().await;
    producer.close(PATIENCE).await.unwrap();
}

pub(crate) fn number(record: &OwnedRecord) -> usize {
    std::str::from_utf8(record.value.as_deref().unwrap()).unwrap().parse().unwrap()
}

/// Polls until so many records have come.
pub(crate) async fn read(consumer: &mut Consumer, count: usize) -> Vec<OwnedRecord> {
    let mut all = Vec::new();
    let begun = std::time::Instant::now();
    while all.len() < count {
        let records = consumer.poll(Duration::from_secs(1)).await.unwrap();
        all.extend(records.iter().map(|record| record.to_owned()));
        assert!(begun.elapsed() < PATIENCE, "{} of {count} records", all.len());
    }
    all
}

#[tokio::test]
async fn what_was_sent_is_read_in_order_whatever_it_is_compressed_with() {
    let cluster = Cluster::start().unwrap();
    let all = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];
    let name = topic(&cluster, "in-order", 5).await;
    for (partition, compression) in (0..).zip(all) {
        send(&cluster, &name, partition, 0..2000, compression).await;
    }
    let mut consumer = Consumer::new(config(&cluster)).unwrap();
    consumer.assign((0..5).map(|at| TopicPartition::new(name.as_str(), at))).unwrap();
    let mut next = [0; 5];
    for record in read(&mut consumer, 10_000).await {
        let next = &mut next[record.partition.partition as usize];
        assert_eq!((record.offset, number(&record)), (*next, *next as usize));
        *next += 1;
    }
    assert_eq!(next, [2000; 5]);
    let partition = TopicPartition::new(name.as_str(), 0);
    assert_eq!(consumer.position(&partition).await.unwrap(), 2000);
    assert_eq!(consumer.lag(&partition), Some(0));
    assert!(consumer.poll(Duration::from_millis(50)).await.unwrap().is_empty());
    consumer.close().await.unwrap();
}

#[tokio::test]
async fn a_poll_gives_no_more_than_it_may_and_dropping_it_loses_nothing() {
    let cluster = Cluster::start().unwrap();
    let name = topic(&cluster, "no-more", 1).await;
    send(&cluster, &name, 0, 0..1000, Compression::Lz4).await;
    let mut consumer = Consumer::new(config(&cluster).max_poll_records(7_usize)).unwrap();
    consumer.assign([TopicPartition::new(name.as_str(), 0)]).unwrap();
    let mut all = Vec::new();
    let mut dropped = 0;
    while all.len() < 1000 {
        // Dropped at any moment, before and after there is something.
        let wait = Duration::from_micros((all.len() + dropped) as u64 % 5 * 50);
        let records = tokio::select! {
            biased;
            () = milena_env::timer::sleep(wait) => {
                dropped += 1;
                continue;
            }
            records = consumer.poll(PATIENCE) => records.unwrap(),
        };
        assert!(records.len() <= 7);
        all.extend(records.iter().map(|record| number(&record.to_owned())));
    }
    assert_eq!(all, Vec::from_iter(0..1000));
    assert!(dropped > 0);
}

#[tokio::test]
async fn a_stream_gives_every_record_and_gives_back_what_nobody_took() {
    let cluster = Cluster::start().unwrap();
    let name = topic(&cluster, "stream", 1).await;
    send(&cluster, &name, 0, 0..100, Compression::None).await;
    let mut consumer = Consumer::new(config(&cluster)).unwrap();
    consumer.assign([TopicPartition::new(name.as_str(), 0)]).unwrap();
    let mut all = Vec::new();
    for part in [1, 30, 69] {
        let mut stream = consumer.stream();
        for _ in 0..part {
            let next = std::future::poll_fn(|context| {
                futures_core::Stream::poll_next(std::pin::Pin::new(&mut stream), context)
            });
            all.push(number(&next.await.unwrap().unwrap()));
        }
    }
    assert_eq!(all, Vec::from_iter(0..100));
}

#[tokio::test]
async fn positions_go_where_they_are_sent() {
    let cluster = Cluster::start().unwrap();
    let name = topic(&cluster, "positions", 2).await;
    for partition in 0..2 {
        send(&cluster, &name, partition, 0..100, Compression::None).await;
    }
    let [one, other] = [0, 1].map(|at| TopicPartition::new(name.as_str(), at));
    let mut consumer = Consumer::new(config(&cluster)).unwrap();
    consumer.assign([one.clone()]).unwrap();
    consumer.seek(&one, 40).unwrap();
    assert_eq!(number(&read(&mut consumer, 60).await[0]), 40);
    consumer.seek_to_beginning([&one]).unwrap();
    assert_eq!(number(&read(&mut consumer, 100).await[0]), 0);
    consumer.seek_to_end([&one]).unwrap();
    assert_eq!(consumer.position(&one).await.unwrap(), 100);
    send(&cluster, &name, 0, 100..101, Compression::None).await;
    assert_eq!(number(&read(&mut consumer, 1).await[0]), 100);

    consumer.assign([one.clone(), other.clone()]).unwrap();
    consumer.pause([&other]).unwrap();
    consumer.seek(&one, 99).unwrap();
    let read_now = read(&mut consumer, 2).await;
    assert!(read_now.iter().all(|record| record.partition == one), "the other one is paused");
    assert_eq!(consumer.paused(), [other.clone()].into());
    consumer.resume([&other]).unwrap();
    assert_eq!(read(&mut consumer, 100).await.len(), 100);
    assert!(consumer.seek(&TopicPartition::new(name.as_str(), 7), 0).is_err(), "not assigned");

    let ends = consumer.end_offsets(&[one.clone(), other.clone()]).await.unwrap();
    assert_eq!(ends, BTreeMap::from([(one.clone(), 101), (other.clone(), 100)]));
    let starts = consumer.beginning_offsets(std::slice::from_ref(&one)).await.unwrap();
    assert_eq!(starts, BTreeMap::from([(one.clone(), 0)]));
    let times = BTreeMap::from([(one.clone(), 49_500), (other, 1 << 50)]);
    let found = consumer.offsets_for_times(&times).await.unwrap();
    assert_eq!(found.len(), 1, "nothing is as young as the other time");
    assert_eq!((found[&one].offset, found[&one].timestamp), (50, 50_000));
}

#[tokio::test]
async fn where_nothing_is_known_the_policy_says_where_to_begin() {
    let cluster = Cluster::start().unwrap();
    let name = topic(&cluster, "policy", 1).await;
    send(&cluster, &name, 0, 0..50, Compression::None).await;
    let partition = TopicPartition::new(name.as_str(), 0);
    let consumer = |policy| {
        let consumer = Consumer::new(config(&cluster).auto_offset_reset(policy)).unwrap();
        consumer.assign([partition.clone()]).unwrap();
        consumer
    };
    let latest = consumer(OffsetReset::Latest);
    assert_eq!(latest.position(&partition).await.unwrap(), 50);
    let recent = consumer(OffsetReset::ByDuration(Duration::from_secs(3600)));
    assert_eq!(recent.position(&partition).await.unwrap(), 50, "all are from 1970");
    let mut none = consumer(OffsetReset::None);
    let error = none.poll(PATIENCE).await.unwrap_err();
    assert_eq!(error.code().unwrap().name(), "OFFSET_OUT_OF_RANGE", "{error}");
    none.seek(&partition, 10).unwrap();
    assert_eq!(read(&mut none, 40).await.len(), 40);
    // An offset that the log does not have.
    none.seek(&partition, 1000).unwrap();
    let error = none.poll(PATIENCE).await.unwrap_err();
    assert_eq!(error.code().unwrap().name(), "OFFSET_OUT_OF_RANGE", "{error}");
    let mut earliest = consumer(OffsetReset::Earliest);
    earliest.seek(&partition, 1000).unwrap();
    assert_eq!(number(&read(&mut earliest, 50).await[0]), 0);
}

#[tokio::test]
async fn without_a_group_there_is_nothing_to_commit_and_nothing_to_subscribe_to() {
    let cluster = Cluster::start().unwrap();
    let consumer = Consumer::new(config(&cluster)).unwrap();
    for error in [consumer.subscribe(["t"]).unwrap_err(), consumer.commit().await.unwrap_err()] {
        assert!(matches!(&error, Error::Config { key, .. } if &**key == "group.id"), "{error}");
    }
    let with_group = config(&cluster).group_id(cluster.name("g"));
    let consumer = Consumer::new(with_group).unwrap();
    consumer.assign([TopicPartition::new("t", 0)]).unwrap();
    assert!(matches!(consumer.subscribe(["t"]), Err(Error::Invalid(_))), "either or");
}

#[tokio::test]
async fn what_is_committed_by_hand_is_where_the_next_one_begins() {
    let cluster = Cluster::start().unwrap();
    let name = topic(&cluster, "by-hand", 1).await;
    send(&cluster, &name, 0, 0..100, Compression::None).await;
    let partition = TopicPartition::new(name.as_str(), 0);
    let only = std::slice::from_ref(&partition);
    let settings = config(&cluster)
        .group_id(cluster.name("g"))
        .enable_auto_commit(false)
        .isolation_level(IsolationLevel::ReadCommitted)
        .max_poll_records(30_usize);
    let mut first = Consumer::new(settings.clone()).unwrap();
    first.assign([partition.clone()]).unwrap();
    assert_eq!(first.poll(PATIENCE).await.unwrap().len(), 30);
    first.commit().await.unwrap();
    assert_eq!(first.poll(PATIENCE).await.unwrap().len(), 30);
    first.close().await.unwrap();
    let mut second = Consumer::new(settings).unwrap();
    let committed = second.committed(only).await.unwrap();
    assert_eq!(committed[&partition].offset, 30);
    second.assign([partition.clone()]).unwrap();
    assert_eq!(number(&read(&mut second, 1).await[0]), 30);
    let mut with_text = committed[&partition].clone();
    with_text.metadata = "half way".into();
    second.commit_offsets([(partition.clone(), with_text.clone())].into()).await.unwrap();
    assert_eq!(second.committed(only).await.unwrap()[&partition], with_text);
}
