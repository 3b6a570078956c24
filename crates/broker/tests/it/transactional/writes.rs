//! Transactional producers and the coordinator that is asked about them.

use std::time::{Duration, Instant};

use milena_protocol::{
    ErrorCode, Offset, ProducerEpoch, ProducerId,
    api::{
        AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, ApiKey, EndTxnRequest,
        EndTxnResponse, FindCoordinatorRequest, FindCoordinatorResponse, InitProducerIdRequest,
        InitProducerIdResponse, ProduceRequest,
        add_partitions_to_txn::request::AddPartitionsToTxnTopic,
    },
    records::BatchBuilder,
};

use super::{ADDS, Writer, coordinator::carried_out};
use crate::{
    client::{Client, built, code, frame, produce_request, produced},
    rig::Rig,
};

/// From this version of Produce on partitions are added by being written to.
const LEAVES: i16 = 12;

/// What passes while a coordinator comes into being or ends the transaction before.
const BUSY: [ErrorCode; 4] = [
    ErrorCode::CoordinatorLoadInProgress,
    ErrorCode::CoordinatorNotAvailable,
    ErrorCode::NotCoordinator,
    ErrorCode::ConcurrentTransactions,
];

impl Client {
    fn init_transactions(&mut self, id: &str) -> Writer {
        let find = FindCoordinatorRequest {
            key_type: 1,
            coordinator_keys: vec![id],
            ..Default::default()
        };
        let request = InitProducerIdRequest {
            transactional_id: Some(id),
            transaction_timeout_ms: 60_000,
            ..Default::default()
        };
        loop {
            let answer = self.call(ApiKey::FindCoordinator, 4, &find).unwrap();
            let _: FindCoordinatorResponse<'_> = answer.read();
            let answer = self.call(ApiKey::InitProducerId, 5, &request).unwrap();
            let told: InitProducerIdResponse = answer.read();
            match code(told.error_code) {
                ErrorCode::None => {
                    return Writer {
                        id: told.producer_id,
                        epoch: told.producer_epoch,
                        sequence: 0,
                    };
                }
                busy => assert!(BUSY.contains(&busy), "{busy:?}"),
            }
        }
    }

    fn add_partitions(&mut self, id: &str, writer: &Writer, topic: &str, partitions: &[i32]) {
        let topic = AddPartitionsToTxnTopic { name: topic, partitions: partitions.to_vec() };
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: id,
            v3_and_below_producer_id: writer.id,
            v3_and_below_producer_epoch: writer.epoch,
            v3_and_below_topics: vec![topic],
            ..Default::default()
        };
        loop {
            let answer = self.call(ApiKey::AddPartitionsToTxn, 3, &request).unwrap();
            let told: AddPartitionsToTxnResponse<'_> = answer.read();
            let results = &told.results_by_topic_v3_and_below[0].results_by_partition;
            match code(results[0].partition_error_code) {
                ErrorCode::None => return,
                busy => assert!(BUSY.contains(&busy), "{busy:?}"),
            }
        }
    }

    /// Ends a transaction; version 5 gives the writer its next epoch.
    fn end_transaction(&mut self, version: i16, id: &str, writer: &mut Writer, committed: bool) {
        let request = EndTxnRequest {
            transactional_id: id,
            producer_id: writer.id,
            producer_epoch: writer.epoch,
            committed,
        };
        loop {
            let answer = self.call(ApiKey::EndTxn, version, &request).unwrap();
            let told: EndTxnResponse = answer.read();
            match code(told.error_code) {
                ErrorCode::None if version >= 5 => {
                    let (id, epoch) = (told.producer_id, told.producer_epoch);
                    *writer = Writer { id, epoch, sequence: 0 };
                    return;
                }
                ErrorCode::None => return,
                busy => assert!(BUSY.contains(&busy), "{busy:?}"),
            }
        }
    }

    /// Waits until nothing of a partition is open.
    pub(super) fn all_is_stable(&mut self, topic: &str, partition: i32) {
        let began = Instant::now();
        while self.end_of(topic, partition, 1) < self.end_of(topic, partition, 0) {
            assert!(began.elapsed() < Duration::from_secs(20), "a transaction hangs");
        }
    }
}

fn batch_of(writer: &Writer, sequence: i32, value: &str) -> Vec<u8> {
    Writer { sequence, ..*writer }.batch(&[value])
}

#[test]
fn fault_24_a_retry_within_a_transaction_gets_the_same_offset() {
    for (version, end_version) in [(ADDS, 4), (LEAVES, 5)] {
        let mut rig = Rig::start("");
        let mut client = rig.client();
        client.create_topic("t", 1, &[]);
        let mut writer = client.init_transactions("id");
        if version == ADDS {
            client.add_partitions("id", &writer, "t", &[0]);
        }
        let batches: Vec<_> =
            (0..5).map(|sequence| batch_of(&writer, sequence, &sequence.to_string())).collect();
        for (offset, batch) in (0..).zip(&batches) {
            let request = produce_request("t", -1, &[(0, batch)]);
            let request = ProduceRequest { transactional_id: Some("id"), ..request };
            let mut lost = rig.client();
            lost.send_bytes(&frame(ApiKey::Produce, version, 1, &request)).unwrap();
            // The connection ends, perhaps before the answer; the retry comes by another one.
            drop(lost);
            let told = client.produce_within(version, Some("id"), "t", 0, batch);
            assert_eq!((told.code, told.base_offset), (ErrorCode::None, offset));
        }
        for ending in [Rig::stop, Rig::kill, Rig::cut_power] {
            ending(&mut rig);
            rig.start_again().unwrap();
            client = rig.client();
            for (offset, batch) in (0..).zip(&batches) {
                let told = client.produce_within(version, Some("id"), "t", 0, batch);
                assert_eq!((told.code, told.base_offset), (ErrorCode::None, offset));
            }
        }
        client.end_transaction(end_version, "id", &mut writer, true);
        client.all_is_stable("t", 0);
        assert_eq!(client.read_committed("t", 0).0, ["0", "1", "2", "3", "4"]);
    }
}

#[test]
fn fault_25_a_gap_within_a_transaction_is_refused() {
    let rig = Rig::start("");
    let mut client = rig.client();
    client.create_topic("t", 1, &[]);
    for (version, end_version) in [(ADDS, 4), (LEAVES, 5)] {
        let mut writer = client.init_transactions("id");
        if version == ADDS {
            client.add_partitions("id", &writer, "t", &[0]);
        }
        let mut produce = |writer: &Writer, sequence| {
            let batch = batch_of(writer, sequence, "x");
            client.produce_within(version, Some("id"), "t", 0, &batch).code
        };
        if version == LEAVES {
            // Each transaction begins with sequence 0, also where nothing is known of the producer.
            assert_eq!(produce(&writer, 1), ErrorCode::OutOfOrderSequenceNumber);
        }
        assert_eq!(produce(&writer, 0), ErrorCode::None);
        for gap in [2, 100, i32::MAX] {
            assert_eq!(produce(&writer, gap), ErrorCode::OutOfOrderSequenceNumber, "{gap}");
        }
        assert_eq!(produce(&writer, 1), ErrorCode::None);
        client.end_transaction(end_version, "id", &mut writer, false);
        client.all_is_stable("t", 0);
        assert_eq!(client.read_committed("t", 0).0.len(), 0);
    }
}

#[test]
fn fault_27_a_late_batch_opens_no_transaction() {
    let mut rig = Rig::start("");
    let mut client = rig.client();
    client.create_topic("t", 1, &[]);
    for is_restarted in [false, true] {
        for (version, end_version) in [(10, 4), (ADDS, 4), (LEAVES, 5)] {
            let mut writer = client.init_transactions("id");
            if version != LEAVES {
                client.add_partitions("id", &writer, "t", &[0]);
            }
            let (early, late) = (batch_of(&writer, 0, "early"), batch_of(&writer, 1, "late"));
            let told = client.produce_within(version, Some("id"), "t", 0, &early);
            assert_eq!(told.code, ErrorCode::None);
            client.end_transaction(end_version, "id", &mut writer, false);
            client.all_is_stable("t", 0);
            if is_restarted {
                rig.kill();
                rig.start_again().unwrap();
                client = rig.client();
                carried_out(&mut client, "id");
            }
            let stable = client.end_of("t", 0, 1);
            let refused = loop {
                match client.produce_within(version, Some("id"), "t", 0, &late).code {
                    // The coordinator reads its log, or has not heard of the last marker.
                    ErrorCode::NotEnoughReplicas => {}
                    told => break told,
                }
            };
            let expected = match version {
                10 => ErrorCode::InvalidTxnState,
                ADDS => ErrorCode::TransactionAbortable,
                _ => ErrorCode::InvalidProducerEpoch,
            };
            assert_eq!(refused, expected, "version {version}");
            assert!(client.standing_of("t", 0).iter().all(|it| it.2 == -1), "none is open");
            assert_eq!((client.end_of("t", 0, 1), client.end_of("t", 0, 0)), (stable, stable));
            assert_eq!(client.read_committed("t", 0).0.len(), 0);
        }
    }
}

#[test]
fn fault_27_a_late_batch_does_not_slip_into_the_next_transaction() {
    let rig = Rig::start("");
    let mut client = rig.client();
    client.create_topic("t", 2, &[]);
    let mut writer = client.init_transactions("id");
    let late = batch_of(&writer, 1, "late");
    let told = client.produce_within(LEAVES, Some("id"), "t", 0, &batch_of(&writer, 0, "one"));
    assert_eq!(told.code, ErrorCode::None);
    client.end_transaction(5, "id", &mut writer, true);
    // The next one writes elsewhere, and does not know of this partition.
    let told = client.produce_within(LEAVES, Some("id"), "t", 1, &batch_of(&writer, 0, "two"));
    assert_eq!(told.code, ErrorCode::None);
    let refused = client.produce_within(LEAVES, Some("id"), "t", 0, &late).code;
    assert_eq!(refused, ErrorCode::InvalidProducerEpoch);
    client.end_transaction(5, "id", &mut writer, true);
    client.all_is_stable("t", 0);
    client.all_is_stable("t", 1);
    let seen = [client.read_committed("t", 0).0, client.read_committed("t", 1).0];
    assert_eq!(seen, [["one".to_owned()], ["two".to_owned()]]);
}

#[test]
fn batches_behind_one_that_is_verified_keep_their_order_and_others_do_not_wait() {
    let rig = Rig::start("");
    let mut client = rig.client();
    client.create_topic("t", 1, &[]);
    for version in [ADDS, LEAVES] {
        let mut writer = client.init_transactions("id");
        if version == ADDS {
            client.add_partitions("id", &writer, "t", &[0]);
        }
        let mut other = rig.client();
        let before = client.end_of("t", 0, 0);
        let requests: Vec<_> = (0..50).map(|at| batch_of(&writer, at, &at.to_string())).collect();
        for batch in &requests {
            let request = produce_request("t", -1, &[(0, batch)]);
            let request = ProduceRequest { transactional_id: Some("id"), ..request };
            client.send(ApiKey::Produce, version, &request).unwrap();
        }
        assert_eq!(other.produce("t", 0, &crate::client::batch(&["plain"])).code, ErrorCode::None);
        let mut offsets = Vec::new();
        for _ in &requests {
            let told = produced(&client.receive(ApiKey::Produce, version).unwrap()).remove(0);
            assert_eq!(told.code, ErrorCode::None);
            offsets.push(told.base_offset);
        }
        assert!(offsets.is_sorted() && offsets[0] >= before, "{offsets:?}");
        client.end_transaction(if version == ADDS { 4 } else { 5 }, "id", &mut writer, true);
        client.all_is_stable("t", 0);
    }
}

#[test]
fn hostile_transactional_batches_of_others_are_refused() {
    let rig = Rig::start("");
    let mut client = rig.client();
    client.create_topic("t", 2, &[]);
    let writer = client.init_transactions("id");
    let good = batch_of(&writer, 0, "x");
    for version in [10, ADDS, LEAVES] {
        let mut codes = |id, partitions: &[(i32, &[u8])]| {
            let request = produce_request("t", -1, partitions);
            let request = ProduceRequest { transactional_id: id, ..request };
            let answer = client.call(ApiKey::Produce, version, &request).unwrap();
            produced(&answer).into_iter().map(|it| it.code).collect::<Vec<_>>()
        };
        // Nobody, and nobody known; two producers in one request; others' epochs.
        let unauthorized = ErrorCode::TransactionalIdAuthorizationFailed;
        assert_eq!(codes(None, &[(0, &good), (1, &good)]), [unauthorized; 2]);
        let unknown = ErrorCode::InvalidProducerIdMapping;
        assert_eq!(codes(Some("stranger"), &[(0, &good)]), [unknown]);
        let foreign = batch_of(&Writer { id: writer.id + 1000, ..writer }, 0, "x");
        assert_eq!(codes(Some("id"), &[(0, &foreign)]), [unknown]);
        assert_eq!(codes(Some("id"), &[(0, &good), (1, &foreign)]), [unknown; 2]);
        let next = batch_of(&Writer { epoch: writer.epoch + 1, ..writer }, 0, "x");
        assert_eq!(codes(Some("id"), &[(0, &next)]), [ErrorCode::InvalidProducerEpoch]);
    }
    assert_eq!(client.end_of("t", 0, 0), 0, "nothing was written");

    // Within its transaction a producer writes nothing outside of it.
    client.add_partitions("id", &writer, "t", &[0]);
    assert_eq!(client.produce_within(ADDS, Some("id"), "t", 0, &good).code, ErrorCode::None);
    let (id, epoch) = (ProducerId(writer.id), ProducerEpoch(writer.epoch));
    let plain = built(BatchBuilder::new(Offset(0)).with_producer(id, epoch, 1), &["x"]);
    assert_eq!(client.produce_within(ADDS, None, "t", 0, &plain).code, ErrorCode::InvalidTxnState);
}
