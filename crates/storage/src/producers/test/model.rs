//! The producers of a log against the plainest list of all that was ever appended.

use proptest::prelude::*;

use super::*;

/// What stands in a log, as the plainest list.
#[derive(Clone, Copy, Debug)]
enum Entry {
    Batch(BatchHeader),
    Marker(Marker),
}

impl Entry {
    fn end(&self) -> Offset {
        match self {
            Self::Batch(header) => header.next_offset(),
            Self::Marker(marker) => marker.offset.next(),
        }
    }

    fn producer_id(&self) -> ProducerId {
        match self {
            Self::Batch(header) => header.producer_id,
            Self::Marker(marker) => marker.producer_id,
        }
    }

    fn epoch(&self) -> ProducerEpoch {
        match self {
            Self::Batch(header) => header.producer_epoch,
            Self::Marker(marker) => marker.producer_epoch,
        }
    }
}

/// The batches of a producer since its epoch last changed, and its epoch.
fn of_current_epoch(log: &[Entry], id: ProducerId) -> Option<(ProducerEpoch, Vec<BatchHeader>)> {
    let own: Vec<_> = log.iter().filter(|entry| entry.producer_id() == id).collect();
    let epoch = own.last()?.epoch();
    let since = own.iter().rposition(|entry| entry.epoch() != epoch).map_or(0, |at| at + 1);
    let batches = own[since..].iter().filter_map(|entry| match entry {
        Entry::Batch(header) => Some(*header),
        Entry::Marker(_) => None,
    });
    Some((epoch, batches.collect()))
}

/// First offset of the producer's open transaction.
fn open_transaction(log: &[Entry], id: ProducerId) -> Option<Offset> {
    let own = log.iter().filter(|entry| entry.producer_id() == id);
    own.fold(None, |open, entry| match entry {
        Entry::Marker(_) => None,
        Entry::Batch(header) if header.attributes.is_transactional() => {
            open.or(Some(header.base_offset))
        }
        Entry::Batch(_) => open,
    })
}

fn expected_admission(log: &[Entry], header: &BatchHeader) -> Option<Admission> {
    let Some((epoch, batches)) = of_current_epoch(log, header.producer_id) else {
        return Some(Admission::New);
    };
    let recent = &batches[batches.len().saturating_sub(BATCHES_KEPT)..];
    if header.producer_epoch < epoch {
        return None;
    }
    let is_current = header.producer_epoch == epoch;
    let same = |known: &&BatchHeader| {
        known.base_sequence == header.base_sequence
            && known.last_offset_delta == header.last_offset_delta
    };
    if let Some(known) = recent.iter().find(same).filter(|_| is_current) {
        return Some(Admission::Duplicate {
            base_offset: known.base_offset,
            last_offset: known.last_offset(),
            timestamp: known.max_timestamp,
        });
    }
    let last = batches.last().filter(|_| is_current);
    let next = last.map_or(0, |last| last.last_sequence().wrapping_add(1).max(0));
    let is_open = open_transaction(log, header.producer_id).is_some();
    let may = header.base_sequence == next && (!is_open || header.attributes.is_transactional());
    may.then_some(Admission::New)
}

#[derive(Clone, Debug)]
struct Step {
    id: i64,
    epoch_raise: i16,
    sequence_skew: i32,
    records: i32,
    is_transactional: bool,
    is_marker: bool,
    cut: Option<usize>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (
        0..3_i64,
        prop_oneof![8 => Just(0_i16), 1 => Just(1), 1 => Just(-1)],
        prop_oneof![8 => Just(0_i32), 1 => -6..0_i32, 1 => Just(1)],
        1..3_i32,
        prop::bool::weighted(0.4),
        prop::bool::weighted(0.2),
        prop::option::weighted(0.1, 0..4_usize),
    );
    let step = step.prop_map(
        |(id, epoch_raise, sequence_skew, records, is_transactional, is_marker, cut)| Step {
            id,
            epoch_raise,
            sequence_skew,
            records,
            is_transactional,
            is_marker,
            cut,
        },
    );
    prop::collection::vec(step, 1..60)
}

fn replay(log: &[Entry]) -> ProducerStates {
    let mut states = ProducerStates::new(Offset::ZERO);
    for entry in log {
        match entry {
            Entry::Batch(header) => states.update(header),
            Entry::Marker(marker) => {
                states.end_transaction(marker);
            }
        }
    }
    states
}

proptest! {
    /// Producers that repeat, skip, raise epochs and end transactions, against a list of all that
    /// was ever appended. Sequences start just below their wrap.
    #[test]
    fn decides_like_a_list_of_everything(steps in steps()) {
        let mut states = ProducerStates::new(Offset::ZERO);
        let mut log: Vec<Entry> = Vec::new();
        for step in steps {
            let id = ProducerId(step.id);
            let end = log.last().map_or(Offset::ZERO, Entry::end);
            let known = of_current_epoch(&log, id);
            let epoch = known.as_ref().map_or(3, |known| known.0.0) + step.epoch_raise;
            if step.is_marker {
                let marker = marker(step.id, epoch, end.0, true);
                let expected = known.as_ref().is_none_or(|known| epoch >= known.0.0);
                let origin = Origin::Marker { transaction_version: 1 };
                let checked = states.check_marker(&marker, origin);
                prop_assert_eq!(checked.is_ok(), expected);
                if expected {
                    let first = open_transaction(&log, id);
                    log.push(Entry::Marker(marker));
                    let ended = states.end_transaction(&marker);
                    prop_assert_eq!(ended.map(|ended| ended.first_offset), first);
                    let open = (0..3).filter_map(|id| open_transaction(&log, ProducerId(id))).min();
                    let stable = open.unwrap_or(end.next());
                    prop_assert!(ended.is_none_or(|ended| ended.last_stable_offset == stable));
                }
            } else {
                let next = match known {
                    None => i32::MAX - 4,
                    Some((known, _)) if known.0 != epoch => 0,
                    Some((_, batches)) => batches
                        .last()
                        .map_or(0, |last| last.last_sequence().wrapping_add(1).max(0)),
                };
                let sequence = next.saturating_add(step.sequence_skew).max(0);
                let mut header = batch(step.id, epoch, sequence, end.0, step.records);
                header.attributes = header.attributes.with_transactional(step.is_transactional);
                let checked = states.check(&header, Origin::Client, Proof::NotAsked);
                prop_assert_eq!(checked.ok(), expected_admission(&log, &header), "{:?}", header);
                if checked == Ok(Admission::New) {
                    states.update(&header);
                    log.push(Entry::Batch(header));
                }
            }
            if let Some(cut) = step.cut {
                log.truncate(log.len().saturating_sub(cut));
                let end = log.last().map_or(Offset::ZERO, Entry::end);
                let truncation = states.truncate_to(end);
                let replayed = replay(&log);
                if truncation == Truncation::Exact {
                    for (id, entry) in replayed.iter() {
                        let kept = states.get(id).unwrap();
                        prop_assert_eq!(kept.epoch, entry.epoch);
                        prop_assert_eq!(kept.last_batch(), entry.last_batch());
                        prop_assert_eq!(kept.open_transaction, entry.open_transaction);
                        prop_assert_eq!(kept.coordinator_epoch, entry.coordinator_epoch);
                    }
                    prop_assert_eq!(states.iter().len(), replayed.iter().len());
                    let unstable = states.first_unstable_offset();
                    prop_assert_eq!(unstable, replayed.first_unstable_offset());
                }
                prop_assert_eq!(states.end_offset(), end);
                // What was forgotten beside the last batch is not compared any further.
                states = replayed;
            }
            let loaded = ProducerStates::from_snapshot(states.end_offset(), &states.to_snapshot());
            let loaded = loaded.unwrap();
            prop_assert_eq!(loaded.to_snapshot(), states.to_snapshot());
            let open = (0..3).filter_map(|id| open_transaction(&log, ProducerId(id))).min();
            prop_assert_eq!(loaded.first_unstable_offset(), open);
        }
    }

    #[test]
    fn no_snapshot_is_too_strange(mut bytes: Vec<u8>, end: i64) {
        prop_assert!(ProducerStates::from_snapshot(Offset(end), &bytes).is_err());
        if bytes.len() >= 6 {
            bytes[..2].copy_from_slice(&[0, 1]);
            let crc = milena_protocol::records::crc32c(&bytes[6..]);
            bytes[2..6].copy_from_slice(&crc.to_be_bytes());
            let _ = ProducerStates::from_snapshot(Offset(end), &bytes);
        }
    }
}
