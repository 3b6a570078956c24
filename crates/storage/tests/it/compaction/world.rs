//! A compacted topic and all that was ever written to it, to hold against what can be read.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::BytesMut;
use milena_env::Clock;
use milena_protocol::{
    Offset, ProducerEpoch, ProducerId,
    records::{Batch, BatchBuilder, Batches, Budget, EndTransactionMarker, Scratch},
};
use milena_storage::{
    AppendError, Appended, Cleaner, CleanerOptions, Cleaning, Limit, Log, LogConfig, LogDirectory,
    StorageError,
};

use crate::rig::{Rig, append};

pub(super) const TOPIC: &str = "table";
pub(super) const HOUR_MS: i64 = 3_600_000;

/// A compacted topic of small segments.
pub(super) fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 600,
        index_interval_bytes: 100,
        compact: true,
        delete: false,
        min_cleanable_dirty_ratio: 0.0,
        delete_retention_ms: HOUR_MS,
        ..LogConfig::default()
    }
}

pub(super) fn cleaner() -> Cleaner {
    cleaner_with(1 << 20)
}

pub(super) fn cleaner_with(dedupe_buffer_bytes: usize) -> Cleaner {
    Cleaner::new(CleanerOptions { dedupe_buffer_bytes, io_bytes_per_second: None, secret: [5; 16] })
}

pub(super) fn compact(directory: &LogDirectory) -> Result<Option<Cleaning>, StorageError> {
    directory.compact_dirtiest(&mut cleaner(), &Log::durable_end)
}

/// One record as it was written, or as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) key: String,
    pub(super) value: Option<String>,
    pub(super) producer: i64,
}

pub(super) fn keyed(
    builder: BatchBuilder,
    now_ms: i64,
    records: &[(&str, Option<&str>)],
) -> BytesMut {
    let mut builder = builder;
    for (key, value) in records {
        builder.append(now_ms, Some(key.as_bytes()), value.map(str::as_bytes), []);
    }
    let mut bytes = Vec::new();
    builder.build(&mut bytes).unwrap();
    BytesMut::from(&bytes[..])
}

pub(super) fn put(log: &Arc<Log>, records: &[(&str, Option<&str>)]) -> Appended {
    let batch = keyed(BatchBuilder::new(Offset::ZERO), crate::rig::NOW_MS, records);
    append(log, batch, 0).unwrap()
}

pub(super) fn marker(id: i64, epoch: i16, is_commit: bool, now_ms: i64) -> BytesMut {
    let marker = EndTransactionMarker { is_commit, coordinator_epoch: 0 };
    let mut bytes = Vec::new();
    let (id, epoch) = (ProducerId(id), ProducerEpoch(epoch));
    marker.build(Offset::ZERO, id, epoch, now_ms, &mut bytes).unwrap();
    BytesMut::from(&bytes[..])
}

/// Every sound batch from the log's start to its end, as it was fetched.
pub(super) fn batches(log: &Log) -> Vec<Vec<u8>> {
    let (mut from, end) = (log.start_offset(), log.appended_end());
    let mut all = Vec::new();
    while from < end {
        let plan = log.read(from, end, Limit { bytes_max: 1500, at_least_one: true }).unwrap();
        let bytes = plan.read().unwrap();
        let before = from;
        for batch in Batches::new(&bytes) {
            let batch = Batch::check(batch.bytes()).unwrap();
            let next = batch.header().next_offset();
            assert!(batch.header().base_offset >= from || all.is_empty(), "offsets rise");
            if next > from {
                from = next;
                all.push(batch.bytes().to_vec());
            }
        }
        if from == before {
            break;
        }
    }
    all
}

/// All records of data by their offset, whether their transaction was committed or not.
pub(super) fn read(log: &Log) -> BTreeMap<i64, Seen> {
    let mut seen = BTreeMap::new();
    let mut scratch = Scratch::new();
    for bytes in batches(log) {
        let batch = Batch::read(&bytes).unwrap();
        if batch.header().attributes.is_control() {
            continue;
        }
        for record in batch.records(&mut scratch, Budget::default()).unwrap() {
            let record = record.unwrap();
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let (key, value) = (text(record.key.unwrap()), record.value.map(text));
            let producer = batch.header().producer_id.0;
            seen.insert(record.offset.0, Seen { key, value, producer });
        }
    }
    seen
}

/// What a consumer of committed records gets, which follows Kafka's rule: aborted transactions
/// begin at their first offset and end at their marker.
pub(super) fn read_committed(log: &Log) -> BTreeMap<i64, Seen> {
    let stable = log.last_stable_offset(log.durable_end());
    let mut ahead = log.aborted_transactions(log.start_offset(), stable).unwrap();
    ahead.sort_by_key(|aborted| aborted.first_offset);
    let mut aborted = BTreeSet::new();
    let mut hidden = BTreeSet::new();
    for bytes in batches(log) {
        let batch = *Batch::read(&bytes).unwrap().header();
        while ahead.first().is_some_and(|next| next.first_offset <= batch.last_offset()) {
            aborted.insert(ahead.remove(0).producer_id);
        }
        if batch.attributes.is_control() {
            aborted.remove(&batch.producer_id);
        } else if batch.attributes.is_transactional() && aborted.contains(&batch.producer_id) {
            hidden.extend(batch.base_offset.0..batch.next_offset().0);
        }
    }
    let mut seen = read(log);
    seen.retain(|offset, _| !hidden.contains(offset) && *offset < stable.0);
    seen
}

/// What was written at an offset.
#[derive(Clone, Debug)]
struct Written {
    seen: Seen,
    at_ms: i64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Producer {
    epoch: i16,
    sequence: i32,
    /// Where its open transaction began.
    open: Option<i64>,
}

/// A log and its model.
pub(super) struct World {
    pub(super) rig: Rig,
    written: BTreeMap<i64, Written>,
    /// Offsets of aborted records.
    aborted: BTreeSet<i64>,
    producers: BTreeMap<i64, Producer>,
    /// Before the last crash, the log was clean at most up to here.
    cleaned_to: i64,
}

impl World {
    pub(super) fn new(rig: Rig) -> Self {
        Self {
            rig,
            written: BTreeMap::new(),
            aborted: BTreeSet::new(),
            producers: BTreeMap::new(),
            cleaned_to: 0,
        }
    }

    fn now_ms(&self) -> i64 {
        self.rig.clock.now_ms()
    }

    fn note(&mut self, appended: Appended, producer: i64, records: &[(&str, Option<&str>)]) {
        for (index, (key, value)) in records.iter().enumerate() {
            let (key, value) = ((*key).to_owned(), value.map(str::to_owned));
            let seen = Seen { key, value, producer };
            let written = Written { seen, at_ms: self.now_ms() };
            self.written.insert(appended.base_offset.0 + index as i64, written);
        }
    }

    /// Writes as nobody in particular.
    pub(super) fn put(
        &mut self,
        log: &Arc<Log>,
        codec: milena_protocol::records::Codec,
        records: &[(&str, Option<&str>)],
    ) -> Result<(), AppendError> {
        let builder = BatchBuilder::new(Offset::ZERO).with_codec(codec, None);
        let appended = append(log, keyed(builder, self.now_ms(), records), 0)?;
        self.note(appended, -1, records);
        Ok(())
    }

    /// Writes as a producer: below 10 an idempotent one, from there on in a transaction.
    pub(super) fn put_as(
        &mut self,
        log: &Arc<Log>,
        id: i64,
        records: &[(&str, Option<&str>)],
    ) -> Result<(), AppendError> {
        let producer = self.producers.get(&id).copied().unwrap_or_default();
        let mut builder = BatchBuilder::new(Offset::ZERO).with_producer(
            ProducerId(id),
            ProducerEpoch(producer.epoch),
            producer.sequence,
        );
        if id >= 10 {
            builder = builder.with_transactional();
        }
        let appended = append(log, keyed(builder, self.now_ms(), records), 0)?;
        assert!(!appended.is_duplicate);
        self.note(appended, id, records);
        let producer = self.producers.entry(id).or_default();
        producer.sequence += records.len() as i32;
        if id >= 10 {
            producer.open.get_or_insert(appended.base_offset.0);
        }
        Ok(())
    }

    /// Ends a producer's transaction, if one is open.
    pub(super) fn end(
        &mut self,
        log: &Arc<Log>,
        id: i64,
        is_commit: bool,
    ) -> Result<(), AppendError> {
        let now_ms = self.now_ms();
        let Some(producer) = self.producers.get_mut(&id) else {
            return Ok(());
        };
        let Some(first) = producer.open else {
            return Ok(());
        };
        let epoch = producer.epoch + 1;
        append(log, marker(id, epoch, is_commit, now_ms), 0)?;
        *producer = Producer { epoch, sequence: 0, open: None };
        if !is_commit {
            let of_it = self.written.range(first..).filter(|(_, w)| w.seen.producer == id);
            self.aborted.extend(of_it.map(|(offset, _)| *offset));
        }
        Ok(())
    }

    /// Notes that everything below was offered to compaction.
    pub(super) fn compacted(&mut self, bound: Offset) {
        self.cleaned_to = self.cleaned_to.max(bound.0);
    }

    /// After a crash or a cut: what is not in the log was never written. What a producer wrote last
    /// is asked of the log, since its end may be anywhere.
    pub(super) fn forget_beyond(&mut self, log: &Log) {
        let end = log.appended_end().0;
        self.written.split_off(&end);
        self.aborted.split_off(&end);
        let open = |id: i64, from: i64| -> bool {
            self.written.range(from..).any(|(_, w)| w.seen.producer == id)
        };
        let mut known = BTreeMap::new();
        log.with_producers(|producers| {
            for (id, entry) in producers.iter() {
                let sequence = entry.last_batch().map_or(0, |last| last.last_sequence + 1);
                let first = entry.open_transaction.map(|first| first.0);
                if let Some(first) = first {
                    assert!(open(id.0, first), "producer {id:?} has nothing open from {first} on");
                }
                known.insert(id.0, Producer { epoch: entry.epoch.0, sequence, open: first });
            }
        });
        self.producers = known;
        // What was aborted by a marker that is lost is open again.
        let reopened: Vec<(i64, i64)> =
            self.producers.iter().filter_map(|(id, p)| Some((*id, p.open?))).collect();
        for (id, first) in reopened {
            let written = &self.written;
            self.aborted.retain(|offset| *offset < first || written[offset].seen.producer != id);
        }
    }

    /// Holds what can be read against what was written.
    pub(super) fn check(&self, log: &Log, context: &str) {
        let read = read(log);
        let stable = log.last_stable_offset(log.durable_end()).0;
        let start = log.start_offset().0;
        for (offset, seen) in read.range(start..) {
            let written = self.written.get(offset).map(|w| &w.seen);
            assert_eq!(Some(seen), written, "{context}: offset {offset} is what it was");
        }
        for (offset, written) in self.written.range(self.cleaned_to.max(start)..) {
            assert_eq!(read.get(offset), Some(&written.seen), "{context}: {offset} is not clean");
        }
        let committed = read_committed(log);
        for offset in committed.keys() {
            assert!(!self.aborted.contains(offset), "{context}: aborted offset {offset} is seen");
        }
        for (key, (last, written)) in self.last_of_keys(start) {
            if last < stable && written.seen.value.is_some() {
                assert!(committed.contains_key(&last), "{context}: the last of {key}, {last}");
            } else if last < stable && !committed.contains_key(&last) {
                let age_ms = self.now_ms() - written.at_ms;
                assert!(age_ms >= HOUR_MS, "{context}: tombstone {last} went after {age_ms} ms");
                let left = committed.values().filter(|seen| seen.key == key).count();
                assert_eq!(left, 0, "{context}: {key} is back, deleted at {last}");
            }
        }
    }

    /// Of every key the last record that is not aborted.
    fn last_of_keys(&self, start: i64) -> BTreeMap<String, (i64, Written)> {
        let valid = self.written.range(start..).filter(|(o, _)| !self.aborted.contains(o));
        valid.map(|(offset, w)| (w.seen.key.clone(), (*offset, w.clone()))).collect()
    }
}
