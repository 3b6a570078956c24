//! Each rule of compaction, told once.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use milena_env::Disk;
use milena_protocol::{
    Offset, ProducerEpoch, ProducerId,
    records::{Batch, BatchBuilder, Codec},
};
use milena_storage::{AppendError, Limit, Log, LogConfig};

use super::world::{
    HOUR_MS, TOPIC, batches, cleaner_with, compact, config, keyed, marker, put, read,
    read_committed,
};
use crate::rig::{NOW_MS, Rig, append, partition, path};

fn offsets(log: &Log) -> Vec<i64> {
    read(log).into_keys().collect()
}

fn files(rig: &Rig) -> Vec<String> {
    let folder = path().join(format!("{TOPIC}-0"));
    rig.disk.list(&folder).unwrap().into_iter().map(|entry| entry.name).collect()
}

#[test]
fn of_every_key_the_last_value_stays_at_its_offset() {
    let rig = Rig::new(1, config());
    let directory = rig.open().unwrap();
    let log = rig.log(&directory, TOPIC);
    let mut last = BTreeMap::new();
    let mut fill = |rounds: std::ops::Range<i64>| {
        for round in rounds {
            let key = if round % 5 == 0 { format!("k{round}") } else { format!("{}", round % 3) };
            put(&log, &[(&key, Some(&format!("a value of some length {round}")))]);
            last.insert(key, round);
        }
        directory.run_pending();
        last.values().copied().collect::<BTreeSet<i64>>()
    };
    fill(0..60);
    let done = compact(&directory).unwrap().unwrap();
    assert!(done.bytes_written < done.bytes_read / 2 && done.segments_after > 1, "{done:?}");
    assert_eq!(compact(&directory).unwrap(), None, "nothing is dirty now");
    let expected = fill(60..90);
    let again = compact(&directory).unwrap().unwrap();
    assert!(again.segments_after < again.segments_before, "the small ones became one");
    let clean = again.cleaned_to.0;
    let left = offsets(&log);
    let kept: Vec<i64> = left.iter().copied().take_while(|offset| *offset < clean).collect();
    // What the dirty end has written again does not count yet.
    assert!(expected.range(..clean).all(|offset| kept.contains(offset)));
    assert!(kept.len() <= expected.range(..clean).count() + 3, "{kept:?}");
    assert_eq!(left.len() - kept.len(), (90 - clean) as usize, "the end is as it was");
    directory.checkpoint().unwrap();
    let names = files(&rig);
    let logs = names.iter().filter(|name| name.ends_with(".log")).count();
    assert!(logs <= again.segments_after + 2, "{names:?}");
    let is_staged = |name: &&String| {
        [".cleaned", ".swap", ".deleted", ".txnindex"].iter().any(|end| name.ends_with(end))
    };
    assert_eq!(names.iter().find(is_staged), None);
    for from in 0..log.appended_end().0 {
        let limit = Limit { bytes_max: 1, at_least_one: true };
        let bytes = log.read(Offset(from), log.appended_end(), limit).unwrap().read().unwrap();
        let found = Batch::check(&bytes).unwrap().header().last_offset();
        assert!(found.0 >= from, "{from} is answered with the next batch that is left");
    }
}

#[test]
fn what_is_compressed_stays_compressed_and_an_untouched_batch_stays_as_it_is() {
    for codec in Codec::ALL {
        let rig = Rig::new(2, LogConfig { segment_bytes: 400, ..config() });
        let directory = rig.open().unwrap();
        let log = rig.log(&directory, TOPIC);
        let mut sent = Vec::new();
        for round in 0..12 {
            let builder = BatchBuilder::new(Offset::ZERO).with_codec(codec, None);
            let records = [("same", Some("old")), (&*format!("k{round}"), Some("value"))];
            sent.push(append(&log, keyed(builder, NOW_MS + round, &records), 0).unwrap());
            let own = format!("only {round}");
            let builder = BatchBuilder::new(Offset::ZERO).with_codec(codec, None);
            append(&log, keyed(builder, NOW_MS, &[(&own, Some("value"))]), 0).unwrap();
        }
        directory.run_pending();
        let before = batches(&log);
        let done = compact(&directory).unwrap().unwrap();
        let after = batches(&log);
        assert_eq!(before.len(), after.len());
        for (old, new) in before.iter().zip(&after) {
            let (old, new) = (Batch::check(old).unwrap(), Batch::check(new).unwrap());
            let (old_header, new_header) = (old.header(), new.header());
            assert_eq!(old_header.base_offset, new_header.base_offset);
            assert_eq!(old_header.next_offset(), new_header.next_offset());
            assert_eq!(old_header.attributes, new_header.attributes);
            assert_eq!(old_header.max_timestamp, new_header.max_timestamp);
            let is_cut = old_header.last_offset_delta == 1 && new_header.record_count == 1;
            assert!(is_cut || old.bytes() == new.bytes(), "{codec:?}");
        }
        let cut = after.iter().filter(|b| Batch::read(b).unwrap().header().record_count == 1);
        assert!(cut.count() > 12 && done.cleaned_to > Offset(20));
    }
}

#[test]
fn a_tombstone_lives_for_delete_retention_ms_and_then_goes_with_what_it_deleted() {
    let rig = Rig::new(3, config());
    let directory = rig.open().unwrap();
    let log = rig.log(&directory, TOPIC);
    put(&log, &[("gone", Some("value"))]);
    put(&log, &[("gone", None), ("stays", Some("value"))]);
    let fill = |from: i32| {
        for index in from..from + 30 {
            put(&log, &[(&format!("k{index}"), Some("a value of some length"))]);
        }
        directory.run_pending();
    };
    fill(0);
    compact(&directory).unwrap().unwrap();
    assert_eq!(offsets(&log)[..2], [1, 2], "the value is gone, the tombstone is there");
    let horizon = *Batch::read(&batches(&log)[0]).unwrap().header();
    assert!(horizon.attributes.has_delete_horizon());
    assert_eq!(horizon.base_timestamp, NOW_MS + HOUR_MS);
    assert_eq!(horizon.max_timestamp, NOW_MS);

    rig.clock.advance(Duration::from_millis(HOUR_MS as u64 - 1));
    fill(30);
    compact(&directory).unwrap().unwrap();
    assert_eq!(offsets(&log)[..2], [1, 2], "not yet");
    rig.clock.advance(Duration::from_millis(1));
    fill(60);
    compact(&directory).unwrap().unwrap();
    assert_eq!(offsets(&log)[0], 2, "gone for good");
}

#[test]
fn aborted_records_go_at_once_and_their_marker_after_its_horizon() {
    let rig = Rig::new(4, config());
    let directory = rig.open().unwrap();
    let log = rig.log(&directory, TOPIC);
    let begin = |epoch, records: &[(&str, Option<&str>)]| {
        let builder = BatchBuilder::new(Offset::ZERO)
            .with_producer(ProducerId(10), ProducerEpoch(epoch), 0)
            .with_transactional();
        append(&log, keyed(builder, NOW_MS, records), 0).unwrap()
    };
    put(&log, &[("a", Some("first")), ("b", Some("first"))]);
    begin(0, &[("a", Some("aborted"))]);
    append(&log, marker(10, 1, false, NOW_MS), 0).unwrap();
    begin(1, &[("b", Some("committed"))]);
    append(&log, marker(10, 2, true, NOW_MS), 0).unwrap();
    let fill = |from: i32| {
        for index in from..from + 30 {
            put(&log, &[(&format!("k{index}"), Some("a value of some length"))]);
        }
        directory.run_pending();
    };
    fill(0);
    let control = || {
        let is_control = |b: &Vec<u8>| Batch::read(b).unwrap().header().attributes.is_control();
        batches(&log).iter().filter(|b| is_control(b)).count()
    };
    compact(&directory).unwrap().unwrap();
    assert_eq!(offsets(&log)[..2], [0, 4], "the value before the aborted one counts");
    let aborted = || log.aborted_transactions(Offset(0), Offset(6)).unwrap().len();
    assert_eq!(aborted(), 1, "something of it was seen on the way");
    fill(30);
    compact(&directory).unwrap().unwrap();
    assert_eq!((aborted(), control()), (0, 2), "nothing of it is left but its marker, which waits");
    rig.clock.advance(Duration::from_millis(HOUR_MS as u64));
    fill(60);
    compact(&directory).unwrap().unwrap();
    assert_eq!(control(), 1, "what the other committed is still there");
    assert_eq!(read_committed(&log).keys().take(2).collect::<Vec<_>>(), [&0, &4]);

    begin(2, &[("open", Some("value"))]);
    let open_from = log.appended_end().0 - 1;
    fill(90);
    if let Some(done) = compact(&directory).unwrap() {
        assert!(done.cleaned_to.0 <= open_from, "nothing is cleaned past an open transaction");
    }
}

#[test]
fn producers_are_known_after_their_records_were_compacted_away() {
    for seed in 0..20 {
        let mut rig = Rig::new(seed, config());
        let directory = rig.open().unwrap();
        let log = rig.log(&directory, TOPIC);
        let produce = |log: &std::sync::Arc<Log>, sequence| {
            let builder = BatchBuilder::new(Offset::ZERO).with_producer(
                ProducerId(1),
                ProducerEpoch(3),
                sequence,
            );
            append(log, keyed(builder, NOW_MS, &[("a", Some("1")), ("b", Some("2"))]), 0)
        };
        let first = produce(&log, 0).unwrap();
        let last = produce(&log, 2).unwrap();
        for index in 0..40 {
            let value = format!("a value of some length {index}");
            put(&log, &[("a", Some(&value)), ("b", Some(&value))]);
        }
        directory.run_pending();
        compact(&directory).unwrap().unwrap();
        let headers: Vec<_> =
            batches(&log).iter().map(|b| *Batch::read(b).unwrap().header()).collect();
        assert!(headers.iter().all(|h| h.base_offset != first.base_offset));
        let empty = headers.iter().find(|h| h.base_offset == last.base_offset).unwrap();
        assert_eq!((empty.record_count, empty.base_sequence), (0, 2));
        if seed % 2 == 0 {
            directory.close(1).unwrap();
        }
        drop((log, directory));
        rig.crash();
        let directory = rig.open().unwrap();
        let log = directory.log(&partition(TOPIC)).unwrap();
        assert_eq!(produce(&log, 2).unwrap().base_offset, last.base_offset, "a retry is known");
        assert!(matches!(produce(&log, 5), Err(AppendError::Sequence(_))), "and so is a gap");
        produce(&log, 4).unwrap();
    }
}

#[test]
fn a_small_map_cleans_as_far_as_it_reaches_and_goes_on_from_there() {
    let rig = Rig::new(5, config());
    let directory = rig.open().unwrap();
    let log = rig.log(&directory, TOPIC);
    for round in 0..3 {
        for index in 0..40 {
            put(&log, &[(&format!("k{index}"), Some(&format!("a value of some length {round}")))]);
        }
    }
    directory.run_pending();
    let mut reached = Offset::ZERO;
    let mut small = cleaner_with(0);
    let mut runs = 0;
    while let Some(done) = directory.compact_dirtiest(&mut small, &Log::durable_end).unwrap() {
        assert!(done.cleaned_to > reached);
        reached = done.cleaned_to;
        runs += 1;
    }
    assert!(runs > 3, "16 slots do not hold 40 keys");
    assert_eq!(compact(&directory).unwrap(), None);
    let left = read(&log);
    for index in 0..40 {
        assert!(left.contains_key(&(80 + index)), "the last of k{index}");
    }
    assert!(left.len() < 60, "{} records left", left.len());
}

#[test]
fn the_ratio_and_the_lags_decide_when() {
    let lazy = LogConfig {
        min_cleanable_dirty_ratio: 0.9,
        max_compaction_lag_ms: 2 * HOUR_MS,
        ..config()
    };
    let rig = Rig::new(6, lazy);
    let directory = rig.open().unwrap();
    let log = rig.log(&directory, TOPIC);
    let fill = |round: i32| {
        for index in 0..30 {
            put(&log, &[(&format!("k{round}.{index}"), Some("a value of some length"))]);
        }
        directory.run_pending();
    };
    fill(0);
    compact(&directory).unwrap().unwrap();
    fill(1);
    assert_eq!(compact(&directory).unwrap(), None, "half of it is dirty, which is not enough");
    rig.clock.advance(Duration::from_millis(2 * HOUR_MS as u64 + 1));
    assert!(compact(&directory).unwrap().is_some(), "but it has waited for long enough");

    let rig = Rig::new(7, LogConfig { min_compaction_lag_ms: HOUR_MS, ..config() });
    let directory = rig.open().unwrap();
    let log = rig.log(&directory, TOPIC);
    for index in 0..30 {
        put(&log, &[("same", Some(&format!("a value of some length {index}")))]);
    }
    directory.run_pending();
    assert_eq!(compact(&directory).unwrap(), None, "too young");
    rig.clock.advance(Duration::from_millis(HOUR_MS as u64));
    assert!(compact(&directory).unwrap().is_some());
}

#[test]
fn nothing_above_the_high_watermark_is_cleaned() {
    let rig = Rig::new(8, config());
    let directory = rig.open().unwrap();
    let log = rig.log(&directory, TOPIC);
    for index in 0..60 {
        put(&log, &[("same", Some(&format!("a value of some length {index}")))]);
    }
    directory.run_pending();
    let done = directory.compact_dirtiest(&mut cleaner_with(1 << 16), &|_| Offset(30)).unwrap();
    let cleaned_to = done.unwrap().cleaned_to;
    assert!(cleaned_to > Offset(10) && cleaned_to <= Offset(30));
    let left = offsets(&log);
    assert!(left.first().unwrap() + 1 >= cleaned_to.0 - 1);
    assert_eq!(left.iter().filter(|o| **o >= cleaned_to.0).count() as i64, 60 - cleaned_to.0);
}
