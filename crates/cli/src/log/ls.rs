//! `milena log ls`

use std::collections::BTreeMap;

use milena_storage::{
    checkpoints::load_offsets,
    inspect::{FoundPartition, FoundSegment, Survey},
    names::{LOG_START_OFFSETS, Mark},
};
use serde_json::{Value, json};

use super::{Place, disk, unseen};
use crate::{
    failure::Result,
    output::{Answer, Table},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// The segments of this one.
    #[arg(value_name = "TOPIC-PARTITION")]
    partition: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<Answer> {
    let survey = arguments.place.survey()?;
    let answer = match &arguments.partition {
        Some(name) => segments(arguments.place.find(&survey, name)?)?,
        None => partitions(arguments, &survey)?,
    };
    Ok(match unseen(&survey) {
        Some(note) => answer.note(note),
        None => answer,
    })
}

fn partitions(arguments: &Arguments, survey: &Survey) -> Result<Answer> {
    // Records before these were deleted, though their segment may still be there.
    let starts = arguments.place.data.join(LOG_START_OFFSETS);
    let starts = load_offsets(disk(), &starts)?;
    let starts = starts.iter().map(|start| ((start.topic.as_str(), start.partition), start.offset));
    let starts: BTreeMap<_, _> = starts.collect();
    let start = |found: &FoundPartition| {
        let first = found.segments.first()?.base_offset;
        let start = starts.get(&(found.topic.as_str(), found.partition)).copied();
        Some(start.unwrap_or(first).max(first).0)
    };
    let columns = ["partition", "topic_id", "segments", "start", "end", "bytes", "is"];
    let mut table = Table::new(&columns);
    for found in &survey.partitions {
        let end = found.segments.last().map(|last| end(found, last)).transpose()?;
        table.row([
            json!(format!("{}-{}", found.topic, found.partition)),
            json!(found.topic_id.map(|id| id.to_string())),
            json!(found.segments.len()),
            json!(start(found)),
            end.unwrap_or(Value::Null),
            json!(found.log_bytes()),
            json!(match found.mark {
                None => "there",
                Some(Mark::Delete) => "deleted",
                Some(Mark::Stray) => "stray",
                Some(Mark::Future) => "to come",
            }),
        ]);
    }
    let meta = survey.meta.as_ref();
    let about = vec![
        ("cluster", json!(meta.map(|meta| meta.cluster_id.clone()))),
        ("node", json!(meta.map(|meta| meta.node_id))),
        ("directory", json!(meta.and_then(|meta| meta.directory_id).map(|id| id.to_string()))),
        ("in_use", json!(survey.is_in_use)),
        ("stopped_cleanly", json!(survey.was_clean)),
    ];
    Ok(Answer::fields(about).with_table("partitions", table))
}

fn segments(found: &FoundPartition) -> Result<Answer> {
    let columns = ["base", "end", "bytes", "index", "timeindex", "txnindex"];
    let mut table = Table::new(&columns);
    for segment in &found.segments {
        table.row([
            json!(segment.base_offset.0),
            end(found, segment)?,
            json!(segment.log_bytes),
            json!(segment.offset_index_bytes),
            json!(segment.time_index_bytes),
            json!(segment.transaction_index_bytes),
        ]);
    }
    Ok(Answer::table(table))
}

/// The offset behind a segment's last batch.
fn end(found: &FoundPartition, segment: &FoundSegment) -> Result<Value> {
    let mut end = segment.base_offset;
    found.batches(disk(), segment, 0, false)?.each(|batch| {
        end = batch.last_offset.next();
        true
    })?;
    Ok(json!(end.0))
}
