//! When a log goes on in a new segment: by time, by jitter, and by the size of its indexes.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::BytesMut;
use milena_env::Disk;
use milena_protocol::{Offset, records::BatchBuilder};
use milena_storage::{
    LogConfig, LogDirectory,
    names::{FileKind, SegmentFile},
};

use crate::rig::{NOW_MS, Rig, append, path};

fn at(timestamp: i64) -> BytesMut {
    let mut builder = BatchBuilder::new(Offset::ZERO);
    builder.append(timestamp, None, Some(b"value"), []);
    let mut bytes = Vec::new();
    builder.build(&mut bytes).unwrap();
    BytesMut::from(&bytes[..])
}

/// Files of the log "orders", with their lengths.
fn files(rig: &Rig, directory: &Arc<LogDirectory>) -> Vec<(SegmentFile, u64)> {
    directory.run_pending();
    directory.checkpoint().unwrap();
    let folder = path().join("orders-0");
    let entries = rig.disk.list(&folder).unwrap();
    let files = entries.iter().filter_map(|entry| SegmentFile::parse(&entry.name));
    let len = |file: SegmentFile| rig.disk.metadata(&folder.join(file.to_string())).unwrap().len;
    files.map(|file| (file, len(file))).collect()
}

fn bases(rig: &Rig, directory: &Arc<LogDirectory>) -> Vec<i64> {
    let files = files(rig, directory);
    let logs = files.iter().filter(|(file, _)| file.kind == FileKind::Log);
    logs.map(|(file, _)| file.base_offset.0).collect()
}

#[test]
fn a_segment_ends_when_its_records_are_older_than_segment_ms() {
    let rig = Rig::new(1, LogConfig { segment_ms: 1_000, ..LogConfig::default() });
    let directory = rig.open().unwrap();
    let log = rig.log(&directory, "orders");
    for after in [0, 1_000, 1_001, 500, 2_001, 2_002] {
        append(&log, at(NOW_MS + after), 0).unwrap();
    }
    assert_eq!(bases(&rig, &directory), [0, 2, 5]);
    // Records without a time count by the clock.
    append(&log, at(-1), 0).unwrap();
    rig.clock.advance(Duration::from_millis(1_000));
    append(&log, at(-1), 0).unwrap();
    assert_eq!(bases(&rig, &directory), [0, 2, 5]);
    rig.clock.advance(Duration::from_millis(1));
    append(&log, at(-1), 0).unwrap();
    assert_eq!(bases(&rig, &directory), [0, 2, 5, 8]);
}

#[test]
fn jitter_lets_segments_end_earlier_and_not_all_at_once() {
    let config = LogConfig { segment_ms: 1_000, segment_jitter_ms: 500, ..LogConfig::default() };
    let mut ages = BTreeSet::new();
    for created in 0..40 {
        let rig = Rig::new(created, config.clone());
        rig.clock.advance(Duration::from_millis(created * 7_919));
        let directory = rig.open().unwrap();
        let log = rig.log(&directory, "orders");
        append(&log, at(NOW_MS), 0).unwrap();
        let rolls = |age: &i64| {
            append(&log, at(NOW_MS + age), 0).unwrap();
            bases(&rig, &directory).len() > 1
        };
        let age = (400..1_100).step_by(20).find(rolls).unwrap();
        assert!((500..=1_020).contains(&age), "{age}");
        ages.insert(age);
    }
    assert!(ages.len() > 5, "{ages:?}");
}

#[test]
fn no_index_outgrows_segment_index_bytes() {
    for segment_index_bytes in [24, 36, 50, 96, 200] {
        let config =
            LogConfig { segment_index_bytes, index_interval_bytes: 0, ..LogConfig::default() };
        let rig = Rig::new(1, config);
        let directory = rig.open().unwrap();
        let log = rig.log(&directory, "orders");
        for index in 0..60 {
            append(&log, at(NOW_MS + index), 0).unwrap();
        }
        let files = files(&rig, &directory);
        let indexes = files
            .iter()
            .filter(|(file, _)| matches!(file.kind, FileKind::OffsetIndex | FileKind::TimeIndex));
        let longest = indexes.map(|(_, len)| *len).max().unwrap();
        assert!(longest <= u64::from(segment_index_bytes), "{longest} of {segment_index_bytes}");
        assert!(longest * 2 >= u64::from(segment_index_bytes), "and they are used");
        assert!(files.iter().filter(|(file, _)| file.kind == FileKind::Log).count() > 2);
    }
}
