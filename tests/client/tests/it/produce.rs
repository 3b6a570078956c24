//! Sending records.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use milena_client::{
    Error,
    producer::{
        Acks, Compression, Interceptor, JsonSerializer, NumberSerializer, Producer, ProducerConfig,
        Record, RecordMetadata, RoundRobin, StringSerializer, partition_of,
    },
};
use milena_client_tests::{Cluster, Stored, Wire};

const PATIENCE: Duration = Duration::from_secs(30);

fn config(cluster: &Cluster) -> ProducerConfig {
    ProducerConfig::new(cluster.bootstrap())
}

/// A topic of so many partitions, and a connection to look into it.
async fn topic(cluster: &Cluster, word: &str, partitions: i32) -> (String, Wire) {
    topic_with(cluster, word, partitions, &[]).await
}

async fn topic_with(
    cluster: &Cluster,
    word: &str,
    partitions: i32,
    configs: &[(&str, &str)],
) -> (String, Wire) {
    let name = cluster.name(word);
    let mut wire = Wire::connect(cluster.bootstrap()).await.unwrap();
    wire.create(&name, partitions, configs).await.unwrap();
    (name, wire)
}

fn value(record: &Stored) -> &str {
    std::str::from_utf8(record.value.as_deref().unwrap_or_default()).unwrap()
}

#[tokio::test]
async fn a_record_is_stored_as_it_was_sent() {
    let cluster = Cluster::start().unwrap();
    let (name, mut wire) = topic(&cluster, "as-sent", 2).await;
    let producer = Producer::new(config(&cluster)).unwrap();
    let record = Record::to(&name).key("k").value("v").partition(1).timestamp(1_700_000_000_000);
    let sent = producer.send(record.header("h", "1").header("h", b"2")).await.unwrap();
    let sent = sent.await.unwrap();
    assert_eq!((&*sent.topic, sent.partition, sent.offset), (&*name, 1, Some(0)));
    assert_eq!(sent.timestamp, 1_700_000_000_000);
    let deleted = producer.send(Record::to(&name).key("k").partition(1)).await.unwrap();
    assert_eq!(deleted.await.unwrap().offset, Some(1));
    let stored = wire.read(&name, 1).await.unwrap();
    let headers = vec![(b"h".to_vec(), Some(b"1".to_vec())), (b"h".to_vec(), Some(b"2".to_vec()))];
    assert_eq!(
        stored[0],
        Stored {
            offset: 0,
            timestamp: 1_700_000_000_000,
            key: Some(b"k".to_vec()),
            value: Some(b"v".to_vec()),
            headers,
        }
    );
    assert_eq!((&stored[1].value, stored.len()), (&None, 2));
    producer.close(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn every_codec_and_every_acks_keeps_all_and_its_order() {
    let cluster = Cluster::start().unwrap();
    let codecs = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];
    for (at, codec) in codecs.into_iter().enumerate() {
        for acks in [Acks::All, Acks::Leader, Acks::None] {
            let (name, mut wire) = topic(&cluster, &format!("codec-{at}-{}", acks as u8), 3).await;
            // Somebody leads each: with no acknowledgements nobody would say that nobody does.
            for partition in 0..3 {
                assert!(wire.read(&name, partition).await.unwrap().is_empty());
            }
            let config = config(&cluster).acks(acks).enable_idempotence(acks == Acks::All);
            let producer = Producer::new(config.compression(codec)).unwrap();
            let mut deliveries = Vec::new();
            for number in 0..3_000 {
                let (key, value) = (format!("key {}", number % 7), format!("value {number}"));
                let record = Record::to(&name).key(key).value(value);
                deliveries.push(producer.send(record).await.unwrap());
            }
            producer.flush().await;
            let mut offsets = [0; 3];
            for (number, delivery) in deliveries.into_iter().enumerate() {
                let stored = delivery.await.unwrap();
                let key = format!("key {}", number % 7);
                assert_eq!(stored.partition, partition_of(key.as_bytes(), 3));
                let next = &mut offsets[stored.partition as usize];
                let known = (acks != Acks::None).then_some(*next);
                assert_eq!(stored.offset, known, "{codec:?} {acks:?}");
                *next += 1;
            }
            for (partition, expected) in (0..).zip(offsets) {
                let mut stored = wire.read(&name, partition).await.unwrap();
                // Without acknowledgements nobody has said that all are there yet.
                for _ in 0..100 {
                    if acks != Acks::None || stored.len() as i64 >= expected {
                        break;
                    }
                    milena_env::timer::sleep(Duration::from_millis(50)).await;
                    stored = wire.read(&name, partition).await.unwrap();
                }
                assert_eq!(stored.len() as i64, expected, "{codec:?} {acks:?}");
                let numbers = stored.iter().map(|it| value(it)[6..].parse::<u32>().unwrap());
                assert!(numbers.collect::<Vec<_>>().is_sorted(), "{codec:?} {acks:?}");
            }
        }
    }
}

#[tokio::test]
async fn records_without_keys_are_spread_in_batches_or_one_by_one() {
    let cluster = Cluster::start().unwrap();
    let (name, mut wire) = topic(&cluster, "spread", 4).await;
    let producer = Producer::new(config(&cluster).batch_size(1_000_usize)).unwrap();
    for _ in 0..4_000 {
        drop(producer.send(Record::to(&name).value(&[7; 90])).await.unwrap());
    }
    producer.close(PATIENCE).await.unwrap();
    let mut all = 0;
    for partition in 0..4 {
        let stored = wire.read(&name, partition).await.unwrap().len();
        assert!((500..1_700).contains(&stored), "{stored}");
        all += stored;
    }
    assert_eq!(all, 4_000);

    let (name, mut wire) = topic(&cluster, "in-turn", 4).await;
    let builder = Producer::builder(config(&cluster)).partitioner(RoundRobin::default());
    let producer = builder.build().unwrap();
    for _ in 0..40 {
        drop(producer.send(Record::to(&name).key("same").value("v")).await.unwrap());
    }
    producer.close(PATIENCE).await.unwrap();
    for partition in 0..4 {
        assert_eq!(wire.read(&name, partition).await.unwrap().len(), 10);
    }
}

/// Marks, drops and listens.
#[derive(Clone, Debug, Default)]
struct Listener {
    heard: Arc<Mutex<Vec<Result<i64, String>>>>,
}

impl Interceptor for Listener {
    fn before_send<'a>(&self, record: Record<'a>) -> Option<Record<'a>> {
        let is_wanted = record.value.as_deref() != Some(b"unwanted");
        is_wanted.then(|| record.header("seen", "yes"))
    }

    fn acknowledged(&self, outcome: &Result<RecordMetadata, Error>) {
        let heard = outcome.as_ref().map(|it| it.offset.unwrap()).map_err(Error::to_string);
        self.heard.lock().unwrap().push(heard);
    }
}

#[tokio::test]
async fn interceptors_change_drop_and_hear() {
    let cluster = Cluster::start().unwrap();
    let (name, mut wire) = topic_with(&cluster, "seen", 1, &[("max.message.bytes", "500")]).await;
    let listener = Listener::default();
    let builder = Producer::builder(config(&cluster)).interceptor(listener.clone());
    let producer = builder.build().unwrap();
    let one = producer.send(Record::to(&name).value("one")).await.unwrap();
    let dropped = producer.send(Record::to(&name).value("unwanted")).await;
    assert!(matches!(dropped, Err(Error::Dropped)));
    let two = producer.send(Record::to(&name).value("two")).await.unwrap();
    one.await.unwrap();
    two.await.unwrap();
    let large = producer.send(Record::to(&name).value(vec![0; 600])).await.unwrap();
    let error = large.await.unwrap_err().to_string();
    assert!(error.contains("MESSAGE_TOO_LARGE"), "{error}");
    assert_eq!(*listener.heard.lock().unwrap(), [Ok(0), Ok(1), Err(error)]);
    let stored = wire.read(&name, 0).await.unwrap();
    assert_eq!(stored[0].headers, [(b"seen".to_vec(), Some(b"yes".to_vec()))]);
    assert_eq!(stored.iter().map(value).collect::<Vec<_>>(), ["one", "two"]);
}

#[tokio::test]
async fn keys_and_values_of_other_types_are_written_as_kafkas_serializers_do() {
    let cluster = Cluster::start().unwrap();
    let (name, mut wire) = topic(&cluster, "typed", 1).await;
    let builder = Producer::typed(config(&cluster), NumberSerializer, StringSerializer);
    let producer: Producer<i64, str> = builder.build().unwrap();
    let sent = producer.send(Record::to(&name).key(258).value("é")).await.unwrap();
    sent.await.unwrap();
    let stored = wire.read(&name, 0).await.unwrap();
    assert_eq!(stored[0].key.as_deref(), Some(&[0, 0, 0, 0, 0, 0, 1, 2][..]));
    assert_eq!(value(&stored[0]), "é");
}

#[tokio::test]
async fn values_of_any_type_are_written_as_json() {
    let cluster = Cluster::start().unwrap();
    let (name, mut wire) = topic(&cluster, "json", 1).await;
    let producer: Producer<str, BTreeMap<String, Vec<u32>>> =
        Producer::typed(config(&cluster), StringSerializer, JsonSerializer).build().unwrap();
    let value = BTreeMap::from([("sums".to_owned(), vec![3, 4])]);
    let record = Record::to(&name).key("a").value(&value);
    producer.send(record).await.unwrap().await.unwrap();
    let stored = wire.read(&name, 0).await.unwrap().remove(0);
    assert_eq!(stored.value.unwrap(), br#"{"sums":[3,4]}"#);
}

#[tokio::test]
async fn a_batch_that_is_too_large_for_its_topic_is_split() {
    let cluster = Cluster::start().unwrap();
    for codec in [Compression::None, Compression::Lz4] {
        let word = format!("split-{}", codec as u8);
        let (name, mut wire) =
            topic_with(&cluster, &word, 1, &[("max.message.bytes", "2000")]).await;
        let config = config(&cluster).linger(Duration::from_millis(50)).compression(codec);
        let producer = Producer::new(config).unwrap();
        let mut deliveries = Vec::new();
        for number in 0..100_u64 {
            // What cannot be compressed.
            let value: Vec<u8> = (0..20_u64)
                .flat_map(|at| {
                    (number * 20 + at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()
                })
                .collect();
            deliveries.push(producer.send(Record::to(&name).value(value)).await.unwrap());
        }
        for (number, delivery) in deliveries.into_iter().enumerate() {
            assert_eq!(delivery.await.unwrap().offset, Some(number as i64));
        }
        assert_eq!(wire.read(&name, 0).await.unwrap().len(), 100);
        assert_eq!(producer.free_memory(), 32 << 20);
    }
}

#[tokio::test]
async fn what_cannot_be_sent_says_why() {
    let cluster = Cluster::start().unwrap();
    let (name, _) = topic(&cluster, "refused", 2).await;
    let config = config(&cluster).max_block(Duration::from_millis(700));
    let producer = Producer::new(config.clone()).unwrap();
    let error = producer.send(Record::to(&name).value("v").partition(2)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{name} has 2 partitions, and none is 2"));
    let error = producer.send(Record::to(&name).value(vec![0; 2 << 20])).await.unwrap_err();
    assert!(error.to_string().contains("max.request.size is 1048576; send less or set more"));
    let error = producer.send(Record::to("no topic").value("v")).await.unwrap_err();
    assert_eq!(error.code().unwrap().name(), "INVALID_TOPIC_EXCEPTION");

    let nobody = config.set("bootstrap.servers", "127.0.0.1:1").unwrap();
    let error = Producer::new(nobody).unwrap().send(Record::to("t").value("v")).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("max.block.ms") && text.contains("127.0.0.1:1"), "{text}");
    assert!(error.is_retriable());
}

#[tokio::test]
async fn dropping_what_is_awaited_loses_nothing_that_was_taken() {
    let cluster = Cluster::start().unwrap();
    let (name, mut wire) = topic(&cluster, "dropped", 1).await;
    let config = config(&cluster).linger(Duration::from_secs(20));
    let producer = Producer::new(config).unwrap();
    drop(producer.send(Record::to(&name).value("0")).await.unwrap());
    // A flush that nobody waits for is none, but what it began goes on.
    let flush = milena_env::timer::timeout(Duration::ZERO, producer.flush()).await;
    assert!(flush.is_none());
    drop(producer.send(Record::to(&name).value("1")).await.unwrap());
    drop(producer);
    let stored = loop {
        let stored = wire.read(&name, 0).await.unwrap();
        if stored.len() == 2 {
            break stored;
        }
    };
    assert_eq!(stored.iter().map(value).collect::<Vec<_>>(), ["0", "1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_send_through_one_producer() {
    let cluster = Cluster::start().unwrap();
    let (name, mut wire) = topic(&cluster, "many", 2).await;
    // Little memory, so that they wait for each other.
    let config = config(&cluster).buffer_memory(40_000_usize).batch_size(4_000_usize);
    let producer = Arc::new(Producer::new(config).unwrap());
    let mut tasks = Vec::new();
    for task in 0..8 {
        let (producer, name) = (Arc::clone(&producer), name.clone());
        tasks.push(tokio::spawn(async move {
            for number in 0..500 {
                let (key, value) = (format!("{task}"), format!("{task} {number}"));
                let value = format!("{value:>100}");
                let sent = producer.send(Record::to(&name).key(key).value(value)).await.unwrap();
                assert!(producer.free_memory() <= 40_000);
                drop(sent);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    producer.flush().await;
    assert_eq!(producer.free_memory(), 40_000);
    let mut next = [0; 8];
    for partition in 0..2 {
        for record in wire.read(&name, partition).await.unwrap() {
            let (task, number) = value(&record).trim().split_once(' ').unwrap();
            let next = &mut next[task.parse::<usize>().unwrap()];
            assert_eq!(number.parse::<u32>().unwrap(), *next);
            *next += 1;
        }
    }
    assert_eq!(next, [500; 8]);
}
