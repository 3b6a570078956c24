//! `milena log explain`: the look-up of an offset, step by step.

use std::io::{self, Write};

use milena_protocol::Offset;
use milena_storage::{
    inspect::{Explanation, FoundPartition, IndexSearch, Probe, explain},
    names::FileKind,
};
use serde_json::{Value, json};

use super::{Place, disk, dump, unseen};
use crate::{
    failure::{Exit, Failure, Result},
    output::{Screen, bold},
};

/// Of a long walk the first batches are shown, and the last one.
const SHOWN_MAX: usize = 8;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Which partition.
    #[arg(value_name = "TOPIC-PARTITION")]
    partition: String,
    /// Which offset.
    offset: i64,
}

pub(super) fn run(arguments: &Arguments, screen: Screen) -> Result<()> {
    let survey = arguments.place.survey()?;
    let found = arguments.place.find(&survey, &arguments.partition)?;
    if let Some(note) = unseen(&survey) {
        eprintln!("milena: {note}");
    }
    let explanation = explain(disk(), found, Offset(arguments.offset))?;
    let text = if screen.json {
        format!("{:#}\n", told(&explanation))
    } else {
        steps(found, &explanation, screen)
    };
    io::stdout().write_all(text.as_bytes())?;
    if let Some((position, reason)) = explanation.invalid {
        return Err(Failure::new(Exit::Damaged, format!("at byte {position}: {reason}")));
    }
    if explanation.batch.is_none() && found.segments.iter().all(|it| it.log_bytes == 0) {
        let next = found.segments.last().map_or(0, |segment| segment.base_offset.0);
        let name = &arguments.partition;
        let what = format!("{name} is an empty log, whose next record gets offset {next}");
        return Err(Failure::new(Exit::Refused, what));
    }
    if explanation.batch.is_none() {
        let what = format!("offset {} is not there", arguments.offset);
        return Err(Failure::new(Exit::Refused, what).hint("`milena log ls` shows what there is"));
    }
    Ok(())
}

fn steps(found: &FoundPartition, explained: &Explanation, screen: Screen) -> String {
    let offset = explained.offset;
    let mut text = String::new();
    let mut say = |line: String| text.extend([line.as_str(), "\n"]);
    let count = found.segments.len();
    let looks = explained.probes.len();
    say(bold(
        &format!("1. Which segment? {count} of them, binary search in {looks} looks:"),
        screen,
    ));
    for probe in &explained.probes {
        say(looked(probe, "segment", offset));
    }
    let Some((number, segment)) = &explained.segment else {
        say(format!("   none begins at or below {offset}: the log starts later"));
        return text;
    };
    let log = found.file(segment, FileKind::Log);
    let name = |path: &std::path::Path| {
        path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    say(format!("   segment {number}: {}, {} bytes", name(&log), segment.log_bytes));
    if let Some(index) = &explained.index {
        let file = name(&found.file(segment, FileKind::OffsetIndex));
        for line in index_lines(index, &file, offset, screen) {
            say(line);
        }
    }
    let (from, passed) = (explained.walk_from, explained.passed.len());
    let header_bytes: u64 = explained.passed.last().map_or(0, |last| last.position - from);
    say(bold(&format!("3. Which batch? A walk over headers from byte {from}:"), screen));
    for (at, batch) in explained.passed.iter().enumerate() {
        if at < SHOWN_MAX || at + 1 == passed {
            let verdict = if batch.last_offset < offset { "ends below it" } else { "reaches it" };
            say(format!("   {}: {verdict}", dump::line(batch)));
        } else if at == SHOWN_MAX {
            say(format!("   ... {} more that end below it", passed - SHOWN_MAX - 1));
        }
    }
    say(format!("   {passed} headers looked at, {header_bytes} bytes passed"));
    match &explained.batch {
        None => say(format!("   the segment ends before {offset}")),
        Some(batch) => {
            let to = batch.position + batch.size;
            say(bold(
                &format!("4. The batch: bytes {}..{to} of the segment", batch.position),
                screen,
            ));
            if batch.base_offset > offset {
                say(format!("   {offset} itself was compacted away; this is what follows"));
            } else {
                let record = offset.0 - batch.base_offset.0;
                say(format!("   {offset} is at delta {record} in it"));
            }
        }
    }
    text
}

fn index_lines(index: &IndexSearch, file: &str, offset: Offset, screen: Screen) -> Vec<String> {
    let (entries, looks) = (index.entries, index.probes.len());
    let title = match &index.unusable {
        Some(why) => format!("2. Which index entry? None: {why}"),
        None => format!(
            "2. Which index entry? {file}, {entries} of them, binary search in {looks} looks:"
        ),
    };
    let mut lines = vec![bold(&title, screen)];
    lines.extend(index.probes.iter().map(|probe| looked(probe, "entry", offset)));
    lines.push(match &index.found {
        Some((at, entry)) => {
            format!("   entry {at}: offset {} is at byte {}", entry.offset, entry.position)
        }
        None => "   none at or below it: from the segment's start".to_owned(),
    });
    lines
}

fn looked(probe: &Probe, what: &str, wanted: Offset) -> String {
    let (at, offset) = (probe.at, probe.offset);
    match probe.is_at_or_below {
        true => format!("   {what} {at} has {offset} <= {wanted}: this one, or above"),
        false => format!("   {what} {at} has {offset} > {wanted}: below"),
    }
}

fn told(explained: &Explanation) -> Value {
    let probe = |probe: &Probe| {
        let (at, offset) = (probe.at, probe.offset.0);
        json!({ "at": at, "offset": offset, "at_or_below": probe.is_at_or_below })
    };
    let probes = |probes: &[Probe]| probes.iter().map(probe).collect::<Vec<_>>();
    let batch = explained.batch.as_ref();
    json!({
        "offset": explained.offset.0,
        "segment_probes": probes(&explained.probes),
        "segment": explained.segment.map(|(number, segment)| json!({
            "number": number,
            "base_offset": segment.base_offset.0,
            "bytes": segment.log_bytes,
        })),
        "index": explained.index.as_ref().map(|index| json!({
            "entries": index.entries,
            "probes": probes(&index.probes),
            "entry": index.found.map(|(at, entry)| json!({
                "number": at,
                "offset": entry.offset.0,
                "position": entry.position,
            })),
            "unusable": index.unusable,
        })),
        "walk_from": explained.walk_from,
        "headers_passed": explained.passed.len(),
        "batch": batch.map(|batch| json!({
            "position": batch.position,
            "bytes": batch.size,
            "base_offset": batch.base_offset.0,
            "last_offset": batch.last_offset.0,
        })),
    })
}
