//! Producers as bytes: `<offset>.snapshot`, as `docs/formats/producer-snapshot.md` tells it.

use milena_protocol::{Offset, ProducerEpoch, ProducerId};

use super::{ProducedBatch, ProducerEntry, ProducerStates, Table};
use crate::{
    fields::take,
    names::{FileKind, SegmentFile},
};

const VERSION: i16 = 1;
const CRC_AT: usize = 2;
const COVERED_FROM: usize = 6;
const HEADER_LEN: usize = 10;
const ENTRY_LEN: usize = 46;

/// Why a snapshot cannot be used; an older one, or the log, is to be read instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    #[error("{file} is corrupt: {len} bytes are not what its {count} entries take")]
    Length { file: SegmentFile, len: usize, count: i64 },
    #[error("{file} has version {version}, not {VERSION}")]
    Version { file: SegmentFile, version: i16 },
    #[error("{file} is corrupt: its checksum is {stored:08x}, its content's {computed:08x}")]
    Checksum { file: SegmentFile, stored: u32, computed: u32 },
    #[error("{file} is corrupt: two entries of producer {producer_id}")]
    Twice { file: SegmentFile, producer_id: ProducerId },
    #[error("{file} is corrupt: entry of producer {producer_id} {reason}")]
    Entry { file: SegmentFile, producer_id: ProducerId, reason: &'static str },
}

impl ProducerStates {
    /// The content of the snapshot that is named by [`Self::end_offset`].
    #[must_use]
    pub fn to_snapshot(&self) -> Vec<u8> {
        let producers = self.iter();
        let mut bytes = Vec::with_capacity(HEADER_LEN + producers.len() * ENTRY_LEN);
        bytes.extend(VERSION.to_be_bytes());
        bytes.extend([0; COVERED_FROM - CRC_AT]);
        bytes.extend((producers.len() as u32).to_be_bytes());
        for (producer_id, entry) in producers {
            write_entry(&mut bytes, producer_id, entry);
        }
        let crc = milena_protocol::records::crc32c(bytes.get(COVERED_FROM..).unwrap_or_default());
        if let Some(field) = bytes.get_mut(CRC_AT..COVERED_FROM) {
            field.copy_from_slice(&crc.to_be_bytes());
        }
        bytes
    }

    /// The producers in the content of the snapshot that is named by `offset`.
    pub fn from_snapshot(offset: Offset, bytes: &[u8]) -> Result<Self, SnapshotError> {
        let file = SegmentFile::live(offset, FileKind::ProducerSnapshot);
        let mut table = Table { loaded_at: offset, ..Table::default() };
        for entry in check_frame(file, bytes)?.chunks_exact(ENTRY_LEN) {
            table.producers.push(read_entry(file, entry)?);
        }
        table.producers.sort_unstable_by_key(|producer| producer.0);
        let ids = table.producers.iter().map(|producer| producer.0);
        if let Some((id, _)) = ids.clone().zip(ids.skip(1)).find(|(id, next)| id == next) {
            return Err(SnapshotError::Twice { file, producer_id: id });
        }
        let open = |(id, entry): &(ProducerId, Box<ProducerEntry>)| {
            entry.open_transaction.map(|first| (first, *id))
        };
        table.open = table.producers.iter().filter_map(open).collect();
        table.open.sort_unstable();
        let firsts = table.open.iter().zip(table.open.iter().skip(1));
        if let Some((_, same)) = firsts.into_iter().find(|(open, next)| open.0 == next.0) {
            let reason = "began its transaction where another's begins";
            return Err(SnapshotError::Entry { file, producer_id: same.1, reason });
        }
        let mut states = Self { end_offset: offset, table: Some(Box::new(table)) };
        states.free_if_empty();
        Ok(states)
    }
}

/// The bytes of all entries, after length, version and checksum were found right.
fn check_frame(file: SegmentFile, bytes: &[u8]) -> Result<&[u8], SnapshotError> {
    let mut rest = bytes;
    let len = bytes.len();
    let too_short = SnapshotError::Length { file, len, count: 0 };
    let version = i16::from_be_bytes(take(&mut rest).ok_or(too_short)?);
    if version != VERSION {
        return Err(SnapshotError::Version { file, version });
    }
    let stored = u32::from_be_bytes(take(&mut rest).ok_or(too_short)?);
    let computed = milena_protocol::records::crc32c(rest);
    if stored != computed {
        return Err(SnapshotError::Checksum { file, stored, computed });
    }
    let count = i64::from(i32::from_be_bytes(take(&mut rest).ok_or(too_short)?));
    if usize::try_from(count).ok().and_then(|count| count.checked_mul(ENTRY_LEN))
        != Some(rest.len())
    {
        return Err(SnapshotError::Length { file, len, count });
    }
    Ok(rest)
}

fn write_entry(bytes: &mut Vec<u8>, producer_id: ProducerId, entry: &ProducerEntry) {
    let last = entry.last_batch().unwrap_or(ProducedBatch::NONE);
    bytes.extend(producer_id.0.to_be_bytes());
    bytes.extend(entry.epoch.0.to_be_bytes());
    bytes.extend(last.last_sequence.to_be_bytes());
    bytes.extend(last.last_offset.0.to_be_bytes());
    bytes.extend(last.offset_delta.to_be_bytes());
    bytes.extend(entry.last_timestamp.to_be_bytes());
    bytes.extend(entry.coordinator_epoch.to_be_bytes());
    bytes.extend(entry.open_transaction.map_or(-1, |first| first.0).to_be_bytes());
}

fn read_entry(
    file: SegmentFile,
    bytes: &[u8],
) -> Result<(ProducerId, Box<ProducerEntry>), SnapshotError> {
    let mut rest = bytes;
    let producer_id = ProducerId(i64::from_be_bytes(take(&mut rest).unwrap_or_default()));
    let mut entry = Box::new(ProducerEntry::new(Offset(-1)));
    entry.epoch = ProducerEpoch(i16::from_be_bytes(take(&mut rest).unwrap_or_default()));
    let last_sequence = i32::from_be_bytes(take(&mut rest).unwrap_or_default());
    let last_offset = Offset(i64::from_be_bytes(take(&mut rest).unwrap_or_default()));
    let offset_delta = i32::from_be_bytes(take(&mut rest).unwrap_or_default());
    let timestamp = i64::from_be_bytes(take(&mut rest).unwrap_or_default());
    entry.last_timestamp = timestamp;
    entry.coordinator_epoch = i32::from_be_bytes(take(&mut rest).unwrap_or_default());
    let first = Offset(i64::from_be_bytes(take(&mut rest).unwrap_or_default()));
    entry.open_transaction = (first >= Offset::ZERO).then_some(first);
    let reason = if producer_id.0 < 0 {
        "has a negative id"
    } else if offset_delta < 0 {
        "ends its batch before it begins"
    } else if last_offset >= file.base_offset || first >= file.base_offset {
        "speaks of offsets beyond the snapshot"
    } else {
        if last_offset >= Offset::ZERO {
            entry.push(ProducedBatch { last_sequence, last_offset, offset_delta, timestamp });
        }
        return Ok((producer_id, entry));
    };
    Err(SnapshotError::Entry { file, producer_id, reason })
}
