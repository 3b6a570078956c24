//! `milena bench latency`

use std::{sync::Arc, time::Duration};

use milena_client::{
    TopicPartition,
    consumer::{Consumer, ConsumerConfig},
    producer::{Producer, Record},
};
use milena_env::{Clock, RealClock, timer};

use super::{Waits, make_topic, produce::value};
use crate::{
    connect::Cluster,
    failure::{Exit, Failure, Result},
    output::{Answer, progress::Progress},
    produce::How,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where to; it is made with one partition if it is not there.
    #[arg(default_value = "milena-bench")]
    topic: String,
    /// How many records.
    #[arg(long, short = 'n', default_value_t = 1000)]
    records: u64,
    /// How many a second.
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// How many bytes each is.
    #[arg(long, short, default_value_t = 100)]
    size: usize,
    #[command(flatten)]
    how: How,
}

pub(super) fn run(arguments: &Arguments, cluster: &Cluster) -> Result<Answer> {
    if !arguments.rate.is_finite() || arguments.rate <= 0.0 {
        return Err(Failure::usage("--rate takes records a second, as in --rate 100"));
    }
    let sending = arguments.how.config(cluster)?.set("linger.ms", "0")?;
    let mut reading = ConsumerConfig::new(cluster.bootstrap())
        .set("client.id", "milena")?
        .set("default.api.timeout.ms", &cluster.timeout_ms()?.to_string())?;
    for (key, value) in cluster.settings()? {
        reading = reading.set(key, value)?;
    }
    let patience = Duration::from_millis(cluster.timeout_ms()?);
    cluster.run(async {
        make_topic(&cluster.admin_beside()?, &arguments.topic, 1).await?;
        let clock: Arc<dyn Clock> = Arc::new(RealClock);
        let producer = Producer::new(sending)?;
        let value = value(arguments.size);
        let topic = &*arguments.topic;
        let record = || Record::to(topic).partition(0).value(&value);
        let first = producer.send(record()).await?.await?;
        let mut consumer = Consumer::new(reading)?;
        let partition = TopicPartition::new(topic, 0);
        consumer.assign([partition.clone()])?;
        consumer.seek(&partition, first.offset.unwrap_or(0))?;
        next(&mut consumer, patience).await?;
        let (mut acknowledged, mut arrived) = (Waits::new()?, Waits::new()?);
        let mut progress = Progress::new(&clock, "measuring", arguments.records);
        let began = clock.monotonic();
        for number in 0..arguments.records {
            let due = began + Duration::from_secs_f64(number as f64 / arguments.rate);
            timer::sleep(due.saturating_sub(clock.monotonic())).await;
            let sent = clock.monotonic();
            let delivery = producer.send(record()).await?;
            let stored = async {
                delivery.await?;
                Ok::<_, Failure>(clock.monotonic())
            };
            let read = async {
                next(&mut consumer, patience).await?;
                Ok::<_, Failure>(clock.monotonic())
            };
            let (stored, read) = tokio::try_join!(stored, read)?;
            acknowledged.note(stored.saturating_sub(sent));
            arrived.note(read.saturating_sub(sent));
            progress.at(number);
        }
        drop(progress);
        producer.close(patience).await?;
        consumer.close().await?;
        let answer = Answer::default().with_fields("acknowledged", acknowledged.told());
        Ok(answer.with_fields("arrived", arrived.told()))
    })
}

/// Waits for a record.
async fn next(consumer: &mut Consumer, patience: Duration) -> Result<()> {
    let records = consumer.poll(patience).await?;
    if records.is_empty() {
        return Err(Failure::new(Exit::Unreachable, "a record that was stored never came"));
    }
    Ok(())
}
