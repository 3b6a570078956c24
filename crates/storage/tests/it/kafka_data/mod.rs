//! Data directories that Apache Kafka wrote: opened in place, read to the same records, and left as
//! Kafka would leave them.

mod fixture;
mod old_formats;

use std::collections::BTreeMap;

use milena_env::Disk;
use milena_protocol::{LeaderEpoch, Offset, ProducerEpoch};
use milena_storage::{
    Log, LogDirectory,
    index::{AbortedTransaction, OffsetIndex, TimeIndex, TransactionIndex},
    names::{self, FileKind, SegmentFile, Stage},
    producers::{ProducedBatch, ProducerEntry, ProducerStates},
};
use serde_json::{Value, json};

use self::fixture::{Fixture, committed, log_of, read, write};
use crate::rig::path;

/// Kafka's own bookkeeping topics are read like any other.
fn compare(fixture: &Fixture, directory: &LogDirectory) {
    let mut compared = 0;
    for line in &fixture.partitions {
        let log = log_of(directory, line);
        let (start, end) = (log.start_offset(), log.appended_end());
        let found = json!({
            "topic": line["topic"], "partition": line["partition"],
            "logStartOffset": start.0, "highWatermark": end.0,
            "lastStableOffset": log.last_stable_offset(end).0,
        });
        assert_eq!(found, *line);
        let seen = read(&log);
        let shown = committed(&log, &seen);
        let served: Vec<Value> = seen
            .iter()
            .filter(|record| !record.is_control)
            .map(|record| {
                let mut line = record.line.clone();
                line["committed"] = shown.contains(&record.offset).into();
                line
            })
            .collect();
        assert_eq!(served, fixture.records(log.name()), "{}", log.name());
        compared += served.len();
        for record in &seen {
            let epoch = log.epoch_for_offset(Offset(record.offset));
            assert_eq!(epoch, Some(LeaderEpoch(record.epoch)), "{} {}", log.name(), record.offset);
            for timestamp in [record.timestamp, record.timestamp - 1, record.timestamp + 1] {
                let wanted = seen.iter().find(|other| other.timestamp >= timestamp);
                let found = log.offset_for_timestamp(timestamp, end).unwrap();
                let found = found.map(|f| (f.timestamp, f.offset.0, f.epoch.0));
                let wanted = wanted.map(|w| (w.timestamp, w.offset, w.epoch));
                assert_eq!(found, wanted, "{} {timestamp}", log.name());
            }
        }
        let newest = seen.iter().rev().max_by_key(|record| record.timestamp);
        let found = log.max_timestamp(end).unwrap().map(|f| (f.timestamp, f.offset.0, f.epoch.0));
        assert_eq!(found, newest.map(|n| (n.timestamp, n.offset, n.epoch)), "{}", log.name());
    }
    assert!(compared > 1000, "{compared} records");
}

/// What is known of a producer, as far as a snapshot says it.
type Producer = (ProducerEpoch, i32, Option<Offset>, Option<ProducedBatch>);

/// What is derived from the batches of one log.
#[derive(Debug, PartialEq)]
struct Derived {
    aborted: Vec<AbortedTransaction>,
    producers: BTreeMap<i64, Producer>,
    epoch_ends: Vec<Option<(LeaderEpoch, Offset)>>,
}

fn derived(directory: &LogDirectory) -> BTreeMap<String, Derived> {
    let producer = |entry: &ProducerEntry| {
        (entry.epoch, entry.coordinator_epoch, entry.open_transaction, entry.last_batch())
    };
    let describe = |log: &Log| Derived {
        aborted: log.aborted_transactions(log.start_offset(), log.appended_end()).unwrap(),
        producers: log.with_producers(|p| p.iter().map(|(id, e)| (id.0, producer(e))).collect()),
        epoch_ends: (0..8).map(|epoch| log.end_offset_for(LeaderEpoch(epoch))).collect(),
    };
    let logs = directory.logs();
    logs.iter().map(|log| (log.name().to_string(), describe(log))).collect()
}

/// Every index and snapshot of the directory passes a close look.
fn check_derived_files(fixture: &Fixture) {
    let files = fixture.partition_files();
    let mut checked = 0;
    for (file_path, bytes) in &files {
        let Some(file) = SegmentFile::parse(file_path.file_name().unwrap().to_str().unwrap())
        else {
            continue;
        };
        let base = file.base_offset;
        if file.stage != Stage::Live {
            continue;
        }
        let log = file_path.with_file_name(SegmentFile::live(base, FileKind::Log).to_string());
        let whole = match file.kind {
            FileKind::OffsetIndex => {
                OffsetIndex::parse(base, bytes, files[&log].len() as u64).unwrap().len_bytes()
            }
            FileKind::TimeIndex => TimeIndex::parse(base, bytes).unwrap().len_bytes(),
            FileKind::TransactionIndex => TransactionIndex::parse(base, bytes).unwrap().len_bytes(),
            FileKind::ProducerSnapshot => {
                ProducerStates::from_snapshot(base, bytes).unwrap();
                bytes.len() as u64
            }
            _ => continue,
        };
        assert_eq!(whole, bytes.len() as u64, "{} has a zero tail", file_path.display());
        checked += 1;
    }
    assert!(checked > 100, "{checked} files");
}

#[test]
fn what_kafka_stopped_in_order_opens_to_the_same_records() {
    let mut fixture = Fixture::unpack("clean");
    let before = fixture.partition_files();
    let directory = fixture.rig.open().unwrap();
    compare(&fixture, &directory);
    let as_opened = derived(&directory);
    directory.close(9).unwrap();
    drop(directory);
    check_derived_files(&fixture);
    let after = fixture.partition_files();
    for (file, bytes) in &after {
        let name = file.to_string_lossy();
        if name.ends_with(".log") || name.ends_with("index") {
            let is_same = before.get(file) == Some(bytes);
            assert!(is_same, "{name} has changed although nothing was written");
        }
    }

    fixture.rig.crash();
    let directory = fixture.rig.open().unwrap();
    compare(&fixture, &directory);
    assert_eq!(derived(&directory), as_opened);
}

#[test]
fn what_was_killed_opens_to_the_same_records() {
    let mut fixture = Fixture::unpack("unclean");
    let directory = fixture.rig.open().unwrap();
    compare(&fixture, &directory);
    let as_opened = derived(&directory);
    assert!(directory.logs().iter().all(|log| &*log.name().topic != "deleted"));
    directory.close(9).unwrap();
    drop(directory);
    check_derived_files(&fixture);
    fixture.rig.crash();
    let directory = fixture.rig.open().unwrap();
    compare(&fixture, &directory);
    assert_eq!(derived(&directory), as_opened);
}

/// Indexes, snapshots and epochs are all in the batches, too.
#[test]
fn what_is_lost_of_the_derived_files_is_found_again() {
    let mut fixture = Fixture::unpack("clean");
    let directory = fixture.rig.open().unwrap();
    let mut wanted = derived(&directory);
    drop(directory);
    fixture.rig.kill();
    let disk: &dyn Disk = &*fixture.rig.disk;
    for file in fixture.partition_files().into_keys() {
        let name = file.file_name().unwrap().to_str().unwrap();
        let is_derived = SegmentFile::parse(name).is_some_and(|file| file.kind != FileKind::Log);
        if is_derived || name == names::LEADER_EPOCHS {
            disk.remove_file(&file).unwrap();
        }
    }
    // Nobody promises anything of this directory.
    write(disk, &path().join(names::RECOVERY_POINTS), b"0\n0\n");
    disk.remove_file(&path().join(names::CLEAN_SHUTDOWN)).unwrap_or_default();
    let directory = fixture.rig.open().unwrap();
    compare(&fixture, &directory);
    let mut found = derived(&directory);
    // Compaction keeps neither every batch of a producer nor where every epoch began.
    wanted.retain(|name, _| !name.starts_with("compacted"));
    found.retain(|name, _| !name.starts_with("compacted"));
    assert_eq!(found.len(), wanted.len());
    for (name, found) in found {
        let wanted = &wanted[&name];
        assert_eq!((&found.aborted, &found.epoch_ends), (&wanted.aborted, &wanted.epoch_ends));
        // Kafka has forgotten producers whose records are old, which the log still speaks of.
        for (id, producer) in &wanted.producers {
            assert_eq!(found.producers.get(id), Some(producer), "{name} {id}");
        }
    }
}
