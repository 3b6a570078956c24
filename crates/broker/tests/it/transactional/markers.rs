//! Markers that come twice, late, from nowhere, or for what is not there.

use milena_protocol::{ErrorCode, api::write_txn_markers::request::WritableTxnMarker};

use super::{ADDS, UNVERIFIED, Writer};
use crate::rig::Rig;

const OFFSETS: &str = "__consumer_offsets";

#[test]
fn markers_end_transactions_once_and_may_come_again() {
    let mut rig = Rig::start(UNVERIFIED);
    let mut client = rig.client();
    client.create_topic("t", 2, &[]);
    let mut writer = Writer::new(&mut client);
    for version in [1, 2] {
        let batch = writer.batch(&["a"]);
        let told = client.produce_within(ADDS, Some("id"), "t", 0, &batch);
        assert_eq!(told.code, ErrorCode::None);
        let begun = client.standing_of("t", 0)[0];
        assert_eq!(begun, (writer.id, writer.epoch.into(), told.base_offset, begun.3));
        let mut marker = writer.end(version == 1);
        for _ in 0..3 {
            let codes = client.mark(version, &marker, &[("t", 0), ("t", 1), ("t", 7), ("u", 0)]);
            let unknown = ErrorCode::UnknownTopicOrPartition;
            assert_eq!(codes, [ErrorCode::None, ErrorCode::None, unknown, unknown]);
        }
        let ended = (writer.id, writer.epoch.into(), -1, 3);
        assert_eq!(client.standing_of("t", 0), [ended]);
        marker.producer_id = -1;
        assert_eq!(client.mark(version, &marker, &[("t", 0)]), [ErrorCode::UnknownServerError]);
    }
    assert_eq!(client.read_committed("t", 0).0, ["a"]);
    rig.cut_power();
    rig.start_again().unwrap();
    let (values, stable) = rig.client().read_committed("t", 0);
    assert_eq!((values.len(), stable), (1, 8), "two records and six markers");
}

#[test]
fn late_markers_and_those_of_replaced_coordinators_change_nothing() {
    let rig = Rig::start(UNVERIFIED);
    let mut client = rig.client();
    client.create_topic("t", 1, &[]);
    let mut writer = Writer { epoch: 4, ..Writer::new(&mut client) };
    let batch = writer.batch(&["a"]);
    let told = client.produce_within(ADDS, Some("id"), "t", 0, &batch);
    assert_eq!(told.code, ErrorCode::None);
    let end = writer.end(true);
    let refused = |client: &mut crate::client::Client, marker: WritableTxnMarker<'_>, code| {
        assert_eq!(client.mark(2, &marker, &[("t", 0)]), [code], "{marker:?}");
        let standing = client.standing_of("t", 0);
        assert_eq!(standing[0].2, 0, "the transaction is open");
    };
    let late = ErrorCode::InvalidProducerEpoch;
    refused(&mut client, WritableTxnMarker { producer_epoch: 3, ..end.clone() }, late);
    // Since version 2 each transaction has an epoch, and its marker the next one.
    let same = WritableTxnMarker { transaction_version: 2, ..end.clone() };
    refused(&mut client, same, late);
    let next = WritableTxnMarker { transaction_version: 2, producer_epoch: 5, ..end.clone() };
    assert_eq!(client.mark(2, &next, &[("t", 0)]), [ErrorCode::None]);
    assert_eq!(client.mark(2, &next, &[("t", 0)]), [ErrorCode::None], "a repetition");

    writer = Writer { epoch: 5, sequence: 0, ..writer };
    let batch = writer.batch(&["b"]);
    let told = client.produce_within(ADDS, Some("id"), "t", 0, &batch);
    assert_eq!(told.code, ErrorCode::None);
    let zombie = WritableTxnMarker { coordinator_epoch: 2, ..writer.end(false) };
    let fenced = ErrorCode::TransactionCoordinatorFenced;
    assert_eq!(client.mark(2, &zombie, &[("t", 0)]), [fenced]);
    assert_eq!(client.mark(2, &writer.end(false), &[("t", 0)]), [ErrorCode::None]);
    assert_eq!(client.read_committed("t", 0).0, ["a"]);
}

#[test]
fn the_offsets_topic_gets_its_marker_from_its_coordinator() {
    let rig = Rig::start(&format!("{UNVERIFIED}offsets.topic.num.partitions=1\n"));
    let mut client = rig.client();
    let writer = Writer::new(&mut client);
    let told = client.mark(1, &writer.end(true), &[(OFFSETS, 0)]);
    assert_eq!(told, [ErrorCode::UnknownTopicOrPartition]);
    client.find_coordinator("readers");
    assert_eq!(client.mark(1, &writer.end(true), &[(OFFSETS, 0)]), [ErrorCode::None]);
    assert_eq!(client.standing_of(OFFSETS, 0), [(writer.id, writer.epoch.into(), -1, 3)]);
}
