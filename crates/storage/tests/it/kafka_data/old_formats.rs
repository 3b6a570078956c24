//! A log whose first messages are of the formats v0 and v1, as clients of Kafka 0.8 to 0.10 sent
//! them: it opens, is read, and goes on with batches of today.

use milena_env::Disk;
use milena_protocol::{
    LeaderEpoch, Offset, Uuid,
    records::{Budget, LegacyMessage, Scratch},
};
use milena_storage::{Limit, Log, LogConfig, meta_properties::MetaProperties, names};
use serde_json::Value;

use super::fixture::{base64, write};
use crate::rig::{NOW_MS, Rig, append, batch, partition, path};

const FIXTURE: &[u8] = include_bytes!("../../../../protocol/tests/fixtures/batches.jsonl.zst");

/// Records with their offset, timestamp, key and value.
type Records = Vec<(i64, i64, Value, Value)>;

/// Message sets that Kafka's classes wrote, one behind the other, and the records in them. Only an
/// outer offset can be changed without writing a message anew, so those of v0 that are compressed
/// keep theirs.
fn old_messages() -> (Vec<u8>, Records) {
    let text = zstd::decode_all(FIXTURE).unwrap();
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let all: Vec<Value> = lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
    let (mut bytes, mut records) = (Vec::new(), Records::new());
    let mut next = 0;
    let keeping = [("large value", "gzip"), ("one record", "lz4"), ("plain", "snappy")];
    let kept = keeping.map(|(name, codec)| {
        all.iter().find(|l| l["magic"] == 0 && l["name"] == name && l["codec"] == codec).unwrap()
    });
    let moved = all.iter().filter(|l| l["magic"] == 1 || (l["magic"] == 0 && l["codec"] == "none"));
    let mut taken = 0;
    for line in kept.into_iter().chain(moved) {
        let first = line["records"][0]["offset"].as_i64().unwrap();
        // A set of several plain messages is described by each of them.
        let shift = if taken < kept.len() { 0 } else { next - first };
        let start = bytes.len();
        bytes.extend(unhex(line["hex"].as_str().unwrap()));
        let mut at = start;
        while at < bytes.len() {
            let place = &mut bytes[at..at + 8];
            let offset = i64::from_be_bytes((&*place).try_into().unwrap()) + shift;
            place.copy_from_slice(&offset.to_be_bytes());
            at += LegacyMessage::read(&bytes[at..]).unwrap().size_in_bytes();
        }
        for record in line["records"].as_array().unwrap() {
            let offset = record["offset"].as_i64().unwrap() + shift;
            let timestamp = record["timestamp"].as_i64().unwrap();
            records.push((offset, timestamp, record["key"].clone(), record["value"].clone()));
            next = offset + 1;
        }
        taken += 1;
    }
    assert!(taken > 12, "{taken} message sets");
    (bytes, records)
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

/// Reads old messages from `from` up to `end`, as a reader with little room does.
fn read_old(log: &Log, from: i64, end: i64) -> Records {
    let mut records = Records::new();
    let mut scratch = Scratch::new();
    let mut next = from;
    while next < end {
        let limit = Limit { bytes_max: 100, at_least_one: true };
        let bytes = log.read(Offset(next), Offset(end), limit).unwrap().read().unwrap();
        let before = next;
        let mut rest = &bytes[..];
        while let Ok(message) = LegacyMessage::read(rest) {
            rest = &rest[message.size_in_bytes()..];
            for record in message.records(&mut scratch, Budget::default()).unwrap() {
                let record = record.unwrap();
                next = record.offset.0 + 1;
                if record.offset.0 >= from {
                    let (key, value) = (base64(record.key), base64(record.value));
                    records.push((record.offset.0, record.timestamp, key, value));
                }
            }
        }
        assert!(next > before, "nothing at {before}");
    }
    records
}

#[test]
fn messages_of_the_formats_v0_and_v1_open_and_are_read() {
    let (bytes, records) = old_messages();
    let end = records.last().unwrap().0 + 1;
    let mut rig = Rig::new(1, LogConfig { index_interval_bytes: 100, ..LogConfig::default() });
    let disk: &dyn Disk = &*rig.disk;
    let folder = path().join("orders-0");
    disk.create_dir_all(&folder).unwrap();
    let meta = MetaProperties {
        cluster_id: "cluster".to_owned(),
        node_id: 1,
        directory_id: Some(Uuid::from_u128(77)),
    };
    meta.store(disk, &path().join(names::META_PROPERTIES)).unwrap();
    write(disk, &folder.join("00000000000000000000.log"), &bytes);
    disk.sync_file_system(&path()).unwrap();

    let directory = rig.open().unwrap();
    let log = directory.log(&partition("orders")).unwrap();
    assert_eq!(log.appended_end(), Offset(end));
    assert_eq!(read_old(&log, 0, end), records);
    for (offset, _, _, _) in &records {
        let wanted: Vec<_> = records.iter().filter(|r| r.0 >= *offset).cloned().collect();
        assert_eq!(read_old(&log, *offset, end), wanted, "from {offset}");
    }
    let appended = append(&log, batch(&["new"]), 3).unwrap();
    assert_eq!(appended.base_offset, Offset(end));
    directory.close(1).unwrap();
    drop((log, directory));
    rig.crash();

    let directory = rig.open().unwrap();
    let log = directory.log(&partition("orders")).unwrap();
    assert_eq!(log.appended_end(), Offset(end + 1));
    assert_eq!(read_old(&log, 0, end), records);
    assert_eq!(log.latest_epoch(), Some(LeaderEpoch(3)));
    let timestamps = records.iter().map(|r| r.1).chain([NOW_MS, NOW_MS - 1]);
    for timestamp in timestamps.filter(|timestamp| *timestamp >= 0) {
        let wanted = records.iter().map(|r| (r.1, r.0)).chain([(NOW_MS, end)]);
        let wanted = wanted.into_iter().find(|r| r.0 >= timestamp);
        let found = log.offset_for_timestamp(timestamp, Offset(end + 1)).unwrap();
        assert_eq!(found.map(|f| (f.timestamp, f.offset.0)), wanted, "{timestamp}");
    }
}
