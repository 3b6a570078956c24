//! `milena group reset`: sets how far a group has read, in all the ways of Kafka's own tool.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use milena_client::{
    CommittedOffset, TopicPartition,
    admin::{Admin, OffsetSpec},
};
use milena_env::{Clock, Disk, RealClock, RealDisk};
use serde_json::json;

use crate::{
    connect::partition,
    failure::{Exit, Failure, Result},
    output::{Answer, Table, parse_duration_ms, parse_ms},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Which group. It must have no members at work.
    group: String,
    /// Which topics; or partitions of one, as in orders:0,3. Without any, all that it has read.
    #[arg(long = "topic", short, value_name = "TOPIC[:PARTITIONS]")]
    topics: Vec<String>,
    #[command(flatten)]
    to: To,
    /// Do it.
    #[arg(long)]
    execute: bool,
}

/// Where to.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct To {
    /// To the first record that there still is.
    #[arg(long)]
    to_earliest: bool,
    /// Behind the last record.
    #[arg(long)]
    to_latest: bool,
    /// To where it is, or to the end where it has not read yet.
    #[arg(long)]
    to_current: bool,
    /// To the first record since then: 2026-11-21T20:15:00Z, or milliseconds since 1970.
    #[arg(long, value_name = "TIME")]
    to_datetime: Option<String>,
    /// To the first record of the last so long: P1DT2H, or 26h.
    #[arg(long, value_name = "DURATION")]
    by_duration: Option<String>,
    /// So many records on, or back if it is negative.
    #[arg(long, value_name = "RECORDS", allow_negative_numbers = true)]
    shift_by: Option<i64>,
    /// To this offset.
    #[arg(long, value_name = "OFFSET")]
    to_offset: Option<i64>,
    /// To what stands in a file: lines of topic,partition,offset.
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
}

/// What is known of a partition, and what of it depends on how it is reset.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    committed: Option<i64>,
    start: i64,
    end: i64,
    /// The first record since a time.
    since: Option<i64>,
    /// What a file says.
    given: Option<i64>,
}

pub(super) async fn run(arguments: &Arguments, admin: &Admin) -> Result<Answer> {
    let known = look(arguments, admin).await?;
    let wanted = known.iter().filter_map(|(partition, known)| {
        let offset = offset(&arguments.to, known)?;
        Some((partition.clone(), CommittedOffset::from(offset)))
    });
    let wanted: Vec<_> = wanted.collect();
    if wanted.is_empty() {
        let what = format!("group {} has read nothing that could be reset", arguments.group);
        return Err(Failure::new(Exit::Refused, what).hint("name topics with --topic"));
    }
    let mut answer = Answer::default();
    let mut refused = BTreeSet::new();
    if arguments.execute {
        for (partition, set) in admin.alter_group_offsets(&arguments.group, &wanted).await? {
            if answer.take(set).is_none() {
                refused.insert(partition);
            }
        }
    }
    let mut table = Table::new(&["partition", "from", "to", "start", "end"]);
    for (partition, to) in wanted.iter().filter(|(partition, _)| !refused.contains(partition)) {
        let known = known.get(partition).copied().unwrap_or_default();
        table.row([
            json!(partition.to_string()),
            json!(known.committed),
            json!(to.offset),
            json!(known.start),
            json!(known.end),
        ]);
    }
    let shown = Answer::table(table).and(answer);
    Ok(match arguments.execute {
        true => shown,
        false => shown.note("Nothing was changed; --execute does it."),
    })
}

/// Where a partition is to be read from; nothing if it stays as it is. Within what there is.
fn offset(to: &To, known: &Known) -> Option<i64> {
    let wanted = if to.to_earliest {
        known.start
    } else if to.to_latest {
        known.end
    } else if to.to_current {
        known.committed.unwrap_or(known.end)
    } else if let Some(records) = to.shift_by {
        known.committed?.saturating_add(records)
    } else if let Some(offset) = to.to_offset {
        offset
    } else if to.from_file.is_some() {
        known.given?
    } else {
        // Nothing is as young: all has been read.
        known.since.unwrap_or(known.end)
    };
    Some(wanted.clamp(known.start, known.end))
}

/// Since when records are to be read again.
fn since(to: &To) -> Result<Option<i64>> {
    if let Some(text) = &to.to_datetime {
        let wrong = || Failure::usage(format!("`{text}` is no time, as in 2026-11-21T20:15:00Z"));
        return parse_ms(text).ok_or_else(wrong).map(Some);
    }
    if let Some(text) = &to.by_duration {
        let wrong = || Failure::usage(format!("`{text}` is no duration, as in P1DT2H or 26h"));
        let span = parse_duration_ms(text).ok_or_else(wrong)?;
        return Ok(Some(RealClock.now_ms().saturating_sub(span)));
    }
    Ok(None)
}

async fn look(arguments: &Arguments, admin: &Admin) -> Result<BTreeMap<TopicPartition, Known>> {
    let since = since(&arguments.to)?;
    let mut committed = BTreeMap::new();
    for (partition, offset) in admin.group_offsets(&arguments.group).await? {
        committed.insert(partition, offset?.offset);
    }
    let given = arguments.to.from_file.as_ref().map(|path| read(path)).transpose()?;
    let partitions = match &given {
        Some(given) => given.keys().cloned().collect(),
        None if arguments.topics.is_empty() => committed.keys().cloned().collect(),
        None => named(&arguments.topics, admin).await?,
    };
    let find = async |spec| {
        let wanted: Vec<_> = partitions.iter().map(|one| (one.clone(), spec)).collect();
        let mut all = BTreeMap::new();
        for (partition, found) in admin.list_offsets(&wanted, false).await? {
            all.insert(partition, found?.offset);
        }
        Ok::<_, Failure>(all)
    };
    let starts = find(OffsetSpec::Earliest).await?;
    let ends = find(OffsetSpec::Latest).await?;
    let sinces = match since {
        Some(time) => find(OffsetSpec::Timestamp(time)).await?,
        None => BTreeMap::new(),
    };
    let known = partitions.iter().map(|partition| {
        let known = Known {
            committed: committed.get(partition).copied(),
            start: starts.get(partition).copied().flatten().unwrap_or(0),
            end: ends.get(partition).copied().flatten().unwrap_or(0),
            since: sinces.get(partition).copied().flatten(),
            given: given.as_ref().and_then(|given| given.get(partition).copied()),
        };
        (partition.clone(), known)
    });
    Ok(known.collect())
}

/// `orders` is all its partitions, `orders:0,3` two of them.
async fn named(texts: &[String], admin: &Admin) -> Result<Vec<TopicPartition>> {
    let mut partitions = Vec::new();
    for text in texts {
        if let Some((topic, numbers)) = text.rsplit_once(':') {
            for number in numbers.split(',') {
                let (topic, number) =
                    partition(&format!("{topic}:{number}")).map(|it| (topic, it.1))?;
                partitions.push(TopicPartition::new(topic, number));
            }
            continue;
        }
        for (name, topic) in admin.describe_topics(&[text]).await? {
            let name: Arc<str> = (*name).into();
            let all = topic?.partitions;
            partitions
                .extend(all.iter().map(|it| TopicPartition::new(Arc::clone(&name), it.index)));
        }
    }
    Ok(partitions)
}

fn read(path: &std::path::Path) -> Result<BTreeMap<TopicPartition, i64>> {
    let disk: &dyn Disk = &RealDisk;
    let cannot = |why: &dyn std::fmt::Display| {
        Failure::usage(format!("cannot read {}: {why}", path.display()))
    };
    let bytes = disk.read(path).map_err(|error| cannot(&error))?;
    let text = String::from_utf8(bytes).map_err(|error| cannot(&error))?;
    let mut offsets = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let mut parts = line.rsplitn(3, ',').map(|part| part.trim().trim_matches('"'));
        let offset = parts.next().and_then(|part| part.parse().ok());
        let partition = parts.next().and_then(|part| part.parse().ok());
        let topic = parts.next().filter(|topic| !topic.is_empty());
        let (Some(offset), Some(partition), Some(topic)) = (offset, partition, topic) else {
            return Err(cannot(&format!("line {number} is not topic,partition,offset")));
        };
        offsets.insert(TopicPartition::new(topic, partition), offset);
    }
    Ok(offsets)
}

#[cfg(test)]
mod test {
    use super::*;

    fn to() -> To {
        To {
            to_earliest: false,
            to_latest: false,
            to_current: false,
            to_datetime: None,
            by_duration: None,
            shift_by: None,
            to_offset: None,
            from_file: None,
        }
    }

    #[test]
    fn every_way_of_a_reset_ends_within_what_there_is() {
        let known =
            Known { committed: Some(50), start: 10, end: 90, since: Some(70), given: Some(30) };
        let unread = Known { committed: None, since: None, given: None, ..known };
        let ways = [
            (To { to_earliest: true, ..to() }, Some(10), Some(10)),
            (To { to_latest: true, ..to() }, Some(90), Some(90)),
            (To { to_current: true, ..to() }, Some(50), Some(90)),
            (To { to_datetime: Some("0".into()), ..to() }, Some(70), Some(90)),
            (To { by_duration: Some("1h".into()), ..to() }, Some(70), Some(90)),
            (To { shift_by: Some(-5), ..to() }, Some(45), None),
            (To { shift_by: Some(-500), ..to() }, Some(10), None),
            (To { shift_by: Some(i64::MAX), ..to() }, Some(90), None),
            (To { to_offset: Some(20), ..to() }, Some(20), Some(20)),
            (To { to_offset: Some(1000), ..to() }, Some(90), Some(90)),
            (To { from_file: Some("f".into()), ..to() }, Some(30), None),
        ];
        for (way, read, never) in ways {
            assert_eq!(offset(&way, &known), read, "{way:?}");
            assert_eq!(offset(&way, &unread), never, "{way:?}");
        }
    }
}
