//! `milena bench produce`

use std::{sync::Arc, time::Duration};

use milena_client::producer::{Delivery, Producer, Record};
use milena_env::{Clock, Random, RealClock, timer};
use serde_json::json;
use tokio::sync::mpsc;

use super::{Waits, make_topic, throughput};
use crate::{
    connect::Cluster,
    failure::{Failure, Result},
    output::{Answer, progress::Progress},
    produce::How,
};

/// How many deliveries may wait to be looked at.
const ON_THE_WAY_MAX: usize = 100_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where to; it is made if it is not there.
    #[arg(default_value = "milena-bench")]
    topic: String,
    /// How many partitions it is made with.
    #[arg(long, short, default_value_t = 1)]
    partitions: i32,
    /// How many records.
    #[arg(long, short = 'n', default_value_t = 1_000_000)]
    records: u64,
    /// How many bytes each is.
    #[arg(long, short, default_value_t = 100)]
    size: usize,
    /// How many a second at most.
    #[arg(long)]
    rate: Option<f64>,
    #[command(flatten)]
    how: How,
}

pub(super) fn run(arguments: &Arguments, cluster: &Cluster) -> Result<Answer> {
    if arguments.rate.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
        return Err(Failure::usage("--rate takes records a second, as in --rate 1000"));
    }
    let config = arguments.how.config(cluster)?;
    cluster.run(async {
        make_topic(&cluster.admin_beside()?, &arguments.topic, arguments.partitions).await?;
        let clock: Arc<dyn Clock> = Arc::new(RealClock);
        let producer = Producer::new(config)?;
        let value = value(arguments.size);
        // One record before the clock starts, so that connecting is not measured.
        producer.send(Record::to(&*arguments.topic).value(&value)).await?.await?;
        let (sent, on_the_way) = mpsc::channel(ON_THE_WAY_MAX);
        let waits = tokio::spawn(measure(on_the_way, Arc::clone(&clock)));
        let began = clock.monotonic();
        let mut progress = Progress::new(&clock, "producing", arguments.records);
        for number in 0..arguments.records {
            if let Some(rate) = arguments.rate {
                let due = began + Duration::from_secs_f64(number as f64 / rate);
                let early = due.saturating_sub(clock.monotonic());
                if !early.is_zero() {
                    timer::sleep(early).await;
                }
            }
            let at = clock.monotonic();
            let delivery = producer.send(Record::to(&*arguments.topic).value(&value)).await?;
            if sent.send((at, delivery)).await.is_err() {
                break;
            }
            progress.at(number);
        }
        drop(sent);
        producer.flush().await;
        let (waits, failed, first_error) =
            waits.await.map_err(|error| Failure::usage(error.to_string()))??;
        let took = clock.monotonic().saturating_sub(began);
        drop(progress);
        if let Some(error) = first_error {
            eprintln!("milena: {error}");
        }
        let stored = arguments.records - failed;
        let mut fields = throughput(stored, stored * arguments.size as u64, took);
        fields.push(("failed", json!(failed)));
        fields.extend(waits.told());
        Ok(Answer::fields(fields))
    })
}

type Measured = Result<(Waits, u64, Option<milena_client::Error>)>;

/// Waits for every delivery in its turn.
async fn measure(
    mut on_the_way: mpsc::Receiver<(Duration, Delivery)>,
    clock: Arc<dyn Clock>,
) -> Measured {
    let mut waits = Waits::new()?;
    let (mut failed, mut first_error) = (0, None);
    while let Some((sent, delivery)) = on_the_way.recv().await {
        match delivery.await {
            Ok(_) => waits.note(clock.monotonic().saturating_sub(sent)),
            Err(error) => {
                failed += 1;
                first_error.get_or_insert(error);
            }
        }
    }
    Ok((waits, failed, first_error))
}

/// Text that is compressed about as well as text is.
pub(super) fn value(size: usize) -> Vec<u8> {
    let mut random = Random::from_seed(1);
    (0..size).map(|_| b'a' + random.below(16) as u8).collect()
}
