//! `milena log dump`: batch by batch, so that a log of any length can be dumped.

use std::io::{self, BufWriter, ErrorKind, Write};

use milena_protocol::{
    Offset,
    records::{Batch, Budget, ControlType, LegacyMessage, Scratch},
};
use milena_storage::inspect::{FoundBatch, WalkEnd};
use serde_json::{Value, json};

use super::{Place, disk, unseen};
use crate::{
    failure::{Exit, Failure, Result},
    output::{Screen, format_ms, in_json, shown},
};

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Which partition.
    #[arg(value_name = "TOPIC-PARTITION")]
    partition: String,
    /// Begin with the batch that holds this offset.
    #[arg(long, default_value_t = 0)]
    from: i64,
    /// How many batches at most.
    #[arg(long, short = 'n')]
    count: Option<u64>,
    /// Also the records in them.
    #[arg(long, short)]
    records: bool,
}

pub(super) fn run(arguments: &Arguments, screen: Screen) -> Result<()> {
    let survey = arguments.place.survey()?;
    let found = arguments.place.find(&survey, &arguments.partition)?;
    if let Some(note) = unseen(&survey) {
        eprintln!("milena: {note}");
    }
    let mut out = BufWriter::new(io::stdout().lock());
    let mut left = arguments.count.unwrap_or(u64::MAX);
    let from = Offset(arguments.from);
    // Whatever lies in segments before the one that holds it is not looked at.
    let first = found.segments.iter().rposition(|segment| segment.base_offset <= from);
    for segment in found.segments.iter().skip(first.unwrap_or(0)) {
        let mut written = Ok(());
        let walk = found.batches(disk(), segment, 0, true)?;
        let ended = walk.each(|batch| {
            if batch.last_offset < from {
                return true;
            }
            if left == 0 {
                return false;
            }
            left -= 1;
            written = dump(&batch, arguments.records, screen, &mut out);
            written.is_ok()
        })?;
        match written {
            // Whoever reads has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
        if let WalkEnd::Invalid { position, reason } = ended {
            out.flush()?;
            let what = format!("segment {} at byte {position}: {reason}", segment.base_offset);
            return Err(Failure::new(Exit::Damaged, what).hint("`milena log verify` looks at all"));
        }
    }
    match out.flush() {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        flushed => Ok(flushed?),
    }
}

fn dump(
    batch: &FoundBatch,
    with_records: bool,
    screen: Screen,
    out: &mut impl Write,
) -> io::Result<()> {
    let records = if with_records { Some(records(batch)) } else { None };
    if screen.json {
        let mut told = told(batch);
        if let (Some(fields), Some(records)) = (told.as_object_mut(), records) {
            fields.insert("records".to_owned(), records.map_or_else(Value::from, Value::from));
        }
        return writeln!(out, "{told}");
    }
    writeln!(out, "{}", line(batch))?;
    match records {
        None => Ok(()),
        Some(Err(why)) => writeln!(out, "  its records cannot be read: {why}"),
        Some(Ok(records)) => {
            for record in records {
                writeln!(out, "  {}", record_line(&record))?;
            }
            Ok(())
        }
    }
}

fn told(batch: &FoundBatch) -> Value {
    let header = batch.header.as_ref();
    json!({
        "position": batch.position,
        "bytes": batch.size,
        "base_offset": batch.base_offset.0,
        "last_offset": batch.last_offset.0,
        "max_timestamp": batch.max_timestamp,
        "format": if header.is_some() { "batch" } else { "message" },
        "count": header.map(|header| header.record_count),
        "codec": header.map(|header| codec(header.attributes.codec_id())),
        "leader_epoch": header.map(|header| header.leader_epoch.0),
        "producer_id": header.map(|header| header.producer_id.0),
        "producer_epoch": header.map(|header| header.producer_epoch.0),
        "base_sequence": header.map(|header| header.base_sequence),
        "transactional": header.map(|header| header.attributes.is_transactional()),
        "control": header.map(|header| header.attributes.is_control()),
    })
}

/// A batch on one line.
pub(super) fn line(batch: &FoundBatch) -> String {
    let (first, last) = (batch.base_offset, batch.last_offset);
    let time = format_ms(batch.max_timestamp);
    let place = format!("@{} {} bytes", batch.position, batch.size);
    let Some(header) = &batch.header else {
        return format!("offset {last} {place} an old message, {time}");
    };
    let mut line = format!(
        "offsets {first}..{last} {place} {} records, codec {}, epoch {}, up to {time}",
        header.record_count,
        codec(header.attributes.codec_id()),
        header.leader_epoch,
    );
    if header.producer_id.0 >= 0 {
        line += &format!(
            ", producer {}:{} from {}",
            header.producer_id, header.producer_epoch, header.base_sequence
        );
    }
    if header.attributes.is_transactional() {
        line += ", transactional";
    }
    if header.attributes.is_control() {
        line += ", control";
    }
    line
}

fn codec(id: i16) -> &'static str {
    usize::try_from(id).ok().and_then(|id| CODECS.get(id)).unwrap_or(&"unknown")
}

/// The records of a batch, or why they cannot be read.
pub(super) fn records(batch: &FoundBatch) -> Result<Vec<Value>, String> {
    let mut scratch = Scratch::default();
    let mut all = Vec::new();
    if batch.header.is_none() {
        let message = LegacyMessage::read(&batch.bytes).map_err(|error| error.to_string())?;
        let records = message.records(&mut scratch, Budget::default());
        for record in records.map_err(|error| error.to_string())? {
            let record = record.map_err(|error| error.to_string())?;
            all.push(json!({
                "offset": record.offset.0,
                "timestamp": record.timestamp,
                "key": in_json(record.key),
                "value": in_json(record.value),
                "headers": [],
            }));
        }
        return Ok(all);
    }
    let read = Batch::check(&batch.bytes).map_err(|error| error.to_string())?;
    let is_control = read.header().attributes.is_control();
    let records = read.records(&mut scratch, Budget::default());
    for record in records.map_err(|error| error.to_string())? {
        let record = record.map_err(|error| error.to_string())?;
        let headers = record.headers.map(|header| {
            let key = String::from_utf8_lossy(header.key);
            json!([key, in_json(header.value)])
        });
        let headers: Vec<_> = headers.collect();
        let mut told = json!({
            "offset": record.offset.0,
            "timestamp": record.timestamp,
            "key": in_json(record.key),
            "value": in_json(record.value),
            "headers": headers,
        });
        let control = record.key.filter(|_| is_control).and_then(ControlType::from_key);
        if let (Some(fields), Some(control)) = (told.as_object_mut(), control) {
            fields.insert("control".to_owned(), format!("{control:?}").into());
        }
        all.push(told);
    }
    Ok(all)
}

fn record_line(record: &Value) -> String {
    let field = |name: &str| record.get(name).cloned().unwrap_or_default();
    let bytes = |value: &Value| match value {
        Value::String(text) => shown(Some(text.as_bytes())),
        Value::Null => shown(None),
        other => other.get("hex").and_then(Value::as_str).unwrap_or_default().to_owned(),
    };
    let time = format_ms(field("timestamp").as_i64().unwrap_or(-1));
    let mut line = format!("{} {time}", field("offset"));
    if let Some(control) = field("control").as_str() {
        return line + " " + control;
    }
    line += &format!(" key {} value {}", bytes(&field("key")), bytes(&field("value")));
    for header in field("headers").as_array().into_iter().flatten() {
        if let [name, value] = header.as_array().map_or(&[][..], Vec::as_slice) {
            line += &format!(" [{}: {}]", bytes(name), bytes(value));
        }
    }
    line
}
