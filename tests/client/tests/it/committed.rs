//! Reading only what is committed: past what was aborted, and no further than what is open.

use std::{collections::BTreeSet, time::Duration};

use milena_client::{
    TopicPartition,
    consumer::{Consumer, IsolationLevel},
    producer::{Compression, Producer, ProducerConfig, Record},
};
use milena_client_tests::Cluster;

use crate::consume::{PATIENCE, config, read, topic};

/// A producer of one record a batch, so that those of several lie between each other.
async fn producer(cluster: &Cluster, id: Option<&str>) -> Producer {
    let mut settings = ProducerConfig::new(cluster.bootstrap()).compression(Compression::Lz4);
    settings.transactional_id = id.map(|id| cluster.name(id).into());
    let producer = Producer::new(settings).unwrap();
    if id.is_some() {
        producer.init_transactions().await.unwrap();
    }
    producer
}

async fn send(producer: &Producer, topic: &str, value: &str) -> i64 {
    let record = Record::to(topic).partition(0).value(value);
    let delivery = producer.send(record).await.unwrap();
    producer.flush().await;
    delivery.await.unwrap().offset.unwrap()
}

fn reader(cluster: &Cluster, partition: &TopicPartition, isolation: IsolationLevel) -> Consumer {
    let settings = config(cluster).isolation_level(isolation).max_poll_records(2_usize);
    let consumer = Consumer::new(settings).unwrap();
    consumer.assign([partition.clone()]).unwrap();
    consumer
}

async fn values(consumer: &mut Consumer, count: usize) -> Vec<String> {
    let all = read(consumer, count).await;
    all.iter().map(|it| String::from_utf8(it.value.as_deref().unwrap().to_vec()).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_committed_is_read_and_nothing_behind_what_is_open() {
    let cluster = Cluster::start().unwrap();
    let name = topic(&cluster, "committed", 1).await;
    let partition = TopicPartition::new(name.as_str(), 0);
    let plain = producer(&cluster, None).await;
    let (good, bad) =
        (producer(&cluster, Some("good")).await, producer(&cluster, Some("bad")).await);
    let open = producer(&cluster, Some("open")).await;

    send(&plain, &name, "plain 0").await;
    // Two transactions lie between each other, one of which is aborted, twice.
    for round in 1..3 {
        good.begin().unwrap();
        bad.begin().unwrap();
        send(&good, &name, &format!("good {round}a")).await;
        send(&bad, &name, &format!("bad {round}a")).await;
        send(&plain, &name, &format!("plain {round}")).await;
        send(&bad, &name, &format!("bad {round}b")).await;
        send(&good, &name, &format!("good {round}b")).await;
        if round == 1 {
            bad.abort().await.unwrap();
            good.commit().await.unwrap();
        } else {
            good.commit().await.unwrap();
            bad.abort().await.unwrap();
        }
    }
    // What the first of them did is committed the next time.
    bad.begin().unwrap();
    send(&bad, &name, "bad is good").await;
    bad.commit().await.unwrap();
    open.begin().unwrap();
    let first_open = send(&open, &name, "open").await;
    let last = send(&plain, &name, "behind it").await;

    let expected = [
        "plain 0",
        "good 1a",
        "plain 1",
        "good 1b",
        "good 2a",
        "plain 2",
        "good 2b",
        "bad is good",
    ];
    let mut committed = reader(&cluster, &partition, IsolationLevel::ReadCommitted);
    assert_eq!(values(&mut committed, expected.len()).await, expected);
    let more = committed.poll(Duration::from_millis(600)).await.unwrap();
    assert!(more.is_empty(), "a transaction is open");
    let ends = committed.end_offsets(std::slice::from_ref(&partition)).await.unwrap();
    assert_eq!(ends[&partition], first_open);
    assert_eq!(committed.position(&partition).await.unwrap(), first_open);
    assert_eq!(committed.lag(&partition), Some(0), "there is no more for this reader");
    let marks = committed.watermarks(&partition).unwrap();
    assert_eq!((marks.last_stable_offset, marks.high_watermark), (first_open, last + 1));

    let mut all = reader(&cluster, &partition, IsolationLevel::ReadUncommitted);
    let seen = values(&mut all, expected.len() + 6).await;
    assert_eq!(seen.last().unwrap(), "behind it");
    let bad: BTreeSet<_> = seen.iter().filter(|value| value.starts_with("bad ")).collect();
    assert_eq!(bad.len(), 5, "{bad:?}");
    let ends = all.end_offsets(std::slice::from_ref(&partition)).await.unwrap();
    assert_eq!(ends[&partition], last + 1);

    open.commit().await.unwrap();
    assert_eq!(values(&mut committed, 2).await, ["open", "behind it"]);

    // From wherever one begins, also in the middle of what was aborted.
    let mut from = reader(&cluster, &partition, IsolationLevel::ReadCommitted);
    let whole: Vec<_> = expected.into_iter().chain(["open", "behind it"]).collect();
    for offset in 0..=last {
        from.seek(&partition, offset).unwrap();
        let first = values(&mut from, 1).await.remove(0);
        let at = whole.iter().position(|value| *value == first);
        assert!(at.is_some(), "from {offset}: {first}");
    }
    for producer in [plain, good, open] {
        producer.close(PATIENCE).await.unwrap();
    }
    for consumer in [committed, all, from] {
        consumer.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_lets_readers_on_and_large_transactions_stay_whole() {
    let cluster = Cluster::start().unwrap();
    let name = topic(&cluster, "whole", 1).await;
    let partition = TopicPartition::new(name.as_str(), 0);
    let producer = producer(&cluster, Some("rounds")).await;
    let mut committed = reader(&cluster, &partition, IsolationLevel::ReadCommitted);
    let mut expected = 0;
    for round in 0..6 {
        producer.begin().unwrap();
        for number in 0..500 {
            let value = format!("{round} {number}");
            let record = Record::to(&name).partition(0).value(value);
            drop(producer.send(record).await.unwrap());
        }
        producer.flush().await;
        let early = committed.poll(Duration::from_millis(20)).await.unwrap();
        assert!(early.is_empty(), "round {round} is still open");
        if round % 2 == 0 {
            producer.abort().await.unwrap();
            continue;
        }
        producer.commit().await.unwrap();
        let all = values(&mut committed, 500).await;
        for (number, value) in all.iter().enumerate() {
            assert_eq!(*value, format!("{round} {number}"));
        }
        expected += all.len();
    }
    assert_eq!(expected, 1500);
    producer.close(PATIENCE).await.unwrap();
    committed.close().await.unwrap();
}
