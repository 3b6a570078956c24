//! Produces so many records of so many bytes as fast as it can, and says how fast that was and
//! what it cost: one line of JSON.
//!
//! `produce_load BOOTSTRAP TOPIC RECORDS BYTES [KEY=VALUE ...]`, with Kafka's keys of a producer.
//! `benches/compare/clients.py` runs it beside other clients.
#![allow(clippy::unwrap_used, clippy::panic, reason = "an example shows how it ends")]

use std::time::Duration;

use milena_client::producer::{Producer, ProducerConfig, Record};
use milena_env::{Clock, RealClock};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> milena_client::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bootstrap, topic, records, bytes, settings @ ..] = &*arguments else {
        panic!("produce_load BOOTSTRAP TOPIC RECORDS BYTES [KEY=VALUE ...]")
    };
    let (records, bytes): (usize, usize) = (records.parse().unwrap(), bytes.parse().unwrap());
    let config = settings.iter().try_fold(ProducerConfig::new(bootstrap), |config, setting| {
        let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
        config.set(key, value)
    })?;
    let producer = Producer::new(config)?;
    let text = words(bytes + 1024);
    // The topic is learned of, and the connection stands.
    producer.send(Record::to(topic).value("first")).await?.await?;

    let (clock, cpu) = (RealClock, cpu_time());
    let from = clock.monotonic();
    for number in 0..records {
        let at = number % 1024;
        let value = text.get(at..at + bytes).unwrap_or_default();
        drop(producer.send(Record::to(topic).value(value)).await?);
    }
    producer.flush().await;
    let last = producer.send(Record::to(topic).value("last")).await?.await?;
    let (took, cpu) = (clock.monotonic() - from, cpu_time() - cpu);
    println!(
        r#"{{"records":{records},"records_per_s":{:.0},"cpu_us_per_record":{:.4},"last":{}}}"#,
        records as f64 / took.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / records as f64,
        last.offset.unwrap_or(-1),
    );
    producer.close(Duration::from_secs(30)).await
}

/// Text that can be compressed about as well as what people write down.
fn words(bytes: usize) -> Vec<u8> {
    let mut seed = 1_u64;
    let mut text = Vec::with_capacity(bytes + 16);
    while text.len() < bytes {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        text.extend_from_slice(format!("{} ", (seed >> 33) % 4096).as_bytes());
    }
    text
}

/// What this process has used so far.
#[allow(clippy::disallowed_methods, reason = "the figure is the kernel's")]
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // Behind the name, which may have spaces: fields 14 and 15 of proc(5), in ticks of 10 ms.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = fields.split_whitespace().skip(11).take(2).map(|it| it.parse::<u64>().unwrap());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}
