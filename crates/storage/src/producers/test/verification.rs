//! Batches that begin a transaction, and what may come in between.

use super::*;

const NOW_MS: i64 = 5_000;

fn claim(epoch: i16, base_sequence: i32, adds: bool) -> Claim {
    let (producer_id, producer_epoch) = (ProducerId(7), ProducerEpoch(epoch));
    Claim { producer_id, producer_epoch, base_sequence, adds }
}

/// What a batch comes to that shows what it was given for this claim.
fn shows(
    states: &ProducerStates,
    header: &BatchHeader,
    guard: Option<&VerificationGuard>,
) -> Result<Admission, SequenceError> {
    states.check(header, Origin::Client, guard.map_or(Proof::None, Proof::Guard))
}

const REFUSED: Result<Admission, SequenceError> =
    Err(SequenceError::NotInTransaction { producer_id: ProducerId(7) });

#[test]
fn fault_27_a_transaction_begins_with_what_its_coordinator_knows_of() {
    let mut states = ProducerStates::new(Offset::ZERO);
    let first = transactional(batch(7, 0, 0, 0, 1));
    assert_eq!(shows(&states, &first, None), REFUSED, "nobody was asked");
    let guard = states.begin_verification(&claim(0, 0, false), NOW_MS).unwrap();
    assert_eq!(shows(&states, &first, guard.as_ref()), Ok(Admission::New));
    states.update(&first);
    let next = transactional(batch(7, 0, 1, 1, 1));
    assert_eq!(shows(&states, &next, None), Ok(Admission::New), "it is open");
    let again = states.begin_verification(&claim(0, 1, false), NOW_MS).unwrap();
    assert!(again.is_none(), "nobody needs to be asked");
    let newer = transactional(batch(7, 1, 0, 1, 1));
    assert_eq!(shows(&states, &newer, None), REFUSED, "that would be another transaction");
}

#[test]
fn fault_27_what_was_verified_before_a_marker_counts_for_nothing_after_it() {
    for adds in [false, true] {
        let mut states = ProducerStates::new(Offset::ZERO);
        let late = transactional(batch(7, 0, 0, 1, 1));
        let early = states.begin_verification(&claim(0, 0, adds), NOW_MS).unwrap();
        // The transaction ends while the batch is on its way.
        states.end_transaction(&marker(7, i16::from(adds), 0, true));
        let refused = shows(&states, &late, early.as_ref()).unwrap_err();
        let expected = match adds {
            false => refused == REFUSED.unwrap_err(),
            true => matches!(refused, SequenceError::InvalidProducerEpoch { .. }),
        };
        assert!(expected, "{refused:?}");
        // Nor does it count for a transaction that the producer begins then.
        let epoch = i16::from(adds);
        let guard = states.begin_verification(&claim(epoch, 0, adds), NOW_MS).unwrap();
        let next = transactional(batch(7, epoch, 0, 1, 1));
        assert_eq!(shows(&states, &next, early.as_ref()), REFUSED);
        assert_eq!(shows(&states, &next, guard.as_ref()), Ok(Admission::New));
        assert_eq!(states.first_unstable_offset(), None);
    }
}

#[test]
fn a_marker_leaves_the_next_transaction_alone() {
    let mut states = states(&[transactional(batch(7, 0, 0, 0, 1))]);
    // The producer has its new epoch already; the marker is still on its way.
    let guard = states.begin_verification(&claim(1, 0, true), NOW_MS).unwrap();
    states.end_transaction(&marker(7, 1, 1, false));
    let next = transactional(batch(7, 1, 0, 2, 1));
    assert_eq!(shows(&states, &next, guard.as_ref()), Ok(Admission::New));
    let stale = states.begin_verification(&claim(0, 1, true), NOW_MS).unwrap_err();
    assert!(matches!(stale, SequenceError::InvalidProducerEpoch { .. }), "{stale}");
}

#[test]
fn batches_wait_for_the_one_before_them_to_be_verified() {
    let mut states = ProducerStates::new(Offset::ZERO);
    let expected = |told: Result<Admission, SequenceError>| match told.unwrap_err() {
        SequenceError::OutOfOrderSequence { expected, .. } => expected,
        other => panic!("{other}"),
    };
    // The second batch overtakes the first, whose verification is to be tried again.
    states.begin_verification(&claim(0, 5, false), NOW_MS).unwrap();
    let guard = states.begin_verification(&claim(0, 4, false), NOW_MS).unwrap();
    let second = transactional(batch(7, 0, 5, 0, 1));
    assert_eq!(expected(shows(&states, &second, guard.as_ref())), 4);
    // A producer with an epoch for each transaction begins each with 0.
    let mut states = ProducerStates::new(Offset::ZERO);
    let guard = states.begin_verification(&claim(0, 5, true), NOW_MS).unwrap();
    assert_eq!(expected(shows(&states, &second, guard.as_ref())), 0);
    let guard = states.begin_verification(&claim(1, 0, true), NOW_MS).unwrap();
    let first = transactional(batch(7, 1, 0, 0, 1));
    assert_eq!(shows(&states, &first, guard.as_ref()), Ok(Admission::New));
}

#[test]
fn fault_27_a_late_batch_holds_up_none_of_the_next_transaction() {
    let mut states = states(&[transactional(batch(7, 0, 0, 0, 1))]);
    states.end_transaction(&marker(7, 0, 1, false));
    // It comes again, and nobody knows yet that it is not part of a transaction.
    states.begin_verification(&claim(0, 0, false), NOW_MS).unwrap();
    let guard = states.begin_verification(&claim(0, 1, false), NOW_MS).unwrap();
    let next = transactional(batch(7, 0, 1, 2, 1));
    assert_eq!(shows(&states, &next, guard.as_ref()), Ok(Admission::New));
    let gap = transactional(batch(7, 0, 2, 2, 1));
    let refused = shows(&states, &gap, guard.as_ref()).unwrap_err();
    assert!(matches!(refused, SequenceError::OutOfOrderSequence { expected: 1, .. }), "{refused}");
}

#[test]
fn what_is_never_verified_is_forgotten_with_the_producers() {
    let mut states = ProducerStates::new(Offset::ZERO);
    let guard = states.begin_verification(&claim(0, 0, false), NOW_MS).unwrap();
    states.expire(NOW_MS + 999, 1_000);
    let first = transactional(batch(7, 0, 0, 0, 1));
    assert_eq!(shows(&states, &first, guard.as_ref()), Ok(Admission::New));
    states.expire(NOW_MS + 1_000, 1_000);
    assert_eq!(shows(&states, &first, guard.as_ref()), REFUSED);
    assert!(states.table.is_none());
}
