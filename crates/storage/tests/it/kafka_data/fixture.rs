//! The directories that Apache Kafka wrote (`tests/fixtures/kafka-data`), put on a simulated disk.

use std::{
    collections::BTreeMap,
    io::IoSlice,
    path::{Path, PathBuf},
    sync::Arc,
};

use milena_env::{Disk, disk::Open};
use milena_protocol::{
    Offset,
    records::{Batch, Batches, Budget, Record, Scratch},
};
use milena_storage::{Limit, Log, LogConfig, LogDirectory, TopicPartition};
use serde_json::{Value, json};

use crate::rig::{Rig, path};

/// A directory and what Kafka served from it.
pub(super) struct Fixture {
    pub(super) rig: Rig,
    pub(super) partitions: Vec<Value>,
    records: BTreeMap<TopicPartition, Vec<Value>>,
}

impl Fixture {
    /// Unpacks `clean` or `unclean`.
    pub(super) fn unpack(name: &str) -> Self {
        let rig = Rig::new(1, LogConfig::default());
        let disk: Arc<dyn Disk> = rig.disk.clone();
        for (name, bytes) in files(&unpacked(&format!("{name}.tar"))) {
            let path = path().join(name);
            disk.create_dir_all(path.parent().unwrap()).unwrap();
            write(&*disk, &path, &bytes);
        }
        disk.sync_file_system(&path()).unwrap();
        let mut records = BTreeMap::<_, Vec<_>>::new();
        for line in lines(&format!("{name}.records.jsonl")) {
            records.entry(partition_of(&line)).or_default().push(line);
        }
        Self { rig, partitions: lines(&format!("{name}.partitions.jsonl")), records }
    }

    /// The records of a partition that Kafka served.
    pub(super) fn records(&self, partition: &TopicPartition) -> &[Value] {
        self.records.get(partition).map_or(&[], Vec::as_slice)
    }

    /// Files of partitions, each with its path and bytes.
    pub(super) fn partition_files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let disk: &dyn Disk = &*self.rig.disk;
        let mut files = BTreeMap::new();
        for folder in disk.list(&path()).unwrap().into_iter().filter(|entry| entry.is_dir) {
            let folder = path().join(folder.name);
            for file in disk.list(&folder).unwrap() {
                let file = folder.join(file.name);
                files.insert(file.clone(), disk.read(&file).unwrap());
            }
        }
        files
    }
}

pub(super) fn partition_of(line: &Value) -> TopicPartition {
    TopicPartition {
        topic: line["topic"].as_str().unwrap().into(),
        partition: line["partition"].as_i64().unwrap() as i32,
    }
}

pub(super) fn log_of(directory: &LogDirectory, line: &Value) -> Arc<Log> {
    directory.log(&partition_of(line)).unwrap_or_else(|| panic!("{line} has no log"))
}

pub(super) fn write(disk: &dyn Disk, path: &Path, bytes: &[u8]) {
    let file = disk.open(path, Open::Create).unwrap();
    file.set_len(0).unwrap();
    file.write_all_at(&[IoSlice::new(bytes)], 0).unwrap();
}

fn unpacked(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/kafka-data/");
    let path = PathBuf::from(format!("{folder}{name}.zst"));
    let disk: &dyn Disk = &milena_env::disk::RealDisk;
    zstd::decode_all(&disk.read(&path).unwrap()[..]).unwrap()
}

fn lines(name: &str) -> Vec<Value> {
    let text = unpacked(name);
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

/// The files in a plain ustar archive: a block of header each, then the bytes, padded to blocks.
fn files(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let text = |field: &[u8]| {
        let field = field.split(|byte| *byte == 0).next().unwrap();
        String::from_utf8(field.to_vec()).unwrap().trim().to_owned()
    };
    let mut files = Vec::new();
    let mut rest = archive;
    while rest[0] != 0 {
        let (header, after) = rest.split_at(512);
        let len = usize::from_str_radix(&text(&header[124..136]), 8).unwrap();
        if header[156] == b'0' {
            let name = [text(&header[345..500]), text(&header[..100])].join("/");
            files.push((name.trim_start_matches(['/', '.']).to_owned(), after[..len].to_vec()));
        }
        rest = &after[len.next_multiple_of(512)..];
    }
    assert!(files.len() > 100, "an archive of {} files", files.len());
    // The names of hidden files have just lost their dot.
    for (name, _) in &mut files {
        if name == "kafka_cleanshutdown" || name == "lock" {
            name.insert(0, '.');
        }
    }
    files
}

/// One record as the fixtures have it, and whether it is a control record.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) offset: i64,
    pub(super) timestamp: i64,
    pub(super) epoch: i32,
    pub(super) producer_id: i64,
    pub(super) is_transactional: bool,
    /// For a marker: whether it aborts.
    pub(super) marker: Option<bool>,
    pub(super) is_control: bool,
    pub(super) line: Value,
}

/// Every record of a log, read in pieces of a few kilobytes.
pub(super) fn read(log: &Log) -> Vec<Seen> {
    let (mut from, end) = (log.start_offset(), log.appended_end());
    let start = from;
    let mut seen = Vec::new();
    let mut scratch = Scratch::new();
    while from < end {
        let limit = Limit { bytes_max: 3000, at_least_one: true };
        let bytes = log.read(from, end, limit).unwrap().read().unwrap();
        let before = from;
        for batch in Batches::new(&bytes) {
            let batch = Batch::check(batch.bytes()).unwrap();
            let records = batch.records(&mut scratch, Budget::default()).unwrap();
            let records = records.map(Result::unwrap).filter(|r| r.offset >= start);
            seen.extend(records.map(|record| see(log, &batch, &record)));
            from = batch.header().next_offset();
        }
        // The log may end in offsets whose records were compacted away.
        if from == before {
            assert!(bytes.is_empty(), "{}: no whole batch at {from}", log.name());
            break;
        }
    }
    seen
}

fn see(log: &Log, batch: &Batch<'_>, record: &Record<'_>) -> Seen {
    let header = batch.header();
    let kind = if header.attributes.is_log_append_time() { "LogAppendTime" } else { "CreateTime" };
    let headers = record
        .headers
        .map(|header| json!([String::from_utf8_lossy(header.key), base64(header.value)]));
    let is_control = header.attributes.is_control();
    let marker = record.key.filter(|_| is_control && header.has_producer_id());
    Seen {
        offset: record.offset.0,
        timestamp: record.timestamp,
        epoch: header.leader_epoch.0,
        producer_id: header.producer_id.0,
        is_transactional: header.attributes.is_transactional(),
        marker: marker.map(|key| key[3] == 0),
        is_control,
        line: json!({
            "topic": log.name().topic, "partition": log.name().partition,
            "offset": record.offset.0, "leaderEpoch": header.leader_epoch.0,
            "timestamp": record.timestamp, "timestampType": kind,
            "key": base64(record.key), "value": base64(record.value),
            "headers": headers.collect::<Vec<_>>(),
        }),
    }
}

/// What a consumer of committed records makes of what it reads, and of the aborted transactions
/// that come with it: which offsets it shows.
pub(super) fn committed(log: &Log, seen: &[Seen]) -> Vec<i64> {
    let stable = log.last_stable_offset(log.appended_end());
    let mut aborted = log.aborted_transactions(log.start_offset(), stable).unwrap();
    aborted.sort_by_key(|transaction| transaction.first_offset);
    let mut aborted = aborted.into_iter().peekable();
    let mut aborting = Vec::new();
    let mut shown = Vec::new();
    for record in seen.iter().filter(|record| Offset(record.offset) < stable) {
        while let Some(next) = aborted.next_if(|next| next.first_offset.0 <= record.offset) {
            aborting.push(next.producer_id.0);
        }
        if record.marker == Some(true) {
            aborting.retain(|id| *id != record.producer_id);
        }
        let is_aborted = record.is_transactional && aborting.contains(&record.producer_id);
        if !record.is_control && !is_aborted {
            shown.push(record.offset);
        }
    }
    shown
}

pub(super) fn base64(bytes: Option<&[u8]>) -> Value {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let Some(bytes) = bytes else {
        return Value::Null;
    };
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte));
        let group = group << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = char::from(LETTERS[(group >> (18 - 6 * place)) as usize & 63]);
            text.push(if place > chunk.len() { '=' } else { letter });
        }
    }
    Value::String(text)
}
