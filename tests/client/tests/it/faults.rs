//! What networks and brokers do to a producer. The broker is one inside the test, since it must
//! stand behind a network that the test can break.

use std::{sync::Arc, time::Duration};

use milena_broker::{Embedded, embedded};
use milena_client::producer::{Producer, ProducerConfig, Record};
use milena_client_tests::{Proxy, Weather, Wire};
use milena_env::{Random, timer};

const PATIENCE: Duration = Duration::from_secs(60);
const KEYS: usize = 6;

async fn behind_proxy() -> (Embedded, Proxy) {
    let proxy = Proxy::start().await.unwrap();
    let advertised = format!("PLAINTEXT://{}", proxy.address());
    let broker = embedded().set("advertised.listeners", &advertised).start().unwrap();
    proxy.lead_to(broker.address());
    (broker, proxy)
}

fn config(proxy: &Proxy) -> ProducerConfig {
    ProducerConfig::new(&proxy.address().to_string())
        .set("request.timeout.ms", "1000")
        .and_then(|config| config.set("retry.backoff.ms", "10"))
        .unwrap()
        .batch_size(2_000_usize)
}

/// All records are there once, those of a key in their order, where their deliveries say.
async fn check(broker: &Embedded, partitions: i32, sent: usize) {
    let mut wire = Wire::connect(&broker.bootstrap()).await.unwrap();
    let mut next: Vec<usize> = (0..KEYS).collect();
    for partition in 0..partitions {
        for record in wire.read("t", partition).await.unwrap() {
            let number: usize =
                std::str::from_utf8(&record.value.unwrap()).unwrap().trim().parse().unwrap();
            assert_eq!(number, next[number % KEYS], "offset {} of {partition}", record.offset);
            next[number % KEYS] += KEYS;
        }
    }
    assert!(next.iter().all(|next| *next >= sent), "{next:?} of {sent}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_break_and_answers_that_are_lost_lose_double_and_reorder_nothing() {
    let (broker, proxy) = behind_proxy().await;
    let mut wire = Wire::connect(&broker.bootstrap()).await.unwrap();
    wire.create("t", 2, &[]).await.unwrap();
    let producer = Arc::new(Producer::new(config(&proxy)).unwrap());
    let proxy = Arc::new(proxy);
    let storm = {
        let proxy = Arc::clone(&proxy);
        tokio::spawn(async move {
            let mut random = Random::from_seed(11);
            for _ in 0..25 {
                timer::sleep(Duration::from_millis(10 + random.below(60))).await;
                if random.chance(1, 2) {
                    proxy.set(Weather::LosesAnswers);
                    timer::sleep(Duration::from_millis(random.below(30))).await;
                }
                proxy.cut();
                proxy.set(Weather::Fair);
            }
        })
    };
    let mut deliveries = Vec::new();
    while !storm.is_finished() || deliveries.len() % KEYS != 0 {
        let (key, value) = ((deliveries.len() % KEYS).to_string(), deliveries.len().to_string());
        let record = Record::to("t").key(key).value(format!("{value:>100}"));
        deliveries.push(producer.send(record).await.unwrap());
        if deliveries.len() % 20 == 0 {
            timer::sleep(Duration::from_millis(1)).await;
        }
    }
    let sent = deliveries.len();
    for delivery in deliveries {
        delivery.await.unwrap();
    }
    check(&broker, 2, sent).await;
}

#[tokio::test]
async fn a_broker_that_stands_still_costs_no_more_than_buffer_memory_and_loses_nothing() {
    let (broker, proxy) = behind_proxy().await;
    let config = config(&proxy).buffer_memory(100_000_usize).max_block(Duration::from_millis(300));
    let producer = Producer::new(config).unwrap();
    producer.send(Record::to("t").key("0").value("0")).await.unwrap().await.unwrap();
    proxy.set(Weather::Still);
    let mut deliveries = Vec::new();
    let mut number = 1;
    let error = loop {
        let (key, value) = ((number % KEYS).to_string(), number.to_string());
        let record = Record::to("t").key(key).value(format!("{value:>100}"));
        match producer.send(record).await {
            Ok(delivery) => deliveries.push(delivery),
            Err(error) => break error,
        }
        number += 1;
    };
    assert!(error.to_string().contains("max.block.ms"), "{error}");
    assert!((500..1_000).contains(&number), "{number} records of 100 bytes in 100 kB");
    proxy.set(Weather::Fair);
    for delivery in deliveries {
        delivery.await.unwrap();
    }
    assert_eq!(producer.free_memory(), 100_000);
    producer.close(PATIENCE).await.unwrap();
    drop(broker);
}

#[tokio::test]
async fn closing_beside_a_broker_that_stands_still_ends_in_time_and_says_so() {
    let (_broker, proxy) = behind_proxy().await;
    let producer = Producer::new(config(&proxy)).unwrap();
    producer.send(Record::to("t").value("0")).await.unwrap().await.unwrap();
    proxy.set(Weather::Still);
    let delivery = producer.send(Record::to("t").value("1")).await.unwrap();
    let error = producer.close(Duration::from_millis(200)).await.unwrap_err();
    assert!(error.to_string().contains("the limit given to close"), "{error}");
    assert!(matches!(delivery.await, Err(milena_client::Error::Closed)));
}
