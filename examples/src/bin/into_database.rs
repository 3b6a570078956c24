//! Books the transfers of the topic `transfers` in a database, each exactly once:
//! `cargo run --bin into_database`. A transfer's key is its number, its value `ACCOUNT AMOUNT`.
//!
//! Two things make it so, each against one trouble. What a record does and how far has been read
//! are written in one transaction of the database, so that a crash loses or repeats neither: a
//! group's offsets are not used. And a table of seen numbers, with a unique index, finds the
//! transfer that its sender sent twice.

use std::{path::Path, time::Duration};

use milena_client::{
    ClientConfig,
    admin::Admin,
    consumer::{Consumer, ConsumerConfig, OffsetReset, TopicPartition},
};
use milena_examples::{Result, bootstrap, limit};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

const TOPIC: &str = "transfers";
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS balance (account TEXT PRIMARY KEY, amount INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS seen (number TEXT PRIMARY KEY);
    CREATE TABLE IF NOT EXISTS progress (partition INTEGER PRIMARY KEY, next INTEGER NOT NULL);
";

#[tokio::main]
async fn main() -> Result<()> {
    let path = std::env::var("DATABASE").unwrap_or_else(|_| "transfers.db".to_owned());
    let mut database = Connection::open(Path::new(&path))?;
    database.execute_batch(TABLES)?;

    let bootstrap = bootstrap();
    let config = ConsumerConfig::new(&bootstrap).auto_offset_reset(OffsetReset::Earliest);
    let mut consumer = Consumer::new(config)?;
    let partitions = partitions(&bootstrap).await?;
    consumer.assign(partitions.iter().cloned())?;
    for partition in &partitions {
        if let Some(next) = progress(&database, partition.partition)? {
            consumer.seek(partition, next)?;
        }
    }

    let mut handled = 0;
    while handled < limit() {
        let records = consumer.poll(Duration::from_secs(1)).await?;
        let transaction = database.transaction()?;
        for record in &records {
            let number = String::from_utf8_lossy(record.key.unwrap_or_default());
            let transfer = String::from_utf8_lossy(record.value.unwrap_or_default());
            book(&transaction, &number, &transfer)?;
            transaction.execute(
                "INSERT INTO progress VALUES (?1, ?2)
                 ON CONFLICT (partition) DO UPDATE SET next = ?2",
                params![record.partition.partition, record.offset + 1],
            )?;
        }
        // Both or neither.
        transaction.commit()?;
        handled += records.len();
    }
    println!("{handled} transfers read");
    Ok(consumer.close().await?)
}

/// Adds a transfer to its account, unless its number was seen before.
fn book(transaction: &Transaction<'_>, number: &str, transfer: &str) -> Result<()> {
    let is_new = transaction.execute("INSERT OR IGNORE INTO seen VALUES (?1)", [number])? == 1;
    let Some((account, amount)) = transfer.split_once(' ') else {
        println!("transfer {number} is none: {transfer}");
        return Ok(());
    };
    if is_new {
        transaction.execute(
            "INSERT INTO balance VALUES (?1, ?2)
             ON CONFLICT (account) DO UPDATE SET amount = amount + ?2",
            params![account, amount.trim().parse::<i64>()?],
        )?;
    }
    Ok(())
}

/// Where to go on in a partition.
fn progress(database: &Connection, partition: i32) -> Result<Option<i64>> {
    let next = "SELECT next FROM progress WHERE partition = ?1";
    Ok(database.query_row(next, [partition], |row| row.get(0)).optional()?)
}

async fn partitions(bootstrap: &str) -> Result<Vec<TopicPartition>> {
    let admin = Admin::connect(&ClientConfig::new(bootstrap))?;
    let mut partitions = Vec::new();
    for (name, topic) in admin.describe_topics(&[TOPIC]).await? {
        for partition in topic?.partitions {
            partitions.push(TopicPartition::new(&*name, partition.index));
        }
    }
    Ok(partitions)
}
