//! `milena bench`: how fast a cluster is, as its clients see it.

mod consume;
mod latency;
mod produce;

use std::time::Duration;

use clap::Subcommand;
use hdrhistogram::Histogram;
use milena_client::admin::{Admin, NewTopic};
use milena_protocol::ErrorCode;
use serde_json::{Value, json};

use crate::{
    connect::Cluster,
    failure::{Failure, Result},
};

/// The longest wait that is told exactly, in microseconds; longer ones count as this.
const LONGEST_US: u64 = 600_000_000;
/// Digits that are kept of each.
const DIGITS: u8 = 3;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send records as fast as possible, or at a rate; says how fast, and how long each took.
    Produce(produce::Arguments),
    /// Read records as fast as possible.
    Consume(consume::Arguments),
    /// Send records one by one and read them; says how long each was on its way.
    Latency(latency::Arguments),
}

pub(crate) fn run(command: &Command, cluster: &Cluster) -> Result<()> {
    let screen = cluster.screen();
    let answer = match command {
        Command::Produce(arguments) => produce::run(arguments, cluster),
        Command::Consume(arguments) => consume::run(arguments, cluster),
        Command::Latency(arguments) => latency::run(arguments, cluster),
    };
    answer?.show(screen)
}

/// Makes the topic if it is not there.
async fn make_topic(admin: &Admin, name: &str, partitions: i32) -> Result<()> {
    for (_, created) in admin.create_topics(&[NewTopic::new(name).partitions(partitions)]).await? {
        match created {
            Err(error) if error.code() == Some(ErrorCode::TopicAlreadyExists) => {}
            created => {
                created?;
            }
        }
    }
    Ok(())
}

/// Waits that were measured.
struct Waits(Histogram<u64>);

impl Waits {
    fn new() -> Result<Self> {
        let made = Histogram::new_with_bounds(1, LONGEST_US, DIGITS);
        made.map(Self).map_err(|error| Failure::usage(error.to_string()))
    }

    fn note(&mut self, wait: Duration) {
        let micros = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(micros.clamp(1, LONGEST_US));
    }

    /// The usual percentiles, in milliseconds.
    fn told(&self) -> Vec<(&'static str, Value)> {
        let ms = |micros: u64| json!(micros as f64 / 1000.0);
        let at = |percentile: f64| ms(self.0.value_at_percentile(percentile));
        vec![
            ("p50_ms", at(50.0)),
            ("p90_ms", at(90.0)),
            ("p99_ms", at(99.0)),
            ("p99.9_ms", at(99.9)),
            ("max_ms", ms(self.0.max())),
            ("mean_ms", json!((self.0.mean()).round() / 1000.0)),
        ]
    }
}

/// How much in how long.
fn throughput(records: u64, bytes: u64, took: Duration) -> Vec<(&'static str, Value)> {
    let seconds = took.as_secs_f64().max(1e-9);
    let rounded = |number: f64, digits: f64| json!((number * digits).round() / digits);
    vec![
        ("records", json!(records)),
        ("bytes", json!(bytes)),
        ("seconds", rounded(seconds, 1000.0)),
        ("records_per_second", rounded(records as f64 / seconds, 1.0)),
        ("mb_per_second", rounded(bytes as f64 / seconds / 1e6, 100.0)),
    ]
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn waits_are_told_by_their_percentiles() {
        let mut waits = Waits::new().unwrap();
        for ms in 1..=100 {
            waits.note(Duration::from_millis(ms));
        }
        waits.note(Duration::from_secs(10_000));
        let told: Vec<_> = waits.told().into_iter().collect();
        let of = |name: &str| told.iter().find(|(told, _)| *told == name).unwrap().1.clone();
        let near = |name: &str, ms: f64| {
            let is = of(name).as_f64().unwrap();
            assert!((is - ms).abs() <= ms / 500.0, "{name}: {is}");
        };
        near("p50_ms", 51.0);
        near("p90_ms", 91.0);
        near("max_ms", 600_000.0);
    }

    #[test]
    fn throughput_is_by_the_second() {
        let told = throughput(1000, 2_000_000, Duration::from_millis(500));
        assert_eq!(told[3], ("records_per_second", json!(2000.0)));
        assert_eq!(told[4], ("mb_per_second", json!(4.0)));
    }
}
