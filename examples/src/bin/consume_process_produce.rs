//! Turns each record of `payments` into one of `receipts`, exactly once:
//! `cargo run --bin consume_process_produce`. Kill it at any moment and start it again; start
//! several under different `TRANSACTIONAL_ID`s, and they share the work.
//!
//! What is written and how far was read are one transaction: readers of committed records see
//! both or neither. An error says what to do about it.

use std::time::Duration;

use milena_client::{
    Error, Remedy,
    consumer::{Consumer, ConsumerConfig, IsolationLevel, OffsetReset, Records},
    producer::{Producer, ProducerConfig, Record},
};
use milena_examples::{Result, bootstrap, limit};

const GROUP: &str = "receipts";

#[tokio::main]
async fn main() -> Result<()> {
    let bootstrap = bootstrap();
    let config = ConsumerConfig::new(&bootstrap)
        .group_id(GROUP)
        .auto_offset_reset(OffsetReset::Earliest)
        .isolation_level(IsolationLevel::ReadCommitted)
        .enable_auto_commit(false);
    let mut consumer = Consumer::new(config)?;
    consumer.subscribe(["payments"])?;

    let id = std::env::var("TRANSACTIONAL_ID").unwrap_or_else(|_| "receipts-1".to_owned());
    let config = ProducerConfig::new(&bootstrap).transactional_id(id);
    let producer = Producer::new(config)?;
    // Whoever had this id before can write nothing more; what it left open is aborted.
    producer.init_transactions().await?;

    let mut handled = 0;
    while handled < limit() {
        let records = consumer.poll(Duration::from_secs(1)).await?;
        if records.is_empty() {
            continue;
        }
        match copy(&consumer, &producer, &records).await {
            Ok(()) => handled += records.len(),
            Err(error) if error.remedy() == Some(Remedy::Abort) => {
                eprintln!("once more: {error}");
                producer.abort().await?;
                rewind(&consumer).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    producer.close(Duration::from_secs(10)).await?;
    consumer.close().await?;
    println!("{handled} receipts");
    Ok(())
}

/// One transaction: the receipts, and that these payments were read.
async fn copy(
    consumer: &Consumer,
    producer: &Producer,
    records: &Records,
) -> std::result::Result<(), Error> {
    producer.begin()?;
    for record in records {
        let payment = String::from_utf8_lossy(record.value.unwrap_or_default());
        let mut receipt = Record::to("receipts").value(format!("received: {payment}"));
        if let Some(key) = record.key {
            receipt = receipt.key(key);
        }
        // Whether it is stored, `commit` will tell of all of them.
        drop(producer.send(receipt).await?);
    }
    let offsets: Vec<_> = consumer.positions().into_iter().collect();
    if let Some(member) = consumer.group_member() {
        producer.send_offsets_to_transaction(&offsets, &member).await?;
    }
    producer.commit().await
}

/// Reads again what was not committed.
async fn rewind(consumer: &Consumer) -> Result<()> {
    let partitions: Vec<_> = consumer.assignment().into_iter().collect();
    let committed = consumer.committed(&partitions).await?;
    for partition in &partitions {
        match committed.get(partition) {
            Some(offset) => consumer.seek(partition, offset.clone())?,
            None => consumer.seek_to_beginning([partition])?,
        }
    }
    Ok(())
}
