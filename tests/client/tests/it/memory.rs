//! How much memory a producer takes beside a broker that stands still, and a consumer that nobody
//! polls, by what the kernel says of the process: each test runs itself again, so that nobody else
//! is in it.

use std::{fs, process::Command, time::Duration};

use milena_broker::embedded;
use milena_client::{
    TopicPartition,
    consumer::{Consumer, ConsumerConfig, OffsetReset},
    producer::{Compression, Producer, ProducerConfig, Record},
};
use milena_client_tests::{Proxy, Weather};
use milena_env::timer;

const ALONE: &str = "MILENA_TEST_ALONE";
const MIB: usize = 1 << 20;

/// Bytes that this process has in memory.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib << 10
}

/// Runs a story in a process of its own, which is this test again.
fn alone(test: &str, story: impl Future<Output = ()>) {
    if std::env::var_os(ALONE).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        return runtime.block_on(story);
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    let test = format!("memory::{test}");
    let output = again.args(["--exact", &test, "--nocapture"]).env(ALONE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn beside_a_broker_that_stands_still_a_process_grows_by_buffer_memory_alone() {
    let test = "beside_a_broker_that_stands_still_a_process_grows_by_buffer_memory_alone";
    alone(test, produce());
}

#[test]
fn a_consumer_that_nobody_polls_fetches_ahead_no_more_than_it_may() {
    alone("a_consumer_that_nobody_polls_fetches_ahead_no_more_than_it_may", fetch_ahead());
}

async fn fetch_ahead() {
    let broker = embedded().start().unwrap();
    let (bootstrap, value) = (broker.bootstrap(), vec![b'v'; 100_000]);
    let producer = Producer::new(ProducerConfig::new(&bootstrap)).unwrap();
    for _ in 0..960 {
        drop(producer.send(Record::to("t").value(&value)).await.unwrap());
    }
    producer.flush().await;
    let config = ConsumerConfig::new(&bootstrap)
        .auto_offset_reset(OffsetReset::Earliest)
        .fetch_max_bytes(8_u32 << 20)
        .max_partition_fetch_bytes(8_u32 << 20)
        .max_poll_records(1_usize);
    let before = resident();
    let mut consumer = Consumer::new(config).unwrap();
    consumer.assign([TopicPartition::new("t", 0)]).unwrap();
    let first = consumer.poll(Duration::from_secs(30)).await.unwrap();
    assert_eq!(first.len(), 1);
    timer::sleep(Duration::from_secs(1)).await;
    let grown = resident().saturating_sub(before);
    println!("{} MiB grown, with 92 MiB to be read", grown / MIB);
    assert!(grown > 4 * MIB, "{grown} bytes: nothing was fetched ahead");
    assert!(grown < 32 * MIB, "{grown} bytes more for 8 MiB that may wait to be polled");
    // All of it comes, one by one.
    let mut count = 1;
    while count < 960 {
        count += consumer.poll(Duration::from_secs(30)).await.unwrap().len();
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 48 * MIB, "{grown} bytes more after all was read");
}

async fn produce() {
    let proxy = Proxy::start().await.unwrap();
    let advertised = format!("PLAINTEXT://{}", proxy.address());
    let broker = embedded().set("advertised.listeners", &advertised).start().unwrap();
    proxy.lead_to(broker.address());
    for compression in [Compression::None, Compression::Lz4] {
        let config = ProducerConfig::new(&proxy.address().to_string())
            .compression(compression)
            .buffer_memory(32 * MIB)
            .max_block(Duration::from_millis(500));
        let producer = Producer::new(config).unwrap();
        let value = vec![b'v'; 1_000];
        let record = || Record::to("t").value(&value);
        proxy.set(Weather::Fair);
        producer.send(record()).await.unwrap().await.unwrap();
        proxy.set(Weather::Still);
        let before = resident();
        let mut taken = 0;
        let error = loop {
            match producer.send(record()).await {
                Ok(delivery) => drop(delivery),
                Err(error) => break error,
            }
            taken += value.len();
        };
        assert!(error.to_string().contains("max.block.ms"), "{error}");
        let grown = resident().saturating_sub(before);
        println!("{compression:?}: {} MiB taken, {} MiB grown", taken / MIB, grown / MIB);
        assert!(taken > 24 * MIB, "{taken} bytes were taken");
        assert!(grown < 40 * MIB, "{grown} bytes more for 32 MiB of records");
        // It is given back in the end, or the next one would find none.
        drop(producer.close(Duration::ZERO).await);
    }
}
