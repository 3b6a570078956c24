//! `milena produce`: lines, JSON lines or whole files as records.

mod input;
mod parse;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use milena_client::producer::{Delivery, Producer, ProducerConfig, Record, RecordMetadata};
use milena_env::{Clock, RealClock, timer};
use serde_json::json;

use self::{
    input::Input,
    parse::{Line, Parser},
};
use crate::{
    connect::{Cluster, key_value},
    failure::{Failure, Result},
    output::{Answer, Table},
};

/// How many records may be on their way before the first of them is waited for.
const ON_THE_WAY_MAX: usize = 50_000;
/// How many different failures are told.
const TOLD_MAX: usize = 5;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where to.
    topic: String,
    /// What to read; standard input if it is not said.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Each line is a key and a value with this between them.
    #[arg(long, short = 'K', value_name = "TEXT", conflicts_with_all = ["json_lines", "key"])]
    key_separator: Option<String>,
    /// The key of all records.
    #[arg(long, short)]
    key: Option<String>,
    /// A header of all records.
    #[arg(long = "header", short = 'H', value_name = "NAME=VALUE")]
    headers: Vec<String>,
    /// A key, value or header value that is just this text is null, which deletes a key from a
    /// compacted topic. JSON has its own null.
    #[arg(long, value_name = "TEXT", conflicts_with = "json_lines")]
    null: Option<String>,
    /// Each line is a JSON object: value, and if need be key, headers ([[name, value], ...]),
    /// partition, timestamp. What is no text is {"hex": "..."}.
    #[arg(long, short = 'J')]
    json_lines: bool,
    /// Each file is one record, whatever is in it.
    #[arg(long, short = 'W', conflicts_with_all = ["key_separator", "json_lines"])]
    whole: bool,
    /// The partition of all records; else the key decides.
    #[arg(long, short)]
    partition: Option<i32>,
    /// How many records a second at most.
    #[arg(long, value_name = "RECORDS")]
    rate: Option<f64>,
    #[command(flatten)]
    how: How,
}

/// What `bench` wants too.
#[derive(Debug, clap::Args)]
pub(crate) struct How {
    /// Who must have a record before it counts: all, 1 or 0 brokers.
    #[arg(long, default_value = "all")]
    acks: String,
    /// none, gzip, snappy, lz4 or zstd.
    #[arg(long, short = 'z', default_value = "none")]
    compression: String,
}

impl How {
    pub(crate) fn config(&self, cluster: &Cluster) -> Result<ProducerConfig> {
        let timeout = cluster.timeout_ms()?.max(2);
        let mut config = ProducerConfig::new(cluster.bootstrap())
            .set("client.id", "milena")?
            .set("acks", &self.acks)?
            .set("compression.type", &self.compression)?
            .set("default.api.timeout.ms", &timeout.to_string())?
            .set("max.block.ms", &timeout.to_string())?
            .set("request.timeout.ms", &(timeout / 2).to_string())?
            .set("delivery.timeout.ms", &(timeout + 100).to_string())?;
        if self.acks != "all" && self.acks != "-1" {
            config = config.set("enable.idempotence", "false")?;
        }
        for (key, value) in cluster.settings()? {
            config = config.set(key, value)?;
        }
        Ok(config)
    }
}

pub(crate) fn run(arguments: &Arguments, cluster: &Cluster) -> Result<()> {
    let rate = arguments.rate;
    if rate.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
        return Err(Failure::usage("--rate takes records a second, as in --rate 100"));
    }
    let config = arguments.how.config(cluster)?;
    let longest = config.max_request_size;
    let answer = cluster.run(async {
        let parser = parser(arguments)?;
        let mut sending = Sending::new(Producer::new(config)?, rate);
        let done = tokio::select! {
            done = produce(arguments, &parser, longest, &mut sending) => done,
            // What was taken is still delivered.
            interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        };
        let answer = sending.finish(cluster.timeout_ms()?).await;
        done.map(|()| answer)
    });
    answer?.show(cluster.screen())
}

fn parser(arguments: &Arguments) -> Result<Parser> {
    let null = arguments.null.clone().map(String::into_bytes);
    let headers = arguments.headers.iter().map(|text| {
        let (name, value) = key_value(text, "--header")?;
        Ok((name.to_owned(), parse::unless_null(value.as_bytes(), null.as_deref())))
    });
    Ok(Parser {
        is_json: arguments.json_lines,
        key_separator: arguments.key_separator.clone().filter(|text| !text.is_empty()),
        key: arguments
            .key
            .as_ref()
            .and_then(|key| parse::unless_null(key.as_bytes(), null.as_deref())),
        headers: headers.collect::<Result<_>>()?,
        partition: arguments.partition,
        null,
    })
}

async fn produce(
    arguments: &Arguments,
    parser: &Parser,
    longest: usize,
    sending: &mut Sending,
) -> Result<()> {
    let mut inputs = Vec::new();
    for path in &arguments.files {
        inputs.push(Input::file(path)?);
    }
    if inputs.is_empty() {
        inputs.push(Input::stdin());
    }
    for mut input in inputs {
        let name = input.name().to_owned();
        let mut number = 0_u64;
        let mut lines = input::Lines::new(arguments.whole, longest);
        loop {
            let is_end = !input.read(lines.room()).await?;
            while let Some(line) = lines.next(is_end) {
                number += 1;
                let wrong = |why: String| Failure::usage(format!("{name}, line {number}: {why}"));
                let parsed = line.and_then(|line| parser.parse(line)).map_err(wrong)?;
                sending.send(&arguments.topic, parsed).await?;
            }
            if is_end {
                break;
            }
        }
    }
    Ok(())
}

/// What is on its way, and what became of the rest.
struct Sending {
    producer: Producer,
    clock: Arc<dyn Clock>,
    began: Duration,
    rate: Option<f64>,
    sent: u64,
    on_the_way: VecDeque<Delivery>,
    stored: BTreeMap<i32, Stored>,
    failed: u64,
    /// What was said of failures; each is said once.
    told: BTreeSet<String>,
    first_failure: Option<Failure>,
}

/// What of a partition is known to be stored.
#[derive(Clone, Copy, Debug)]
struct Stored {
    records: u64,
    offsets: Option<(i64, i64)>,
}

impl Sending {
    fn new(producer: Producer, rate: Option<f64>) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(RealClock);
        Self {
            producer,
            began: clock.monotonic(),
            clock,
            rate,
            sent: 0,
            on_the_way: VecDeque::new(),
            stored: BTreeMap::new(),
            failed: 0,
            told: BTreeSet::new(),
            first_failure: None,
        }
    }

    async fn send(&mut self, topic: &str, line: Line) -> Result<()> {
        if let Some(rate) = self.rate {
            let due = self.began + Duration::from_secs_f64(self.sent as f64 / rate);
            timer::sleep(due.saturating_sub(self.clock.monotonic())).await;
        }
        let mut record = Record::to(topic);
        record.partition = line.partition;
        record.timestamp = line.timestamp;
        record.key = line.key.map(Into::into);
        record.value = line.value.map(Into::into);
        for (name, value) in line.headers {
            record = match value {
                Some(value) => record.header(name, value),
                None => record.null_header(name),
            };
        }
        let delivery = self.producer.send(record).await?;
        self.sent += 1;
        self.on_the_way.push_back(delivery);
        while self.on_the_way.len() > ON_THE_WAY_MAX {
            self.settle_one().await;
        }
        Ok(())
    }

    async fn settle_one(&mut self) {
        // Whoever is interrupted meanwhile finds it again.
        let Some(delivery) = self.on_the_way.front_mut() else { return };
        let settled = delivery.await;
        self.on_the_way.pop_front();
        match settled {
            Ok(stored) => self.note(&stored),
            Err(error) => {
                self.failed += 1;
                let failure = Failure::from(error);
                if self.told.len() < TOLD_MAX && self.told.insert(failure.to_string()) {
                    eprintln!("milena: {failure}");
                }
                self.first_failure.get_or_insert(failure);
            }
        }
    }

    fn note(&mut self, record: &RecordMetadata) {
        let none = Stored { records: 0, offsets: None };
        let stored = self.stored.entry(record.partition).or_insert(none);
        stored.records += 1;
        if let Some(offset) = record.offset {
            let (first, last) = stored.offsets.unwrap_or((offset, offset));
            stored.offsets = Some((first.min(offset), last.max(offset)));
        }
    }

    /// Waits for all that was taken, and says what became of it.
    async fn finish(mut self, limit_ms: u64) -> Answer {
        self.producer.flush().await;
        while !self.on_the_way.is_empty() {
            self.settle_one().await;
        }
        let mut answer = Answer::default();
        let mut table = Table::new(&["partition", "records", "first", "last"]);
        for (partition, stored) in &self.stored {
            let (first, last) = stored.offsets.unzip();
            table.row([json!(partition), json!(stored.records), json!(first), json!(last)]);
            answer.did();
        }
        if let Some(failure) = self.first_failure {
            let what = format!("{} of {} records were not stored", self.failed, self.sent);
            let exit =
                if self.stored.is_empty() { failure.exit() } else { crate::failure::Exit::Partial };
            answer.failed(Failure::new(exit, what));
        }
        // It has nothing left to send.
        let _ = self.producer.close(Duration::from_millis(limit_ms)).await;
        Answer::table(table).and(answer)
    }
}
