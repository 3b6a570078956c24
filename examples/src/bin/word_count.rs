//! Counts the words of the topic `lines`, and writes each new count to `counts`:
//! `cargo run --bin word_count`. Start several: they share the work.
//!
//! It forgets its counts when it ends, and counts a line again if it ends between writing and
//! committing: at least once. `consume_process_produce` shows how it would be exactly once.

use std::{collections::BTreeMap, time::Duration};

use milena_client::{
    consumer::{Consumer, ConsumerConfig, OffsetReset},
    producer::{Producer, ProducerConfig, Record},
};
use milena_examples::{Result, bootstrap, limit};

#[tokio::main]
async fn main() -> Result<()> {
    let bootstrap = bootstrap();
    let config = ConsumerConfig::new(&bootstrap)
        .group_id("word-count")
        .auto_offset_reset(OffsetReset::Earliest)
        .enable_auto_commit(false);
    let mut consumer = Consumer::new(config)?;
    consumer.subscribe(["lines"])?;
    let producer = Producer::new(ProducerConfig::new(&bootstrap))?;
    let mut counts = BTreeMap::new();
    let mut lines = 0;
    while lines < limit() {
        let records = consumer.poll(Duration::from_secs(1)).await?;
        let mut sent = Vec::new();
        for record in &records {
            let line = String::from_utf8_lossy(record.value.unwrap_or_default());
            for word in line.split_whitespace() {
                let word = word.to_lowercase();
                let count = counts.entry(word.clone()).or_insert(0_u64);
                *count += 1;
                // The key decides the partition: all counts of a word are in one.
                let record = Record::to("counts").key(word).value(count.to_string());
                sent.push(producer.send(record).await?);
            }
        }
        for delivery in sent {
            delivery.await?;
        }
        // Not before the counts are on disk: a crash would lose these lines.
        consumer.commit().await?;
        lines += records.len();
    }
    producer.close(Duration::from_secs(10)).await?;
    consumer.close().await?;
    println!("{} words in {lines} lines", counts.len());
    Ok(())
}
