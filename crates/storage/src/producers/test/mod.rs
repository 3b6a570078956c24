//! What the log promises its producers, told as stories; `model` holds it to a list of everything.

mod kafka;
mod late;
mod model;
mod verification;

use milena_protocol::{LeaderEpoch, records::Attributes};

use super::*;

/// One batch of `records` records at `base_offset`.
fn batch(id: i64, epoch: i16, sequence: i32, base_offset: i64, records: i32) -> BatchHeader {
    BatchHeader {
        base_offset: Offset(base_offset),
        length: 100,
        leader_epoch: LeaderEpoch(0),
        crc: 0,
        attributes: Attributes(0),
        last_offset_delta: records - 1,
        base_timestamp: 1_000 + base_offset,
        max_timestamp: 1_000 + base_offset,
        producer_id: ProducerId(id),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence: sequence,
        record_count: records,
    }
}

fn transactional(header: BatchHeader) -> BatchHeader {
    BatchHeader { attributes: header.attributes.with_transactional(true), ..header }
}

fn marker(id: i64, epoch: i16, offset: i64, is_abort: bool) -> Marker {
    Marker {
        producer_id: ProducerId(id),
        producer_epoch: ProducerEpoch(epoch),
        coordinator_epoch: 3,
        is_abort,
        offset: Offset(offset),
        timestamp: 1_000 + offset,
    }
}

fn states(batches: &[BatchHeader]) -> ProducerStates {
    let mut states = ProducerStates::new(Offset::ZERO);
    for header in batches {
        assert_eq!(states.check(header, Origin::Client, Proof::NotAsked), Ok(Admission::New));
        states.update(header);
    }
    states
}

fn expects(states: &ProducerStates, header: &BatchHeader) -> i32 {
    match states.check(header, Origin::Client, Proof::NotAsked) {
        Err(SequenceError::OutOfOrderSequence { expected, .. }) => expected,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_last_five_batches_are_answered_not_appended() {
    let batches: Vec<_> =
        (0..6).map(|n| batch(7, 0, 10 * n, 100 + i64::from(10 * n), 10)).collect();
    let states = states(&batches);
    for header in &batches[1..] {
        let unassigned = BatchHeader { base_offset: Offset(0), ..*header };
        let duplicate = Admission::Duplicate {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            timestamp: header.max_timestamp,
        };
        assert_eq!(states.check(&unassigned, Origin::Client, Proof::NotAsked), Ok(duplicate));
    }
    assert_eq!(expects(&states, &batches[0]), 60, "the sixth is forgotten");
    let half = BatchHeader { last_offset_delta: 4, ..batches[2] };
    assert_eq!(expects(&states, &half), 60, "a part of a batch is no retry of it");
    assert_eq!(expects(&states, &batch(7, 0, 61, 0, 1)), 60, "a gap");
}

#[test]
fn sequences_wrap_to_zero() {
    let last = batch(7, 0, i32::MAX - 1, 0, 4);
    let states = states(&[last]);
    assert_eq!(states.get(ProducerId(7)).unwrap().last_batch().unwrap().last_sequence, 1);
    assert!(matches!(
        states.check(&last, Origin::Client, Proof::NotAsked),
        Ok(Admission::Duplicate { .. })
    ));
    assert_eq!(
        states.check(&batch(7, 0, 2, 4, 1), Origin::Client, Proof::NotAsked),
        Ok(Admission::New)
    );
    let mut states = self::states(&[batch(7, 0, i32::MAX, 0, 1)]);
    assert_eq!(
        states.check(&batch(7, 0, 0, 1, 1), Origin::Client, Proof::NotAsked),
        Ok(Admission::New)
    );
    states.update(&batch(7, 0, 0, 1, 1));
    assert_eq!(expects(&states, &batch(7, 0, 5, 2, 1)), 1);
}

#[test]
fn a_new_epoch_begins_at_zero_and_fences_the_old_one() {
    let mut states = states(&[batch(7, 4, 900, 0, 1)]);
    assert_eq!(expects(&states, &batch(7, 5, 901, 1, 1)), 0);
    states.update(&batch(7, 5, 0, 1, 1));
    for origin in [Origin::Client, Origin::Coordinator] {
        let error = states.check(&batch(7, 4, 901, 2, 1), origin, Proof::NotAsked).unwrap_err();
        assert_eq!(error.to_string(), "producer 7 has epoch 4, but epoch 5 has written already");
    }
    let replicated = states.check(&batch(7, 4, 901, 2, 1), Origin::Replication, Proof::NotAsked);
    assert_eq!(replicated, Ok(Admission::New), "the leader decided");
}

#[test]
fn coordinators_count_no_sequences() {
    let offsets = |at| transactional(batch(7, 0, -1, at, 1));
    let mut states = ProducerStates::new(Offset::ZERO);
    for at in 0..3 {
        assert_eq!(
            states.check(&offsets(at), Origin::Coordinator, Proof::NotAsked),
            Ok(Admission::New)
        );
        states.update(&offsets(at));
    }
    assert_eq!(states.first_unstable_offset(), Some(Offset(0)));
}

#[test]
fn a_transaction_is_unstable_until_its_marker_is_replicated() {
    let mut states = states(&[
        transactional(batch(7, 0, 0, 0, 5)),
        transactional(batch(8, 0, 0, 5, 5)),
        transactional(batch(7, 0, 5, 10, 5)),
    ]);
    let outside = batch(7, 0, 10, 15, 1);
    let error = states.check(&outside, Origin::Client, Proof::NotAsked).unwrap_err();
    let first_offset = Offset(0);
    let expected =
        SequenceError::InvalidTransactionState { producer_id: ProducerId(7), first_offset };
    assert_eq!(error, expected);

    let ended = states.end_transaction(&marker(7, 0, 15, true)).unwrap();
    let expected = CompletedTransaction {
        producer_id: ProducerId(7),
        first_offset,
        last_offset: Offset(15),
        last_stable_offset: Offset(5),
        is_abort: true,
    };
    assert_eq!(ended, expected);
    assert_eq!(states.first_unstable_offset(), Some(Offset(0)));
    states.raise_high_watermark(Offset(15));
    assert_eq!(states.first_unstable_offset(), Some(Offset(0)));
    states.raise_high_watermark(Offset(16));
    assert_eq!(states.first_unstable_offset(), Some(Offset(5)));
    let ended = states.end_transaction(&marker(8, 0, 16, false)).unwrap();
    assert_eq!((ended.last_stable_offset, ended.is_abort), (Offset(17), false));
    assert_eq!(states.end_transaction(&marker(8, 0, 17, false)), None, "nothing was open");
    assert_eq!(states.end_offset(), Offset(18));
    states.raise_log_start(Offset(30));
    assert_eq!((states.first_unstable_offset(), states.end_offset()), (None, Offset(30)));
    assert_eq!(
        states.check(&outside, Origin::Client, Proof::NotAsked),
        Ok(Admission::New),
        "sequences go on"
    );
}

#[test]
fn late_markers_are_refused() {
    let mut states = states(&[transactional(batch(7, 4, 0, 0, 1))]);
    let check = |states: &ProducerStates, marker: &Marker, transaction_version| {
        states.check_marker(marker, Origin::Marker { transaction_version })
    };
    let same_epoch = marker(7, 4, 0, true);
    assert_eq!(check(&states, &same_epoch, 1), Ok(()));
    let error = check(&states, &same_epoch, 2).unwrap_err();
    assert!(matches!(error, SequenceError::InvalidProducerEpoch { .. }), "{error}");
    assert_eq!(states.check_marker(&same_epoch, Origin::Replication), Ok(()));
    assert_eq!(check(&states, &marker(7, 5, 0, true), 2), Ok(()));
    states.end_transaction(&marker(7, 5, 1, true));
    assert_eq!(check(&states, &marker(7, 5, 2, true), 2), Ok(()), "a repetition");
    let last = self::states(&[transactional(batch(7, i16::MAX, 0, 0, 1))]);
    assert_eq!(check(&last, &marker(7, i16::MAX, 1, true), 2), Ok(()), "no epoch is higher");
    let zombie = Marker { coordinator_epoch: 2, ..marker(7, 6, 2, true) };
    let (producer_id, known, got) = (ProducerId(7), 3, 2);
    let fenced = SequenceError::CoordinatorFenced { producer_id, known, got };
    assert_eq!(check(&states, &zombie, 2), Err(fenced));
    assert_eq!(expects(&states, &batch(7, 5, 1, 2, 1)), 0, "the raised epoch begins at 0");
    assert_eq!(check(&states, &marker(99, 0, 2, true), 2), Ok(()), "a producer without records");
}

#[test]
fn silent_producers_expire_unless_their_transaction_is_open() {
    let mut states = states(&[batch(7, 0, 0, 0, 1), transactional(batch(8, 0, 0, 1, 1))]);
    assert_eq!(states.expire(1_999, 1_000), 0);
    assert_eq!(states.expire(5_000, 1_000), 1);
    assert_eq!(
        states.check(&batch(7, 0, 55, 2, 1), Origin::Client, Proof::NotAsked),
        Ok(Admission::New)
    );
    states.end_transaction(&marker(8, 0, 2, false));
    states.raise_high_watermark(Offset(3));
    assert_eq!(states.expire(5_000, 1_000), 1);
    assert!(states.table.is_none(), "and then they cost nothing");
    assert_eq!(size_of::<ProducerStates>(), 16);
}

#[test]
fn failed_appends_are_rolled_back() {
    let before = [batch(7, 0, 0, 0, 1), transactional(batch(8, 2, 0, 1, 1)), batch(7, 0, 1, 2, 1)];
    let mut states = states(&before);
    let plain = format!("{states:?}");
    states.update(&batch(7, 0, 2, 3, 1));
    states.update(&transactional(batch(9, 0, 0, 4, 1)));
    states.update(&transactional(batch(8, 2, 1, 5, 1)));
    assert_eq!(states.truncate_to(Offset(6)), Truncation::Exact);
    assert_eq!(states.truncate_to(Offset(3)), Truncation::Exact);
    assert_eq!(states.end_offset(), Offset(3));
    let retry = states.check(&batch(7, 0, 2, 3, 1), Origin::Client, Proof::NotAsked);
    assert_eq!(retry, Ok(Admission::New), "the sequence is free again");
    assert!(states.get(ProducerId(9)).is_none());
    assert_eq!(format!("{states:?}"), plain);

    states.update(&batch(7, 1, 0, 3, 1));
    assert_eq!(states.truncate_to(Offset(3)), Truncation::Reload, "the old epoch is forgotten");
    assert!(states.table.is_none());
    let mut states = self::states(&before);
    states.end_transaction(&marker(8, 2, 3, true));
    assert_eq!(states.truncate_to(Offset(3)), Truncation::Reload, "a marker cannot be undone");
}

#[test]
fn snapshots_are_kafkas_byte_for_byte() {
    let mut states = states(&[batch(7, 0, 0, 0, 5), transactional(batch(8, 2, 0, 5, 2))]);
    let mut entries = vec![0, 0, 0, 2];
    for (id, epoch, sequence, offset, delta, timestamp, open) in
        [(7_i64, 0_i16, 4_i32, 4_i64, 4_i32, 1_000_i64, -1_i64), (8, 2, 1, 6, 1, 1_005, 5)]
    {
        entries.extend(id.to_be_bytes());
        entries.extend(epoch.to_be_bytes());
        entries.extend(sequence.to_be_bytes());
        entries.extend(offset.to_be_bytes());
        entries.extend(delta.to_be_bytes());
        entries.extend(timestamp.to_be_bytes());
        entries.extend((-1_i32).to_be_bytes());
        entries.extend(open.to_be_bytes());
    }
    let mut expected = vec![0, 1];
    expected.extend(milena_protocol::records::crc32c(&entries).to_be_bytes());
    expected.extend(entries);
    assert_eq!(states.to_snapshot(), expected);

    let mut loaded = ProducerStates::from_snapshot(Offset(7), &expected).unwrap();
    assert_eq!((loaded.end_offset(), loaded.first_unstable_offset()), (Offset(7), Some(Offset(5))));
    assert_eq!(loaded.to_snapshot(), expected);
    assert_eq!(loaded.truncate_to(Offset(6)), Truncation::Reload, "its history is not known");
    states.truncate_to(Offset(0));
    assert_eq!(states.to_snapshot()[6..], [0; 4]);
    assert!(ProducerStates::from_snapshot(Offset(0), &states.to_snapshot()).is_ok());
}

#[test]
fn fault_15_a_rotten_snapshot_is_recognised() {
    let good = states(&[batch(7, 0, 0, 0, 5), batch(8, 2, 0, 5, 2)]).to_snapshot();
    let load = |bytes: &[u8]| ProducerStates::from_snapshot(Offset(7), bytes).map(|_| ());
    assert_eq!(load(&good), Ok(()));
    for len in 0..good.len() {
        assert!(load(&good[..len]).is_err(), "cut to {len}");
    }
    for bit in 0..good.len() * 8 {
        let mut rotten = good.clone();
        rotten[bit / 8] ^= 1 << (bit % 8);
        assert!(load(&rotten).is_err(), "bit {bit}");
    }
    let sealed = |change: fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        let crc = milena_protocol::records::crc32c(&bytes[6..]);
        bytes[2..6].copy_from_slice(&crc.to_be_bytes());
        load(&bytes).unwrap_err()
    };
    assert!(matches!(sealed(|b| b[9] = 3), SnapshotError::Length { count: 3, .. }));
    assert!(matches!(sealed(|b| b[6] = 0xff), SnapshotError::Length { .. }));
    assert!(matches!(sealed(|b| b.push(0)), SnapshotError::Length { .. }));
    assert!(matches!(sealed(|b| b[63] = 7), SnapshotError::Twice { .. }));
    assert!(matches!(sealed(|b| b[31] = 7), SnapshotError::Entry { .. }));
    let error = ProducerStates::from_snapshot(Offset(6), &good).unwrap_err();
    assert_eq!(
        error.to_string(),
        "00000000000000000006.snapshot is corrupt: entry of producer 8 speaks of offsets beyond \
         the snapshot"
    );
}

#[test]
fn what_a_snapshot_does_not_date_cannot_be_cut() {
    let mut states = ProducerStates::new(Offset::ZERO);
    states.end_transaction(&marker(7, 3, 9, true));
    let snapshot = states.to_snapshot();
    let mut loaded = ProducerStates::from_snapshot(Offset(10), &snapshot).unwrap();
    loaded.update(&batch(8, 0, 0, 10, 1));
    assert_eq!(loaded.truncate_to(Offset(10)), Truncation::Exact);
    assert_eq!(loaded.to_snapshot(), snapshot);
    assert_eq!(loaded.truncate_to(Offset(5)), Truncation::Reload, "the marker may lie above 5");
}
