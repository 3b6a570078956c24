//! `milena log verify`: every batch of every segment, proven.

use std::sync::Arc;

use milena_env::{Clock, RealClock};
use milena_protocol::Offset;
use milena_storage::inspect::{FoundPartition, Survey, WalkEnd};
use serde_json::json;

use super::{Place, disk, dump::records, unseen};
use crate::{
    failure::{Exit, Failure, Result},
    output::{Answer, Table, progress::Progress},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Only these.
    #[arg(value_name = "TOPIC-PARTITION")]
    partitions: Vec<String>,
}

/// What was seen of a partition.
#[derive(Debug, Default)]
struct Seen {
    batches: u64,
    records: u64,
    bytes: u64,
    /// What is wrong, where.
    faults: Vec<String>,
    /// The last segment ends within a batch, which nobody was ever told of.
    is_torn: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<Answer> {
    let survey = arguments.place.survey()?;
    let partitions: Vec<&FoundPartition> = match arguments.partitions.as_slice() {
        [] => survey.partitions.iter().collect(),
        names => {
            let found = names.iter().map(|name| arguments.place.find(&survey, name));
            found.collect::<Result<_>>()?
        }
    };
    let clock: Arc<dyn Clock> = Arc::new(RealClock);
    let whole = partitions.iter().map(|found| found.log_bytes()).sum();
    let mut progress = Progress::new(&clock, "verifying", whole);
    let mut table = Table::new(&["partition", "segments", "batches", "records", "bytes", "is"]);
    let mut answer = Answer::default();
    let mut done = 0;
    for found in partitions {
        let name = format!("{}-{}", found.topic, found.partition);
        let seen = verify(found, &survey, |bytes| {
            done += bytes;
            progress.at(done);
        })?;
        let is = match (seen.faults.is_empty(), seen.is_torn) {
            (false, _) => "damaged",
            (true, true) => "torn at its end",
            (true, false) => "sound",
        };
        table.row([
            json!(name),
            json!(found.segments.len()),
            json!(seen.batches),
            json!(seen.records),
            json!(seen.bytes),
            json!(is),
        ]);
        for fault in seen.faults {
            answer.failed(Failure::new(Exit::Damaged, format!("{name}: {fault}")));
        }
    }
    drop(progress);
    let mut shown = Answer::table(table);
    if let Some(note) = unseen(&survey) {
        shown = shown.note(note);
    }
    Ok(shown.and(answer))
}

fn verify(found: &FoundPartition, survey: &Survey, mut progress: impl FnMut(u64)) -> Result<Seen> {
    let mut seen = Seen::default();
    let mut end: Option<Offset> = None;
    let last = found.segments.len().saturating_sub(1);
    for (number, segment) in found.segments.iter().enumerate() {
        let base = segment.base_offset;
        let file = format!("segment {base}");
        if end.is_some_and(|end| base < end) {
            seen.faults.push(format!("{file} begins before the end of the one before it"));
        }
        let walk = found.batches(disk(), segment, 0, true)?;
        let ended = walk.each(|batch| {
            progress(batch.size);
            seen.batches += 1;
            seen.bytes += batch.size;
            let position = batch.position;
            let is_behind = end.is_none_or(|end| batch.base_offset >= end);
            if !is_behind || batch.base_offset < base {
                let offset = batch.base_offset;
                seen.faults.push(format!("{file} at byte {position}: offset {offset} goes back"));
            }
            end = Some(batch.last_offset.next());
            match records(&batch) {
                Ok(records) => seen.records += records.len() as u64,
                Err(why) => seen.faults.push(format!("{file} at byte {position}: {why}")),
            }
            true
        })?;
        if let WalkEnd::Invalid { position, reason } = ended {
            // A broker that runs, or was killed, may be in the middle of its last batch.
            if number == last && !survey.was_clean {
                seen.is_torn = true;
            } else {
                seen.faults.push(format!("{file} at byte {position}: {reason}"));
            }
        }
        if survey.was_clean || number < last {
            seen.faults.extend(found.check_indexes(disk(), segment)?);
        }
    }
    Ok(seen)
}
