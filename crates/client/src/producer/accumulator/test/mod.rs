//! Stories of the accumulator, told without a broker, and with one that follows a script.

mod broker;
mod faults;

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use milena_env::Random;
use milena_protocol::{
    ErrorCode, LeaderEpoch, ProducerEpoch, ProducerId, Uuid,
    records::{Batch as Stored, Codec},
};

use super::*;
use crate::{
    cluster::Partition,
    error::Result,
    producer::{RecordMetadata, record},
};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn rules() -> Rules {
    Rules::from(&ProducerConfig::default().batch_size(1_000_usize).buffer_memory(8_000_usize))
}

fn plain() -> Rules {
    Rules { is_idempotent: false, ..rules() }
}

/// A topic whose partitions broker 1 leads.
fn topic(partitions: i32) -> Arc<Topic> {
    let partition = |index| Partition {
        index,
        leader: Some(1),
        leader_epoch: LeaderEpoch(0),
        replicas: vec![1],
        in_sync: vec![1],
        offline: Vec::new(),
    };
    Arc::new(Topic {
        name: "t".into(),
        id: Uuid::from_u128(7),
        error: ErrorCode::None,
        is_internal: false,
        partitions: (0..partitions).map(partition).collect(),
    })
}

fn accumulator(rules: Rules) -> Accumulator {
    let mut accumulator = Accumulator::new(rules, Random::from_seed(1), None);
    accumulator.learn(&topic(3));
    accumulator
}

fn identity(epoch: i16) -> Identity {
    Identity { id: ProducerId(9), epoch: ProducerEpoch(epoch) }
}

fn append(accumulator: &mut Accumulator, partition: i32, value: &[u8], now: Duration) -> Appended {
    let record = Fields { timestamp: 5, key: None, value: Some(value), headers: &[] };
    accumulator.append("t", Choice::Partition(partition), &record, false, || now)
}

fn added(accumulator: &mut Accumulator, partition: i32, value: &[u8], now: Duration) -> Delivery {
    match append(accumulator, partition, value, now) {
        Appended::Added { delivery, .. } => delivery,
        other => panic!("{other:?}"),
    }
}

/// The batches that are to be sent to broker 1 now.
fn drained(accumulator: &mut Accumulator, now: Duration) -> Vec<Batch> {
    let mut step = accumulator.drain(now, |_| true);
    step.finished.drain(..).for_each(Finished::tell);
    step.requests.remove(&1).unwrap_or_default()
}

fn stored(base_offset: i64) -> Answered {
    Answered::Stored { base_offset: Some(base_offset), append_time: None }
}

fn failed(code: ErrorCode) -> Answered {
    Answered::Failed { error: Error::broker("produce", code), blamed: Vec::new() }
}

fn answer(accumulator: &mut Accumulator, batch: Batch, answered: Answered, now: Duration) {
    let done = accumulator.answer(batch, answered, now, ms(100));
    done.finished.into_iter().for_each(Finished::tell);
}

/// What a delivery has come to, if it has.
fn outcome(delivery: &mut Delivery) -> Option<Result<RecordMetadata>> {
    match pin!(delivery).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    }
}

fn offset(delivery: &mut Delivery) -> Option<i64> {
    outcome(delivery).unwrap().unwrap().offset
}

#[test]
fn a_batch_goes_when_it_is_full_or_has_lingered() {
    let mut accumulator = accumulator(plain());
    let value = [0; 400];
    let mut first = added(&mut accumulator, 0, &value, ms(0));
    assert!(drained(&mut accumulator, ms(4)).is_empty());
    let step = accumulator.drain(ms(4), |_| true);
    assert_eq!(step.wake_at, Some(ms(5)));
    let batches = drained(&mut accumulator, ms(5));
    assert_eq!(batches.len(), 1);
    for batch in batches {
        answer(&mut accumulator, batch, stored(70), ms(6));
    }
    assert_eq!(offset(&mut first), Some(70));

    for at in 0..3 {
        drop(added(&mut accumulator, 0, &value, ms(10 + at)));
    }
    let batches = drained(&mut accumulator, ms(12));
    assert_eq!(batches.iter().map(|batch| batch.count).collect::<Vec<_>>(), [2]);
}

#[test]
fn the_sender_is_woken_once_and_only_for_what_is_sooner() {
    let mut accumulator = accumulator(plain());
    let wakes = |appended| matches!(appended, Appended::Added { wakes: true, .. });
    drop(accumulator.drain(ms(0), |_| true));
    assert!(wakes(append(&mut accumulator, 0, b"a", ms(0))), "it sleeps for ever");
    assert!(!wakes(append(&mut accumulator, 1, b"a", ms(0))), "it is told already");
    drop(accumulator.drain(ms(1), |_| true));
    assert!(!wakes(append(&mut accumulator, 0, b"b", ms(1))), "the batch is there");
    assert!(!wakes(append(&mut accumulator, 2, b"a", ms(2))), "it wakes before that lingered");
    assert!(!wakes(append(&mut accumulator, 0, &[0; 800], ms(2))));
    assert!(wakes(append(&mut accumulator, 0, &[0; 800], ms(2))), "a full one goes at once");
}

#[test]
fn memory_is_bounded_and_whoever_waits_comes_first() {
    let mut accumulator = accumulator(plain());
    let mut count = 0;
    while matches!(append(&mut accumulator, 0, &[0; 900], ms(0)), Appended::Added { .. }) {
        count += 1;
    }
    assert_eq!(count, 8_000 / 1_000);
    drop(accumulator.drain(ms(0), |_| false));
    assert!(accumulator.block(), "the sender is told");
    assert_eq!(accumulator.drain(ms(0), |_| false).requests.len(), 0);
    let batch = drained(&mut accumulator, ms(0)).remove(0);
    answer(&mut accumulator, batch, stored(0), ms(0));
    assert!(accumulator.free() >= 1_000);
    assert!(matches!(append(&mut accumulator, 1, &[0; 10], ms(0)), Appended::Full), "not his turn");
    let record = Fields { timestamp: 5, key: None, value: Some(&[0; 900]), headers: &[] };
    let appended = accumulator.append("t", Choice::Partition(1), &record, true, || ms(0));
    assert!(matches!(appended, Appended::Added { .. }));
    let refused = append(&mut accumulator, 1, &vec![0; 2 << 20], ms(0));
    let Appended::Refused(error) = refused else { panic!("{refused:?}") };
    assert!(error.to_string().contains("max.request.size"), "{error}");
}

#[test]
fn small_batches_take_little_memory() {
    let mut accumulator =
        accumulator(Rules { batch_size: 1 << 20, buffer_memory: 1 << 20, ..plain() });
    for partition in 0..3 {
        drop(added(&mut accumulator, partition, b"little", ms(0)));
    }
    assert_eq!(accumulator.free(), (1 << 20) - 3 * CAPACITY_MIN);
    for _ in 0..1_000 {
        drop(added(&mut accumulator, 0, &[0; 100], ms(0)));
    }
    let len = accumulator.queue(Place { topic: 0, partition: 0 }).unwrap().waiting[0].len();
    assert!(accumulator.free() + 2 * len > (1 << 20) - 3 * CAPACITY_MIN, "doubled at most");
}

#[test]
fn what_fails_for_now_is_sent_again_and_keeps_its_bytes() {
    let mut accumulator = accumulator(rules());
    accumulator.identify(identity(0));
    let mut delivery = added(&mut accumulator, 0, b"a", ms(0));
    let mut batch = drained(&mut accumulator, ms(5)).remove(0);
    let bytes = batch.seal(Codec::Lz4, None).unwrap();
    answer(&mut accumulator, batch, failed(ErrorCode::NotLeaderOrFollower), ms(10));
    assert!(drained(&mut accumulator, ms(109)).is_empty(), "it waits for a while");
    let mut batch = drained(&mut accumulator, ms(110)).remove(0);
    assert_eq!(batch.seal(Codec::Lz4, None).unwrap(), bytes);
    assert_eq!(outcome(&mut delivery).map(|_| ()), None);
    answer(&mut accumulator, batch, stored(3), ms(10));
    assert_eq!(offset(&mut delivery), Some(3));
    assert_eq!(accumulator.free(), 8_000);
}

#[test]
fn what_takes_too_long_fails_with_the_last_reason() {
    let mut accumulator = accumulator(rules());
    accumulator.identify(identity(0));
    let mut delivery = added(&mut accumulator, 0, b"a", ms(0));
    let batch = drained(&mut accumulator, ms(5)).remove(0);
    answer(&mut accumulator, batch, failed(ErrorCode::NotEnoughReplicas), ms(10));
    assert!(drained(&mut accumulator, ms(120_000)).is_empty());
    let error = outcome(&mut delivery).unwrap().unwrap_err().to_string();
    assert!(
        error.contains("delivery.timeout.ms") && error.contains("NOT_ENOUGH_REPLICAS"),
        "{error}"
    );
    assert_eq!(accumulator.free(), 8_000);
    drop(added(&mut accumulator, 0, b"b", ms(120_000)));
    let mut next = drained(&mut accumulator, ms(120_005)).remove(0);
    let bytes = next.seal(Codec::None, None).unwrap();
    let header = *Stored::check(&bytes).unwrap().header();
    assert_eq!((header.producer_epoch.0, header.base_sequence), (1, 0), "another epoch");
}

#[test]
fn a_batch_that_is_too_large_goes_on_in_parts() {
    for codec in [Codec::None, Codec::Zstd] {
        let mut accumulator = accumulator(rules());
        accumulator.identify(identity(0));
        let mut deliveries: Vec<_> =
            (0..9).map(|at| added(&mut accumulator, 0, &[at; 80], ms(0))).collect();
        let mut later = added(&mut accumulator, 0, &[9; 200], ms(0));
        let mut batch = drained(&mut accumulator, ms(5)).remove(0);
        assert_eq!(batch.count, 9);
        drop(batch.seal(codec, None).unwrap());
        answer(&mut accumulator, batch, failed(ErrorCode::MessageTooLarge), ms(6));
        let (mut next, mut parts) = (100, 0);
        loop {
            let batches = drained(&mut accumulator, ms(10));
            if batches.is_empty() {
                break;
            }
            for mut batch in batches {
                let bytes = batch.seal(codec, None).unwrap();
                let header = *Stored::check(&bytes).unwrap().header();
                assert_eq!(i64::from(header.base_sequence), next - 100);
                let count = i64::from(header.record_count);
                answer(&mut accumulator, batch, stored(next), ms(11));
                next += count;
                parts += 1;
            }
        }
        assert!(parts >= 3, "{codec:?}: {parts}");
        for (at, delivery) in deliveries.iter_mut().enumerate() {
            assert_eq!(offset(delivery), Some(100 + at as i64), "{codec:?}");
        }
        assert_eq!(offset(&mut later), Some(109));
        assert_eq!(accumulator.free(), 8_000);
    }
}

/// Sends what waits for a partition, compressed, and has it stored; the sizes of what was sent.
fn compressed(accumulator: &mut Accumulator, now: Duration) -> Vec<(usize, usize)> {
    let mut batches = drained(accumulator, now);
    for batch in &mut batches {
        drop(batch.seal(Codec::Zstd, None).unwrap());
        accumulator.sealed(batch);
    }
    let sizes = batches.iter().map(|batch| (batch.plain, batch.len())).collect();
    for batch in batches {
        answer(accumulator, batch, stored(0), now);
    }
    sizes
}

#[test]
fn a_batch_is_full_by_what_it_will_be_when_it_is_compressed() {
    let rules = Rules { batch_size: 1_000, buffer_memory: 1 << 20, ..plain() };
    let mut accumulator = accumulator(rules);
    let mut sizes: Vec<(usize, usize)> = Vec::new();
    for round in 0..400 {
        // As much as fits into the batch and one record more.
        let now = ms(round * 10);
        while accumulator.queue(Place { topic: 0, partition: 0 }).unwrap().waiting.len() < 2 {
            drop(added(&mut accumulator, 0, &[7; 90], now));
        }
        // The full one first, then what is left.
        sizes.extend(compressed(&mut accumulator, now).first());
        compressed(&mut accumulator, now + ms(5));
    }
    let (first, last) = (sizes[0], *sizes.last().unwrap());
    assert!(first.0 < 1_000, "nothing is known of the topic yet: {first:?}");
    assert!(last.0 > 2_000, "what compresses well is gathered for longer: {last:?}");
    assert!(sizes.iter().all(|(_, sent)| *sent <= 1_000), "{sizes:?}");
    assert_eq!(accumulator.free(), 1 << 20);

    // One that is refused for its size: what follows is small until compression has proven itself.
    for _ in 0..30 {
        drop(added(&mut accumulator, 0, &[7; 90], ms(9_000)));
    }
    let mut batch = drained(&mut accumulator, ms(9_005)).remove(0);
    assert!(batch.count > 10, "{}", batch.count);
    drop(batch.seal(Codec::Zstd, None).unwrap());
    answer(&mut accumulator, batch, failed(ErrorCode::MessageTooLarge), ms(9_006));
    let mut plain = Vec::new();
    while !accumulator.queue(Place { topic: 0, partition: 0 }).unwrap().waiting.is_empty() {
        plain.extend(compressed(&mut accumulator, ms(9_100)).iter().map(|(plain, _)| *plain));
    }
    assert!(plain.len() >= 3 && plain.iter().all(|plain| *plain <= 1_000), "{plain:?}");
}

#[test]
fn a_record_that_is_too_large_alone_fails() {
    let mut accumulator = accumulator(plain());
    let mut delivery = added(&mut accumulator, 0, b"a", ms(0));
    let batch = drained(&mut accumulator, ms(5)).remove(0);
    answer(&mut accumulator, batch, failed(ErrorCode::MessageTooLarge), ms(6));
    let error = outcome(&mut delivery).unwrap().unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::MessageTooLarge));
}

#[test]
fn of_a_batch_with_a_bad_record_each_is_told_its_own() {
    let mut accumulator = accumulator(plain());
    let mut good = added(&mut accumulator, 0, b"a", ms(0));
    let mut bad = added(&mut accumulator, 0, b"b", ms(0));
    let batch = drained(&mut accumulator, ms(5)).remove(0);
    let error = Error::broker("produce", ErrorCode::InvalidRecord);
    let blamed = vec![(1, "it has no key".into())];
    answer(&mut accumulator, batch, Answered::Failed { error, blamed }, ms(6));
    let told = |delivery| outcome(delivery).unwrap().unwrap_err().to_string();
    assert!(told(&mut bad).contains("it has no key"));
    assert!(told(&mut good).contains("another record of its batch was refused"));
}

#[test]
fn headers_and_their_lengths_are_counted() {
    let header = record::Header { key: "k".into(), value: Some(vec![0; 300].into()) };
    let headers = [header.clone(), header];
    let record = Fields { timestamp: 5, key: Some(b"k"), value: None, headers: &headers };
    let mut accumulator = accumulator(plain());
    drop(accumulator.append("t", Choice::Hash(5), &record, false, || ms(0)));
    let batch = drained(&mut accumulator, ms(5)).remove(0);
    assert!(batch.len() - HEADER_LEN <= record.len_max());
    assert!(batch.len() > 600);
    assert_eq!(batch.place.partition, 5 % 3);
}

#[test]
fn a_flush_and_a_close_send_at_once_and_nothing_comes_after() {
    let mut accumulator = accumulator(plain());
    drop(added(&mut accumulator, 0, b"a", ms(0)));
    let (completions, _) = accumulator.flush();
    assert_eq!(completions.len(), 1);
    let batch = drained(&mut accumulator, ms(0)).remove(0);
    accumulator.end_flush();
    drop(added(&mut accumulator, 0, b"b", ms(0)));
    assert!(drained(&mut accumulator, ms(0)).is_empty());
    accumulator.close();
    let refused = append(&mut accumulator, 0, b"c", ms(0));
    assert!(matches!(refused, Appended::Refused(Error::Closed)));
    let next = drained(&mut accumulator, ms(0)).remove(0);
    answer(&mut accumulator, batch, stored(0), ms(1));
    assert!(!accumulator.drain(ms(1), |_| true).is_over);
    answer(&mut accumulator, next, stored(1), ms(1));
    assert!(accumulator.drain(ms(1), |_| true).is_over);
}

#[test]
fn a_topic_that_grows_gets_its_new_partitions() {
    let mut accumulator = accumulator(plain());
    assert!(matches!(append(&mut accumulator, 3, b"a", ms(0)), Appended::NoSuchPartition(_)));
    accumulator.learn(&topic(4));
    assert!(matches!(append(&mut accumulator, 3, b"a", ms(0)), Appended::Added { .. }));
}
