//! `milena bench consume`

use std::{sync::Arc, time::Duration};

use milena_client::{
    TopicPartition,
    consumer::{Consumer, ConsumerConfig},
};
use milena_env::{Clock, RealClock};

use super::throughput;
use crate::{
    connect::Cluster,
    failure::Result,
    output::{Answer, progress::Progress},
};

/// Nothing for so long means that there is nothing more.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to read.
    #[arg(default_value = "milena-bench")]
    topic: String,
    /// How many records at most.
    #[arg(long, short = 'n', default_value_t = 1_000_000)]
    records: u64,
}

pub(super) fn run(arguments: &Arguments, cluster: &Cluster) -> Result<Answer> {
    let mut config = ConsumerConfig::new(cluster.bootstrap())
        .set("client.id", "milena")?
        .set("default.api.timeout.ms", &cluster.timeout_ms()?.to_string())?
        .set("max.poll.records", "10000")?
        .set("auto.offset.reset", "earliest")?;
    for (key, value) in cluster.settings()? {
        config = config.set(key, value)?;
    }
    cluster.run(async {
        let mut partitions = Vec::new();
        for (name, topic) in cluster.admin_beside()?.describe_topics(&[&arguments.topic]).await? {
            let name: Arc<str> = (*name).into();
            let all = topic?.partitions;
            partitions
                .extend(all.iter().map(|it| TopicPartition::new(Arc::clone(&name), it.index)));
        }
        let mut consumer = Consumer::new(config)?;
        consumer.assign(partitions)?;
        let clock: Arc<dyn Clock> = Arc::new(RealClock);
        let mut progress = Progress::new(&clock, "consuming", arguments.records);
        let (mut records, mut bytes) = (0, 0);
        // The clock starts with the first record, so that connecting is not measured.
        let mut span = None;
        while records < arguments.records {
            let polled = consumer.poll(PATIENCE).await?;
            if polled.is_empty() {
                break;
            }
            let now = clock.monotonic();
            let (began, _) = *span.get_or_insert((now, now));
            for record in &polled {
                records += 1;
                bytes += record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
            }
            span = Some((began, clock.monotonic()));
            progress.at(records);
        }
        drop(progress);
        let took = span.map_or(Duration::ZERO, |(began, ended)| ended.saturating_sub(began));
        consumer.close().await?;
        Ok(Answer::fields(throughput(records, bytes as u64, took)))
    })
}
