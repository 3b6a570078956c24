//! Each example, run against a broker of its own.

#![allow(clippy::disallowed_methods, reason = "no broker: its time is the machine's")]

use std::{path::PathBuf, process::Command};

use milena_broker::Embedded;
use milena_client::{
    ClientConfig,
    admin::{Admin, NewTopic},
    consumer::{Consumer, ConsumerConfig, IsolationLevel, OffsetReset},
    producer::{Producer, ProducerConfig, Record},
};
use milena_examples::Result;

fn broker() -> Embedded {
    milena_broker::embedded().start().unwrap()
}

/// What an example says that ends well.
fn run(program: &str, broker: &Embedded, arguments: &[&str], database: &str) -> String {
    let mut command = Command::new(program);
    command.args(arguments).env("MILENA_BOOTSTRAP", broker.bootstrap()).env("DATABASE", database);
    let done = command.output().unwrap();
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{program}: {errors}");
    String::from_utf8(done.stdout).unwrap()
}

async fn write(broker: &Embedded, topic: &str, records: &[(&str, &str)]) -> Result<()> {
    let admin = Admin::connect(&ClientConfig::new(&broker.bootstrap()))?;
    // The second time it is there.
    admin.create_topics(&[NewTopic::new(topic).partitions(2)]).await?;
    let producer = Producer::new(ProducerConfig::new(&broker.bootstrap()))?;
    for (key, value) in records {
        producer.send(Record::to(topic).key(*key).value(*value)).await?.await?;
    }
    Ok(producer.close(std::time::Duration::from_secs(10)).await?)
}

/// Keys and values, committed ones, in the order of the partitions.
async fn read(broker: &Embedded, topic: &str, count: usize) -> Result<Vec<(String, String)>> {
    let config = ConsumerConfig::new(&broker.bootstrap())
        .group_id("test")
        .isolation_level(IsolationLevel::ReadCommitted)
        .auto_offset_reset(OffsetReset::Earliest);
    let mut consumer = Consumer::new(config)?;
    consumer.subscribe([topic])?;
    let mut found = Vec::new();
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into();
    while found.len() < count {
        for record in &consumer.poll(std::time::Duration::from_secs(5)).await? {
            found.push((text(record.key), text(record.value)));
        }
    }
    consumer.close().await?;
    Ok(found)
}

#[tokio::test]
async fn word_count_counts_words() -> Result<()> {
    let broker = broker();
    write(&broker, "lines", &[("1", "to be or not"), ("2", "To be")]).await?;
    let said = run(env!("CARGO_BIN_EXE_word_count"), &broker, &["2"], "");
    assert_eq!(said, "4 words in 2 lines\n");
    let counts = read(&broker, "counts", 6).await?;
    let of = |word: &str| counts.iter().rfind(|(key, _)| key == word).map(|(_, count)| &**count);
    assert_eq!((of("to"), of("be"), of("or")), (Some("2"), Some("2"), Some("1")));
    Ok(())
}

#[tokio::test]
async fn each_payment_has_one_receipt_however_often_its_writer_is_killed() -> Result<()> {
    let broker = broker();
    let payments: Vec<_> = (0..200).map(|number| (number.to_string(), "5")).collect();
    let payments: Vec<_> = payments.iter().map(|(key, value)| (&**key, *value)).collect();
    write(&broker, "payments", &payments).await?;
    let program = env!("CARGO_BIN_EXE_consume_process_produce");
    for pause_ms in [5, 50, 120] {
        let mut command = Command::new(program);
        let mut killed = command.env("MILENA_BOOTSTRAP", broker.bootstrap()).spawn()?;
        tokio::time::sleep(std::time::Duration::from_millis(pause_ms)).await;
        killed.kill()?;
        killed.wait()?;
    }
    let mut left = Command::new(program).env("MILENA_BOOTSTRAP", broker.bootstrap()).spawn()?;
    let mut keys: Vec<_> =
        read(&broker, "receipts", 200).await?.into_iter().map(|it| it.0).collect();
    left.kill()?;
    left.wait()?;
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 200, "the first 200 receipts are of 200 payments");
    Ok(())
}

#[tokio::test]
async fn a_transfer_that_comes_twice_is_booked_once_and_so_is_one_that_is_read_twice() -> Result<()>
{
    let broker = broker();
    let transfers = [("1", "ana 10"), ("2", "ana 5"), ("2", "ana 5"), ("3", "ben 7")];
    write(&broker, "transfers", &transfers).await?;
    let database = broker.directory().join("transfers.db");
    let path = database.to_str().ok_or("a path that is no text")?;
    let program = env!("CARGO_BIN_EXE_into_database");
    run(program, &broker, &["4"], path);
    assert_eq!(balances(&database)?, [("ana".to_owned(), 15), ("ben".to_owned(), 7)]);
    // It goes on where it was, without any offset of a group.
    write(&broker, "transfers", &[("4", "ben 1")]).await?;
    assert_eq!(run(program, &broker, &["1"], path), "1 transfers read\n");
    assert_eq!(balances(&database)?, [("ana".to_owned(), 15), ("ben".to_owned(), 8)]);
    Ok(())
}

fn balances(path: &PathBuf) -> Result<Vec<(String, i64)>> {
    let database = rusqlite::Connection::open(path)?;
    let mut all = database.prepare("SELECT account, amount FROM balance ORDER BY account")?;
    let rows = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}
