//! `milena consume`: records of topics, from where and until when one wants.

mod filter;
mod format;
mod place;

use std::{
    collections::BTreeMap,
    io::{self, BufWriter, ErrorKind, Write},
    time::Duration,
};

use milena_client::{
    TopicPartition,
    admin::{Admin, OffsetSpec},
    consumer::{Consumer, ConsumerConfig},
};

use self::{
    filter::Filter,
    format::{Format, Shape},
    place::Place,
};
use crate::{
    connect::Cluster,
    failure::{Exit, Failure, Result},
};

/// How long one look for records waits.
const POLL: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to read.
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Only these partitions.
    #[arg(long, short, conflicts_with = "group")]
    partition: Vec<i32>,
    /// Read as a member of this group, from where it is, and commit.
    #[arg(long, short)]
    group: Option<String>,
    #[command(flatten)]
    place: Place,
    /// How many records to show at most.
    #[arg(long, short = 'n')]
    count: Option<u64>,
    /// Go on when all that there is has been read.
    #[arg(long, short)]
    follow: bool,
    /// Leave out records of transactions that are open or aborted.
    #[arg(long)]
    committed: bool,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    shape: Shape,
}

pub(crate) fn run(arguments: &Arguments, cluster: &Cluster) -> Result<()> {
    let format = arguments.shape.format(cluster.screen().json)?;
    let filter = arguments.filter.compiled()?;
    cluster.run(async {
        let admin = cluster.admin_beside()?;
        let consumer = Consumer::new(config(arguments, cluster)?)?;
        let mut reading = Reading { consumer, ends: BTreeMap::new(), next: BTreeMap::new() };
        tokio::select! {
            done = reading.run(arguments, &admin, &filter, &format) => done?,
            interrupted = tokio::signal::ctrl_c() => interrupted?,
        }
        // A group remembers how far it has come.
        Ok(reading.consumer.close().await?)
    })
}

fn config(arguments: &Arguments, cluster: &Cluster) -> Result<ConsumerConfig> {
    let mut config = ConsumerConfig::new(cluster.bootstrap())
        .set("client.id", "milena")?
        .set("default.api.timeout.ms", &cluster.timeout_ms()?.to_string())?
        .set("allow.auto.create.topics", "false")?
        .set("auto.offset.reset", if arguments.place.is_end() { "latest" } else { "earliest" })?;
    if arguments.committed {
        config = config.set("isolation.level", "read_committed")?;
    }
    if let Some(group) = &arguments.group {
        config = config.set("group.id", group)?;
    }
    for (key, value) in cluster.settings()? {
        config = config.set(key, value)?;
    }
    Ok(config)
}

struct Reading {
    consumer: Consumer,
    /// Where what there is ends; nothing is waited for beyond it.
    ends: BTreeMap<TopicPartition, i64>,
    /// Behind the last record that came of each partition.
    next: BTreeMap<TopicPartition, i64>,
}

impl Reading {
    async fn run(
        &mut self,
        arguments: &Arguments,
        admin: &Admin,
        filter: &filter::Compiled,
        format: &Format,
    ) -> Result<()> {
        let partitions = partitions(arguments, admin).await?;
        let find = async |spec| {
            let wanted: Vec<_> = partitions.iter().map(|one| (one.clone(), spec)).collect();
            let mut all = BTreeMap::new();
            for (partition, found) in admin.list_offsets(&wanted, arguments.committed).await? {
                all.insert(partition, found?.offset);
            }
            Ok::<_, Failure>(all)
        };
        let known = |found: BTreeMap<TopicPartition, Option<i64>>| {
            found.into_iter().filter_map(|(partition, offset)| Some((partition, offset?)))
        };
        let starts: BTreeMap<_, _> = known(find(OffsetSpec::Earliest).await?).collect();
        self.ends = known(find(OffsetSpec::Latest).await?).collect();
        if arguments.group.is_some() {
            self.consumer.subscribe(&arguments.topics)?;
        } else {
            let since = match arguments.place.since()? {
                Some(time) => find(OffsetSpec::Timestamp(time)).await?,
                None => BTreeMap::new(),
            };
            self.consumer.assign(partitions.iter().cloned())?;
            for (partition, end) in &self.ends {
                let start = starts.get(partition).copied().unwrap_or(0);
                let since = since.get(partition).copied().flatten();
                let from = arguments.place.offset(start, *end, since);
                self.consumer.seek(partition, from)?;
                self.next.insert(partition.clone(), from);
            }
        }
        let mut out = BufWriter::new(io::stdout().lock());
        match self.show(arguments, filter, format, &mut out).await {
            Err(Stop::Enough) => Ok(()),
            Err(Stop::Failed(failure)) => Err(failure),
            Ok(()) => Ok(()),
        }
    }

    async fn show(
        &mut self,
        arguments: &Arguments,
        filter: &filter::Compiled,
        format: &Format,
        out: &mut impl Write,
    ) -> Result<(), Stop> {
        let mut left = arguments.count.unwrap_or(u64::MAX);
        while left > 0 && (arguments.follow || !self.is_done().await?) {
            let records = self.consumer.poll(POLL).await.map_err(Failure::from)?;
            for record in &records {
                self.next.insert(record.partition.clone(), record.offset + 1);
                if !filter.takes(&record) {
                    continue;
                }
                format.write(&record, out)?;
                left -= 1;
                if left == 0 {
                    // What was not shown is for the next reader of the group.
                    let partition = record.partition.clone();
                    self.consumer.seek(&partition, record.offset + 1).map_err(Failure::from)?;
                    break;
                }
            }
            out.flush()?;
        }
        Ok(())
    }

    /// Whether all was read that there was in the beginning.
    async fn is_done(&self) -> Result<bool> {
        let assigned = self.consumer.assignment();
        if assigned.is_empty() {
            return Ok(false);
        }
        for partition in &assigned {
            let end = self.ends.get(partition).copied().unwrap_or(0);
            if end == 0 || self.next.get(partition).is_some_and(|next| *next >= end) {
                continue;
            }
            // The last offsets may be those of markers, or compacted away.
            if self.consumer.position(partition).await? < end {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Why to stop before the end.
enum Stop {
    /// Whoever reads what is shown has seen enough.
    Enough,
    Failed(Failure),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::Enough,
            _ => Self::Failed(error.into()),
        }
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

async fn partitions(arguments: &Arguments, admin: &Admin) -> Result<Vec<TopicPartition>> {
    let names: Vec<&str> = arguments.topics.iter().map(String::as_str).collect();
    let mut partitions = Vec::new();
    for (name, topic) in admin.describe_topics(&names).await? {
        let name: std::sync::Arc<str> = (*name).into();
        let indexes: Vec<i32> = topic?.partitions.iter().map(|one| one.index).collect();
        for wanted in &arguments.partition {
            if !indexes.contains(wanted) {
                let what = format!("{name} has no partition {wanted}");
                return Err(Failure::new(Exit::Refused, what)
                    .hint(format!("`milena topic describe {name}` shows those it has")));
            }
        }
        let is_wanted =
            |index: &i32| arguments.partition.is_empty() || arguments.partition.contains(index);
        let wanted = indexes.into_iter().filter(is_wanted);
        partitions.extend(wanted.map(|index| TopicPartition::new(name.clone(), index)));
    }
    Ok(partitions)
}
