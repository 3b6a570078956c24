//! `milena-clean-stop` as bytes. Whoever reads it believes all of it or nothing.

use milena_protocol::{LeaderEpoch, Offset, Uuid, records::crc32c};

use super::{CleanStop, NotedLog, NotedSegment};
use crate::{
    epochs::{EpochCache, EpochEntry},
    fields::take,
    log::TopicPartition,
    segment::MaxTimestamp,
};

const MAGIC: [u8; 8] = *b"MILENAS1";
const CRC_LEN: usize = 4;

pub(super) fn write(stop: &CleanStop, broker_epoch: i64) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(broker_epoch.to_be_bytes());
    for (name, log) in &stop.logs {
        write_log(&mut bytes, name, log);
    }
    bytes.extend(crc32c(&bytes).to_be_bytes());
    bytes
}

fn write_log(bytes: &mut Vec<u8>, name: &TopicPartition, log: &NotedLog) {
    write_bytes(bytes, name.topic.as_bytes());
    bytes.extend(name.partition.to_be_bytes());
    bytes.extend(log.topic_id.to_be_bytes());
    bytes.extend(log.folder_changed_ns.to_be_bytes());
    bytes.extend(log.start.0.to_be_bytes());
    bytes.extend(log.end.0.to_be_bytes());
    bytes.extend(log.first_timestamp.unwrap_or(-1).to_be_bytes());
    bytes.extend(log.entries.to_be_bytes());
    bytes.extend(log.since_entry.to_be_bytes());
    bytes.extend((log.epochs.entries().len() as u32).to_be_bytes());
    for entry in log.epochs.entries() {
        bytes.extend(entry.epoch.0.to_be_bytes());
        bytes.extend(entry.start_offset.0.to_be_bytes());
    }
    write_bytes(bytes, &log.producers);
    bytes.extend((log.segments.len() as u32).to_be_bytes());
    for segment in &log.segments {
        bytes.extend(segment.base_offset.0.to_be_bytes());
        bytes.extend(segment.len.to_be_bytes());
        bytes.extend(segment.changed_ns.to_be_bytes());
        bytes.extend(segment.max.timestamp.to_be_bytes());
        bytes.extend(segment.max.offset.0.to_be_bytes());
        bytes.push(u8::from(segment.has_transactions));
    }
}

fn write_bytes(into: &mut Vec<u8>, bytes: &[u8]) {
    into.extend((bytes.len() as u32).to_be_bytes());
    into.extend_from_slice(bytes);
}

/// The epoch of the stop and what it noted; `None` unless it is whole.
pub(super) fn read(bytes: &[u8]) -> Option<(i64, CleanStop)> {
    let (covered, crc) = bytes.split_last_chunk::<CRC_LEN>()?;
    if crc32c(covered) != u32::from_be_bytes(*crc) {
        return None;
    }
    let mut rest = covered;
    if take(&mut rest)? != MAGIC {
        return None;
    }
    let broker_epoch = i64::from_be_bytes(take(&mut rest)?);
    let mut stop = CleanStop::default();
    while !rest.is_empty() {
        let (name, log) = read_log(&mut rest)?;
        stop.logs.insert(name, log);
    }
    Some((broker_epoch, stop))
}

fn read_log(rest: &mut &[u8]) -> Option<(TopicPartition, NotedLog)> {
    let topic = std::str::from_utf8(take_bytes(rest)?).ok()?;
    let partition = i32::from_be_bytes(take(rest)?);
    let name = TopicPartition { topic: topic.into(), partition };
    let topic_id = Uuid::from_be_bytes(take(rest)?);
    let folder_changed_ns = u64::from_be_bytes(take(rest)?);
    let start = take_offset(rest)?;
    let end = take_offset(rest)?;
    let first_timestamp = Some(i64::from_be_bytes(take(rest)?)).filter(|first| *first >= 0);
    let entries = u64::from_be_bytes(take(rest)?);
    let since_entry = u64::from_be_bytes(take(rest)?);
    let mut epochs = Vec::new();
    for _ in 0..u32::from_be_bytes(take(rest)?) {
        let epoch = LeaderEpoch(i32::from_be_bytes(take(rest)?));
        epochs.push(EpochEntry { epoch, start_offset: take_offset(rest)? });
    }
    let producers = take_bytes(rest)?.to_vec();
    let mut segments = Vec::new();
    for _ in 0..u32::from_be_bytes(take(rest)?) {
        segments.push(read_segment(rest)?);
    }
    let log = NotedLog {
        topic_id,
        folder_changed_ns,
        start,
        end,
        epochs: EpochCache::from_entries(epochs),
        producers,
        segments,
        first_timestamp,
        entries,
        since_entry,
    };
    Some((name, log))
}

fn read_segment(rest: &mut &[u8]) -> Option<NotedSegment> {
    Some(NotedSegment {
        base_offset: take_offset(rest)?,
        len: u64::from_be_bytes(take(rest)?),
        changed_ns: u64::from_be_bytes(take(rest)?),
        max: MaxTimestamp {
            timestamp: i64::from_be_bytes(take(rest)?),
            offset: take_offset(rest)?,
        },
        has_transactions: take::<1>(rest)? == [1],
    })
}

fn take_offset(rest: &mut &[u8]) -> Option<Offset> {
    take(rest).map(i64::from_be_bytes).map(Offset)
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = u32::from_be_bytes(take(rest)?) as usize;
    let (bytes, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(bytes)
}
