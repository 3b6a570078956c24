//! The records are Kafka's, byte for byte: the bytes here were written by Kafka 4.3.1.

use std::{collections::BTreeMap, sync::Arc};

use milena_protocol::Uuid;

use super::{
    super::record::{self, Encoded},
    change::{Change, Epoch, TargetEpoch},
    member::{ClassicMetadata, Current, Metadata, State},
    subscription::Resolved,
};

const TOPIC: Uuid = Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().map(|digit| digit.to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// Writes the change, and reads it again.
fn is_written(change: &Change, key: &str, value: &str) {
    let encoded = record::encode(&change.key("g"), change.value().as_ref()).unwrap();
    let Encoded { key: written_key, value: written } = encoded;
    assert_eq!(written_key, bytes(key), "{change:?}");
    assert_eq!(written, (value != "-").then(|| bytes(value)), "{change:?}");
    let read_key = record::read_key(&written_key).unwrap().unwrap();
    let read = written.as_deref().map(|value| record::read_value(&read_key, value).unwrap());
    assert_eq!(Change::read(&read_key, read.as_ref()).as_ref(), Some(change));
}

fn owned(partition: i32, since: i32) -> BTreeMap<Uuid, BTreeMap<i32, i32>> {
    [(TOPIC, [(partition, since)].into())].into()
}

#[test]
fn members_are_written_as_kafka_writes_them() {
    let key = "000500016700016d";
    let metadata = Metadata {
        instance_id: Some("i".into()),
        rack_id: Some("r".into()),
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        topics: Arc::new(["t".into(), "a".into()].into()),
        pattern: "a.*".into(),
        rebalance_timeout_ms: 30_000,
        assignor: Some("range".into()),
        classic: None,
    };
    let change = Change::Member("m".into(), Some(metadata.clone()));
    is_written(
        &change,
        key,
        "00000269027207636c69656e740b2f3132372e302e302e31030261027404612e2a000075300672616e676501\
         000100",
    );
    let protocols = vec![("range".into(), [1, 2].into())];
    let classic = ClassicMetadata { session_timeout_ms: 10_000, protocols };
    let metadata = Metadata {
        instance_id: None,
        rack_id: None,
        pattern: "".into(),
        assignor: None,
        classic: Some(classic),
        ..metadata
    };
    let change = Change::Member("m".into(), Some(metadata));
    is_written(
        &change,
        key,
        "0000000007636c69656e740b2f3132372e302e302e3103026102740100007530000100110100002710020672\
         616e67650301020000",
    );
    is_written(&Change::Member("m".into(), None), key, "-");
}

#[test]
fn epochs_and_targets_are_written_as_kafka_writes_them() {
    let epoch = |metadata_hash| Change::Epoch(Some(Epoch { number: 5, metadata_hash }));
    is_written(&epoch(-7), "0003000167", "000000000005010008fffffffffffffff9");
    is_written(&epoch(0), "0003000167", "00000000000500");
    is_written(&Change::Epoch(None), "0003000167", "-");
    let target = |at_ms| Change::TargetEpoch(Some(TargetEpoch { number: 5, at_ms }));
    let at = target(1_700_000_000_000);
    is_written(&at, "0006000167", "0000000000050100080000018bcfe56800");
    is_written(&target(0), "0006000167", "00000000000500");
    is_written(&Change::TargetEpoch(None), "0006000167", "-");
    let (member, target) = (Arc::<str>::from("m"), [(TOPIC, [0, 1].into())].into());
    let change = Change::Target(Arc::clone(&member), Some(target));
    let written = "0000020102030405060708090a0b0c0d0e0f100300000000000000010000";
    is_written(&change, "000700016700016d", written);
    is_written(&Change::Target(member, None), "000700016700016d", "-");
    is_written(&Change::LegacyTopics(false), "0004000167", "-");
}

#[test]
fn assignments_and_expressions_are_written_as_kafka_writes_them() {
    let current = Current {
        epoch: 3,
        previous_epoch: 2,
        state: State::UnrevokedPartitions,
        assigned: owned(1, 2),
        revoking: owned(0, 3),
    };
    is_written(
        &Change::Current("m".into(), Some(current)),
        "000800016700016d",
        "0000000000030000000201020102030405060708090a0b0c0d0e0f1002000000010100050200000002020102\
         030405060708090a0b0c0d0e0f100200000000010005020000000300",
    );
    is_written(&Change::Current("m".into(), None), "000800016700016d", "-");
    let topics = ["a".into(), "ab".into()].into();
    let resolved = Resolved { topics, version: 9, at_ms: 1_700_000_000_000 };
    is_written(
        &Change::Pattern("a.*".into(), Some(resolved)),
        "00100001670003612e2a",
        "000003026103616200000000000000090000018bcfe5680000",
    );
    is_written(&Change::Pattern("a.*".into(), None), "00100001670003612e2a", "-");
}
