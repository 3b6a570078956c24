//! Sends three records and reads them again:
//! `cargo run -p milena-client --example quick_start localhost:9092`

use std::time::Duration;

use milena_client::{
    ClientConfig, Result, TopicPartition,
    admin::{Admin, NewTopic},
    consumer::{Consumer, ConsumerConfig},
    producer::{Producer, ProducerConfig, Record},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let bootstrap = std::env::args().nth(1).unwrap_or_else(|| "localhost:9092".to_owned());
    let seen = run(&bootstrap, "quick-start").await?;
    println!("{seen} records have come back");
    Ok(())
}

/// Says how many records have come back; it waits no longer than a minute for them.
pub async fn run(bootstrap: &str, topic: &str) -> Result<usize> {
    let admin = Admin::connect(&ClientConfig::new(bootstrap))?;
    for (_, created) in admin.create_topics(&[NewTopic::new(topic).partitions(1)]).await? {
        created?;
    }

    let producer = Producer::new(ProducerConfig::new(bootstrap))?;
    let mut deliveries = Vec::new();
    for fruit in ["apples", "pears", "plums"] {
        deliveries.push(producer.send(Record::to(topic).key("customer 7").value(fruit)).await?);
    }
    for delivery in deliveries {
        let stored = delivery.await?;
        println!("stored at {}-{} {:?}", stored.topic, stored.partition, stored.offset);
    }

    let mut consumer = Consumer::new(ConsumerConfig::new(bootstrap))?;
    let partition = TopicPartition::new(topic, 0);
    consumer.assign([partition.clone()])?;
    consumer.seek_to_beginning([&partition])?;
    let mut seen = 0;
    while seen < 3 {
        let records = consumer.poll(Duration::from_secs(60)).await?;
        if records.is_empty() {
            break;
        }
        for record in &records {
            let value = String::from_utf8_lossy(record.value.unwrap_or_default());
            println!("read {value} at {}", record.offset);
            seen += 1;
        }
    }
    producer.close(Duration::from_secs(10)).await?;
    consumer.close().await?;
    Ok(seen)
}
