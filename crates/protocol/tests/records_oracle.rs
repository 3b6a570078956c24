//! Kafka's own batches are read to the same records, and Kafka can read ours.
//!
//! `fixtures/batches.jsonl.zst` was written by `tests/oracle/run.sh` with Apache Kafka's classes.
//! In the other direction this test leaves `records_ours.jsonl` in the target's temporary
//! folder, which `tests/oracle/oracle verify-batches FILE` lets Kafka read.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use std::fmt::Write as _;

use milena_protocol::records::{
    Batch, BatchBuilder, Batches, Budget, Codec, EndTransactionMarker, Header, LegacyMessages,
    Origin, Record, Rules, Scratch, TimestampRule, magic, recompress, validate,
};
use milena_protocol::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use serde_json::{Value, json};

const FIXTURE: &[u8] = include_bytes!("fixtures/batches.jsonl.zst");

fn lines() -> Vec<Value> {
    let text = zstd::decode_all(FIXTURE).unwrap();
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn base64(bytes: Option<&[u8]>) -> Value {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let Some(bytes) = bytes else {
        return Value::Null;
    };
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte));
        let group = group << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = LETTERS[(group >> (18 - 6 * place)) as usize & 63];
            text.push(if place > chunk.len() { '=' } else { letter as char });
        }
    }
    Value::String(text)
}

fn describe_record(record: &Record<'_>) -> Value {
    let headers = record
        .headers
        .map(|header| json!([String::from_utf8_lossy(header.key), base64(header.value)]));
    json!({
        "offset": record.offset.0,
        "timestamp": record.timestamp,
        "key": base64(record.key),
        "value": base64(record.value),
        "headers": headers.collect::<Vec<_>>(),
    })
}

/// What the oracle would say of a batch.
fn describe(name: &str, bytes: &[u8], scratch: &mut Scratch) -> Value {
    let batch = Batch::check(bytes).unwrap();
    assert_eq!(batch.bytes().len(), bytes.len(), "{name}");
    let header = *batch.header();
    let attributes = header.attributes;
    let records = batch.records(scratch, Budget::default()).unwrap();
    let records: Vec<_> = records.map(|record| describe_record(&record.unwrap())).collect();
    json!({
        "name": name,
        "codec": Codec::from_id(attributes.codec_id()).unwrap().name(),
        "magic": 2,
        "timestampType":
            if attributes.is_log_append_time() { "LogAppendTime" } else { "CreateTime" },
        "baseOffset": header.base_offset.0,
        "lastOffset": header.last_offset().0,
        "maxTimestamp": header.max_timestamp,
        "partitionLeaderEpoch": header.leader_epoch.0,
        "producerId": header.producer_id.0,
        "producerEpoch": header.producer_epoch.0,
        "baseSequence": header.base_sequence,
        "lastSequence": header.last_sequence(),
        "transactional": attributes.is_transactional(),
        "control": attributes.is_control(),
        "deleteHorizon": attributes.has_delete_horizon().then_some(header.base_timestamp),
        "records": records,
        "hex": hex(bytes),
    })
}

/// The line with the fields of its records in the oracle's order, which compares them as text.
fn in_order(mut line: Value) -> String {
    let records = line["records"].take();
    let records = records.as_array().unwrap().iter().map(|record| {
        let fields = ["offset", "timestamp", "key", "value", "headers"];
        let fields = fields.map(|field| format!("\"{field}\":{}", record[field]));
        format!("{{{}}}", fields.join(","))
    });
    let records = records.collect::<Vec<_>>().join(",");
    line.as_object_mut().unwrap().remove("records");
    line.to_string().replacen('{', &format!("{{\"records\":[{records}],"), 1)
}

#[test]
fn reads_what_kafka_wrote() {
    let mut scratch = Scratch::new();
    let mut seen = 0;
    for line in lines() {
        let name = format!("{} {} v{}", line["name"], line["codec"], line["magic"]);
        let bytes = unhex(line["hex"].as_str().unwrap());
        assert_eq!(json!(magic(&bytes)), line["magic"], "{name}");
        if line["magic"] == 2 {
            let ours = describe(line["name"].as_str().unwrap(), &bytes, &mut scratch);
            assert_eq!(ours, line, "{name}");
        } else {
            let mut records = Vec::new();
            for message in LegacyMessages::new(&bytes) {
                let message = message.unwrap();
                let inner = message.records(&mut scratch, Budget::default()).unwrap();
                records.extend(inner.map(|record| describe_record(&record.unwrap())));
            }
            assert_eq!(Value::Array(records), line["records"], "{name}");
        }
        seen += 1;
    }
    assert!(seen > 100, "{seen} lines");
}

fn rules(origin: Origin) -> Rules {
    Rules {
        produce_version: 11,
        batch_bytes_max: 1 << 20,
        is_compacted: false,
        timestamps: TimestampRule::Create { before_max_ms: i64::MAX, after_max_ms: i64::MAX },
        now_ms: 0,
        origin,
        budget: Budget::default(),
    }
}

/// What Kafka's producer and its coordinators send is valid; what only logs hold is not.
#[test]
fn validates_what_kafka_wrote() {
    let mut scratch = Scratch::new();
    let mut taken = 0;
    for line in lines().into_iter().filter(|line| line["magic"] == 2) {
        let name = line["name"].as_str().unwrap();
        let mut bytes = unhex(line["hex"].as_str().unwrap());
        milena_protocol::records::assign(&mut bytes, Offset::ZERO, LeaderEpoch::UNKNOWN);
        let only_in_logs = line["timestampType"] == "LogAppendTime"
            || ["gaps", "last offset without record", "delete horizon", "all records gone"]
                .contains(&name);
        let is_control = line["control"] == true;
        let origin = if is_control { Origin::Coordinator } else { Origin::Client };
        let verdict = validate(&bytes, &rules(origin), &mut scratch);
        assert_eq!(verdict.is_err(), only_in_logs, "{name}: {verdict:?}");
        if is_control {
            assert!(validate(&bytes, &rules(Origin::Client), &mut scratch).is_err(), "{name}");
        }
        if let Ok(validated) = verdict {
            assert_eq!(json!(validated.max_timestamp), line["maxTimestamp"], "{name}");
            taken += 1;
        }
    }
    assert!(taken > 60, "{taken} batches");
}

#[test]
fn markers_are_kafkas_byte_for_byte() {
    let mut scratch = Scratch::new();
    for line in lines() {
        let is_commit = line["name"] == "commit";
        if !is_commit && line["name"] != "abort" {
            continue;
        }
        let bytes = unhex(line["hex"].as_str().unwrap());
        let marker = EndTransactionMarker { is_commit, coordinator_epoch: 14 };
        let (id, epoch) = (ProducerId(4_711), ProducerEpoch(3));
        let mut ours = Vec::new();
        marker.build(Offset(123), id, epoch, 1_700_000_000_000, &mut ours).unwrap();
        milena_protocol::records::assign(&mut ours, Offset(123), LeaderEpoch(6));
        assert_eq!(hex(&ours), hex(&bytes));
        let batch = Batch::check(&bytes).unwrap();
        let mut records = batch.records(&mut scratch, Budget::default()).unwrap();
        let record = records.next().unwrap().unwrap();
        let read = EndTransactionMarker::read(record.key.unwrap(), record.value.unwrap());
        assert_eq!(read, Some(marker));
    }
}

/// Ours for Kafka to read: each of Kafka's own v2 batches in every codec, built anew and
/// recompressed, and batches larger than any codec's blocks.
#[test]
fn writes_batches_for_kafka_to_read() {
    let mut scratch = Scratch::new();
    let mut text = String::new();
    let mut add = |name: &str, batch: &[u8]| {
        writeln!(text, "{}", in_order(describe(name, batch, &mut Scratch::new()))).unwrap();
    };
    for line in lines().into_iter().filter(|line| line["magic"] == 2) {
        let name = line["name"].as_str().unwrap();
        let bytes = unhex(line["hex"].as_str().unwrap());
        let batch = Batch::check(&bytes).unwrap();
        for codec in Codec::ALL {
            let mut again = Vec::new();
            recompress(&batch, codec, None, Budget::default(), &mut scratch, &mut again).unwrap();
            add(&format!("recompressed {name}"), &again);
            let mut builder = BatchBuilder::in_place_of(batch.header()).with_codec(codec, None);
            for record in batch.records(&mut scratch, Budget::default()).unwrap() {
                builder.append_record(&record.unwrap()).unwrap();
            }
            let mut built = Vec::new();
            builder.build(&mut built).unwrap();
            add(&format!("rebuilt {name}"), &built);
            // Under an append time the records' own timestamps are gone.
            let is_exact = line["timestampType"] == "CreateTime";
            if is_exact && line["codec"] == "none" && codec == Codec::None {
                assert_eq!(hex(&built), hex(&bytes), "{name}: byte for byte what Kafka wrote");
            }
        }
    }
    for codec in Codec::ALL {
        for level in [None, Some(1), Some(9)] {
            let producer = (ProducerId(9), ProducerEpoch(2));
            let mut builder = BatchBuilder::new(Offset(1 << 33))
                .with_codec(codec, level)
                .with_leader_epoch(LeaderEpoch(4))
                .with_producer(producer.0, producer.1, i32::MAX - 5)
                .with_transactional();
            let mut noise = 1u64;
            for index in 0..300u32 {
                let value: Vec<u8> = (0..index * 7 % 3_000)
                    .map(|at| {
                        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        if index % 3 == 0 { (noise >> 56) as u8 } else { (at % 50) as u8 }
                    })
                    .collect();
                let headers = [Header { key: b"trace", value: Some(b"id") }];
                let key = index.to_be_bytes();
                builder.append(
                    1_700_000_000_000 + i64::from(index),
                    Some(&key),
                    Some(&value),
                    headers,
                );
            }
            let mut batch = Vec::new();
            builder.build(&mut batch).unwrap();
            assert_eq!(Batches::checking(&batch).count(), 1);
            add("large", &batch);
        }
    }
    let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/records_ours.jsonl");
    #[expect(clippy::disallowed_methods, reason = "the file is for another program, not ours")]
    std::fs::write(path, text).unwrap();
}
