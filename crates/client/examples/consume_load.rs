//! Reads so many records of a topic as fast as it can, and says how fast that was and what it
//! cost: one line of JSON.
//!
//! `consume_load BOOTSTRAP TOPIC RECORDS [KEY=VALUE ...]`, with Kafka's keys of a consumer.
#![allow(clippy::unwrap_used, clippy::panic, reason = "an example shows how it ends")]

use std::time::Duration;

use milena_client::{
    TopicPartition,
    admin::Admin,
    consumer::{Consumer, ConsumerConfig, OffsetReset},
};
use milena_env::{Clock, RealClock};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> milena_client::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bootstrap, topic, records, settings @ ..] = &*arguments else {
        panic!("consume_load BOOTSTRAP TOPIC RECORDS [KEY=VALUE ...]")
    };
    let records: usize = records.parse().unwrap();
    let config = ConsumerConfig::new(bootstrap).auto_offset_reset(OffsetReset::Earliest);
    let config = settings.iter().try_fold(config, |config, setting| {
        let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
        config.set(key, value)
    })?;
    let admin = Admin::connect(&config.client)?;
    let topics = admin.list_topics().await?;
    let count = topics.iter().find(|it| *it.name == **topic).map_or(0, |it| it.partitions.len());
    let mut consumer = Consumer::new(config)?;
    let partitions = (0..).take(count).map(|at| TopicPartition::new(topic.as_str(), at));
    consumer.assign(partitions)?;

    let (clock, cpu) = (RealClock, cpu_time());
    let from = clock.monotonic();
    let (mut read, mut bytes) = (0, 0);
    while read < records {
        for record in &consumer.poll(Duration::from_secs(10)).await? {
            read += 1;
            bytes += record.value.map_or(0, <[u8]>::len);
        }
    }
    let (took, cpu) = (clock.monotonic() - from, cpu_time() - cpu);
    println!(
        r#"{{"records":{read},"records_per_s":{:.0},"cpu_us_per_record":{:.4},"bytes":{bytes}}}"#,
        read as f64 / took.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / read as f64,
    );
    consumer.close().await
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
