//! Builds batches: for clients, for coordinators, for control records and for compaction.

use super::compression::{Codec, CodecError, Level, compress};
use super::header::{self, Attributes, BatchHeader, HEADER_LEN, LOG_OVERHEAD};
use super::record::{Header, Record};
use super::validate::NO_TIMESTAMP;
use super::varint::{VARLONG_LEN_MAX, len_i64, write_i32, write_i64};
use crate::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

/// Why a batch cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error("{0} bytes do not fit in a batch")]
    TooLarge(usize),
    #[error("offset {0} lies outside of the batch")]
    Offset(Offset),
}

/// Gathers records and writes them as one batch.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    header: BatchHeader,
    codec: Codec,
    level: Level,
    /// The batch as it will be: room for the header, then the records. Empty before the first one.
    bytes: Vec<u8>,
    has_base_timestamp: bool,
    /// What an empty batch says, whose records were all compacted away.
    max_timestamp_if_empty: i64,
}

impl BatchBuilder {
    /// An empty batch, uncompressed and without a producer.
    #[must_use]
    pub const fn new(base_offset: Offset) -> Self {
        let header = BatchHeader {
            base_offset,
            length: 0,
            leader_epoch: LeaderEpoch::UNKNOWN,
            crc: 0,
            attributes: Attributes(0),
            last_offset_delta: -1,
            base_timestamp: NO_TIMESTAMP,
            max_timestamp: NO_TIMESTAMP,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
            base_sequence: -1,
            record_count: 0,
        };
        let (codec, level) = (Codec::None, None);
        Self {
            header,
            codec,
            level,
            bytes: Vec::new(),
            has_base_timestamp: false,
            max_timestamp_if_empty: NO_TIMESTAMP,
        }
    }

    /// A batch in the place of `old`, which keeps everything but the records: its offsets, its
    /// producer and sequence, its attributes. Compaction uses it, so it may stay empty.
    #[must_use]
    pub fn in_place_of(old: &BatchHeader) -> Self {
        let codec = Codec::from_id(old.attributes.codec_id()).unwrap_or(Codec::None);
        let mut header = BatchHeader { record_count: 0, max_timestamp: NO_TIMESTAMP, ..*old };
        if old.attributes.is_log_append_time() {
            header.max_timestamp = old.max_timestamp;
        }
        let has_base_timestamp = old.attributes.has_delete_horizon();
        Self {
            header,
            codec,
            level: None,
            bytes: Vec::new(),
            has_base_timestamp,
            max_timestamp_if_empty: old.max_timestamp,
        }
    }

    /// Makes room for so many bytes of the whole batch, so that it need not grow.
    #[must_use]
    pub fn with_capacity(mut self, bytes: usize) -> Self {
        self.bytes = Vec::with_capacity(bytes);
        self
    }

    #[must_use]
    pub const fn with_codec(mut self, codec: Codec, level: Level) -> Self {
        (self.codec, self.level) = (codec, level);
        self
    }

    #[must_use]
    pub const fn with_leader_epoch(mut self, epoch: LeaderEpoch) -> Self {
        self.header.leader_epoch = epoch;
        self
    }

    /// An idempotent producer; `base_sequence` is that of the first record.
    #[must_use]
    pub const fn with_producer(
        mut self,
        id: ProducerId,
        epoch: ProducerEpoch,
        base_sequence: i32,
    ) -> Self {
        self.header.producer_id = id;
        self.header.producer_epoch = epoch;
        self.header.base_sequence = base_sequence;
        self
    }

    #[must_use]
    pub const fn with_transactional(mut self) -> Self {
        self.header.attributes = self.header.attributes.with_transactional(true);
        self
    }

    #[must_use]
    pub const fn with_control(mut self) -> Self {
        self.header.attributes = self.header.attributes.with_control(true);
        self
    }

    /// All records get this time (`LogAppendTime`).
    #[must_use]
    pub const fn with_append_time(mut self, now_ms: i64) -> Self {
        self.header.attributes = self.header.attributes.with_log_append_time(true);
        self.header.max_timestamp = now_ms;
        self
    }

    /// When tombstones and markers of the batch may go; stands in the base timestamp's place.
    #[must_use]
    pub const fn with_delete_horizon(mut self, horizon_ms: i64) -> Self {
        self.header.attributes = self.header.attributes.with_delete_horizon(true);
        self.header.base_timestamp = horizon_ms;
        self.has_base_timestamp = true;
        self
    }

    /// Adds a record at the next offset.
    pub fn append<'h>(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl IntoIterator<Item = Header<'h>, IntoIter: Clone>,
    ) {
        let delta = self.header.last_offset_delta.saturating_add(1);
        self.header.last_offset_delta = delta;
        self.write(delta, timestamp, key, value, headers.into_iter());
    }

    /// Adds a record that keeps its offset, as compaction does; the batch must span it.
    pub fn append_record(&mut self, record: &Record<'_>) -> Result<(), BuildError> {
        let delta = record.offset.0.wrapping_sub(self.header.base_offset.0);
        let delta = i32::try_from(delta).map_err(|_| BuildError::Offset(record.offset))?;
        if !(0..=self.header.last_offset_delta).contains(&delta) {
            return Err(BuildError::Offset(record.offset));
        }
        self.write(delta, record.timestamp, record.key, record.value, record.headers);
        Ok(())
    }

    fn write<'h>(
        &mut self,
        offset_delta: i32,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = Header<'h>> + Clone,
    ) {
        let header = &mut self.header;
        if !self.has_base_timestamp {
            header.base_timestamp = timestamp;
            self.has_base_timestamp = true;
        }
        if !header.attributes.is_log_append_time() {
            header.max_timestamp = header.max_timestamp.max(timestamp);
        }
        header.record_count += 1;
        let timestamp_delta = timestamp.wrapping_sub(header.base_timestamp);
        let header_count = headers.clone().count();
        let headers_len: usize = headers
            .clone()
            .map(|header| field_len(Some(header.key)) + field_len(header.value))
            .sum();
        let len = 1
            + len_i64(timestamp_delta)
            + len_i64(i64::from(offset_delta))
            + field_len(key)
            + field_len(value)
            + len_i64(header_count as i64)
            + headers_len;
        let out = &mut self.bytes;
        if out.is_empty() {
            out.resize(HEADER_LEN, 0);
        }
        write_i64(out, len as i64);
        out.push(0);
        write_i64(out, timestamp_delta);
        write_i32(out, offset_delta);
        write_field(out, key);
        write_field(out, value);
        write_i64(out, header_count as i64);
        for header in headers {
            write_field(out, Some(header.key));
            write_field(out, header.value);
        }
    }

    /// Bytes of the records before compression.
    #[must_use]
    pub fn plain_len(&self) -> usize {
        self.bytes.len().saturating_sub(HEADER_LEN)
    }

    /// Bytes of memory that the batch takes.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Makes room for so many bytes of the whole batch, and for no more than that.
    pub fn grow_to(&mut self, bytes: usize) {
        self.bytes.reserve_exact(bytes.saturating_sub(self.bytes.len()));
    }

    /// More than a record can take in a batch, headers aside.
    #[must_use]
    pub fn record_len_max(key: Option<&[u8]>, value: Option<&[u8]>) -> usize {
        const LENGTHS: usize = 4 * 5;
        const ATTRIBUTES: usize = 1;
        LENGTHS
            + ATTRIBUTES
            + VARLONG_LEN_MAX
            + 5
            + key.map_or(0, <[u8]>::len)
            + value.map_or(0, <[u8]>::len)
    }

    #[must_use]
    pub const fn record_count(&self) -> i32 {
        self.header.record_count
    }

    fn records(&self) -> &[u8] {
        self.bytes.get(HEADER_LEN..).unwrap_or_default()
    }

    /// The batch itself. If it is not compressed it stays where its records were written.
    pub fn finish(mut self) -> Result<Vec<u8>, BuildError> {
        if self.codec == Codec::None && self.header.record_count > 0 {
            place_header(&self.header, &mut self.bytes)?;
            return Ok(self.bytes);
        }
        let mut out = Vec::with_capacity(HEADER_LEN + self.plain_len() / 2);
        self.build(&mut out)?;
        Ok(out)
    }

    /// Writes the batch behind what `out` holds.
    pub fn build(&self, out: &mut Vec<u8>) -> Result<BatchHeader, BuildError> {
        if self.header.record_count > 0 {
            return write_batch(&self.header, self.codec, self.level, self.records(), out);
        }
        let empty = BatchHeader {
            attributes: self.header.attributes.with_delete_horizon(false),
            base_timestamp: NO_TIMESTAMP,
            max_timestamp: self.max_timestamp_if_empty,
            ..self.header
        };
        write_batch(&empty, Codec::None, None, &[], out)
    }
}

/// Writes a batch of records that are already framed.
pub(super) fn write_batch(
    header: &BatchHeader,
    codec: Codec,
    level: Level,
    records: &[u8],
    out: &mut Vec<u8>,
) -> Result<BatchHeader, BuildError> {
    if records.len() > i32::MAX as usize - HEADER_LEN {
        return Err(BuildError::TooLarge(records.len()));
    }
    let start = out.len();
    let attributes = header.attributes.with_codec_id(codec.id());
    out.extend_from_slice(&[0; HEADER_LEN]);
    compress(codec, level, records, out)?;
    let header = BatchHeader { attributes, ..*header };
    place_header(&header, out.get_mut(start..).unwrap_or_default())
}

/// Writes the header in front of the records of a batch that is otherwise complete.
fn place_header(header: &BatchHeader, batch: &mut [u8]) -> Result<BatchHeader, BuildError> {
    let length =
        i32::try_from(batch.len() - LOG_OVERHEAD).map_err(|_| BuildError::TooLarge(batch.len()))?;
    let mut header = BatchHeader { length, ..*header };
    if let Some(place) = batch.first_chunk_mut::<HEADER_LEN>() {
        *place = header.to_bytes();
    }
    header.crc = header::refresh_crc(batch);
    Ok(header)
}

fn field_len(field: Option<&[u8]>) -> usize {
    field.map_or(1, |bytes| len_i64(bytes.len() as i64) + bytes.len())
}

fn write_field(out: &mut Vec<u8>, field: Option<&[u8]>) {
    match field {
        None => write_i32(out, -1),
        Some(bytes) => {
            write_i64(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
    }
}
