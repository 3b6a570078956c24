//! The 61 bytes in front of every record batch, and the few of them that a broker may rewrite.
//!
//! Kafka's CRC-32C covers the batch from its attributes on. Base offset, length, leader epoch and
//! magic lie before that, so a broker assigns offsets without touching the checksum; only a
//! change of timestamps makes it count again.

use super::crc::crc32c;
use crate::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

/// Bytes of a batch up to its records.
pub const HEADER_LEN: usize = 61;
/// Bytes before the part that the length field counts: base offset and length itself.
pub const LOG_OVERHEAD: usize = 12;

const LENGTH_AT: usize = 8;
const EPOCH_AT: usize = 12;
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const LAST_DELTA_AT: usize = 23;
const BASE_TIMESTAMP_AT: usize = 27;
const MAX_TIMESTAMP_AT: usize = 35;
const PRODUCER_ID_AT: usize = 43;
const PRODUCER_EPOCH_AT: usize = 51;
const BASE_SEQUENCE_AT: usize = 53;
const COUNT_AT: usize = 57;

/// The magic of the batch or old message at the start of `bytes`: it stands at the same place in
/// every format, so that a walk over an old log knows which one comes next.
#[must_use]
pub fn magic(bytes: &[u8]) -> Option<i8> {
    bytes.get(MAGIC_AT).map(|magic| *magic as i8)
}

/// Why some bytes are not a batch header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("{have} bytes where a batch header needs {HEADER_LEN}")]
    Truncated { have: usize },
    #[error("batch length {0} is below the smallest possible")]
    Length(i32),
    #[error("magic {0} is not 2")]
    Magic(i8),
}

/// What kind of batch it is: compression, kind of timestamp, transactional, control.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub i16);

impl Attributes {
    const COMPRESSION: i16 = 0x07;
    const LOG_APPEND_TIME: i16 = 0x08;
    const TRANSACTIONAL: i16 = 0x10;
    const CONTROL: i16 = 0x20;
    const DELETE_HORIZON: i16 = 0x40;

    /// The codec's number: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
    #[must_use]
    pub const fn codec_id(self) -> i16 {
        self.0 & Self::COMPRESSION
    }
    #[must_use]
    pub const fn is_log_append_time(self) -> bool {
        self.0 & Self::LOG_APPEND_TIME != 0
    }
    #[must_use]
    pub const fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }
    #[must_use]
    pub const fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }
    /// Whether the base timestamp is the time at which tombstones may go.
    #[must_use]
    pub const fn has_delete_horizon(self) -> bool {
        self.0 & Self::DELETE_HORIZON != 0
    }
    #[must_use]
    pub const fn with_codec_id(self, id: i16) -> Self {
        Self((self.0 & !Self::COMPRESSION) | (id & Self::COMPRESSION))
    }
    #[must_use]
    pub const fn with_log_append_time(self, on: bool) -> Self {
        self.with(Self::LOG_APPEND_TIME, on)
    }
    #[must_use]
    pub const fn with_transactional(self, on: bool) -> Self {
        self.with(Self::TRANSACTIONAL, on)
    }
    #[must_use]
    pub const fn with_control(self, on: bool) -> Self {
        self.with(Self::CONTROL, on)
    }
    #[must_use]
    pub const fn with_delete_horizon(self, on: bool) -> Self {
        self.with(Self::DELETE_HORIZON, on)
    }
    const fn with(self, bit: i16, on: bool) -> Self {
        if on { Self(self.0 | bit) } else { Self(self.0 & !bit) }
    }
}

/// The header of one batch, read out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    pub base_offset: Offset,
    /// Bytes after the length field.
    pub length: i32,
    pub leader_epoch: LeaderEpoch,
    pub crc: u32,
    pub attributes: Attributes,
    pub last_offset_delta: i32,
    pub base_timestamp: i64,
    pub max_timestamp: i64,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub base_sequence: i32,
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`; the batch itself may be longer than `bytes`.
    pub fn read(bytes: &[u8]) -> Result<Self, HeaderError> {
        let Some(header) = bytes.first_chunk::<HEADER_LEN>() else {
            return Err(HeaderError::Truncated { have: bytes.len() });
        };
        let length = i32::from_be_bytes(field(header, LENGTH_AT));
        if length < (HEADER_LEN - LOG_OVERHEAD) as i32 {
            return Err(HeaderError::Length(length));
        }
        let [magic] = field(header, MAGIC_AT);
        if magic != 2 {
            return Err(HeaderError::Magic(magic as i8));
        }
        Ok(Self {
            base_offset: Offset(i64::from_be_bytes(field(header, 0))),
            length,
            leader_epoch: LeaderEpoch(i32::from_be_bytes(field(header, EPOCH_AT))),
            crc: u32::from_be_bytes(field(header, CRC_AT)),
            attributes: Attributes(i16::from_be_bytes(field(header, ATTRIBUTES_AT))),
            last_offset_delta: i32::from_be_bytes(field(header, LAST_DELTA_AT)),
            base_timestamp: i64::from_be_bytes(field(header, BASE_TIMESTAMP_AT)),
            max_timestamp: i64::from_be_bytes(field(header, MAX_TIMESTAMP_AT)),
            producer_id: ProducerId(i64::from_be_bytes(field(header, PRODUCER_ID_AT))),
            producer_epoch: ProducerEpoch(i16::from_be_bytes(field(header, PRODUCER_EPOCH_AT))),
            base_sequence: i32::from_be_bytes(field(header, BASE_SEQUENCE_AT)),
            record_count: i32::from_be_bytes(field(header, COUNT_AT)),
        })
    }

    /// The header as bytes, in front of records that somebody builds.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        put(&mut bytes, 0, self.base_offset.0.to_be_bytes());
        put(&mut bytes, LENGTH_AT, self.length.to_be_bytes());
        put(&mut bytes, EPOCH_AT, self.leader_epoch.0.to_be_bytes());
        put(&mut bytes, MAGIC_AT, [2]);
        put(&mut bytes, CRC_AT, self.crc.to_be_bytes());
        put(&mut bytes, ATTRIBUTES_AT, self.attributes.0.to_be_bytes());
        put(&mut bytes, LAST_DELTA_AT, self.last_offset_delta.to_be_bytes());
        put(&mut bytes, BASE_TIMESTAMP_AT, self.base_timestamp.to_be_bytes());
        put(&mut bytes, MAX_TIMESTAMP_AT, self.max_timestamp.to_be_bytes());
        put(&mut bytes, PRODUCER_ID_AT, self.producer_id.0.to_be_bytes());
        put(&mut bytes, PRODUCER_EPOCH_AT, self.producer_epoch.0.to_be_bytes());
        put(&mut bytes, BASE_SEQUENCE_AT, self.base_sequence.to_be_bytes());
        put(&mut bytes, COUNT_AT, self.record_count.to_be_bytes());
        bytes
    }

    /// Bytes of the whole batch on the wire and on disk.
    #[must_use]
    pub const fn size_in_bytes(&self) -> usize {
        LOG_OVERHEAD + self.length as usize
    }

    /// The offset of the batch's last record.
    #[must_use]
    pub const fn last_offset(&self) -> Offset {
        self.base_offset.plus(self.last_offset_delta as i64)
    }

    /// The offset that follows the batch.
    #[must_use]
    pub const fn next_offset(&self) -> Offset {
        self.last_offset().next()
    }

    /// The sequence of the batch's last record; sequences wrap after `i32::MAX` to 0.
    #[must_use]
    pub const fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return self.base_sequence;
        }
        (self.base_sequence as i64 + self.last_offset_delta as i64).rem_euclid(1 << 31) as i32
    }

    #[must_use]
    pub const fn has_producer_id(&self) -> bool {
        self.producer_id.0 > ProducerId::NONE.0
    }
}

/// Assigns a batch its place in the partition; the checksum does not cover these fields.
pub fn assign(batch: &mut [u8], base_offset: Offset, epoch: LeaderEpoch) {
    put(batch, 0, base_offset.0.to_be_bytes());
    put(batch, EPOCH_AT, epoch.0.to_be_bytes());
}

/// Gives a finished batch another producer or sequence and counts its checksum again.
pub fn assign_producer(batch: &mut [u8], id: ProducerId, epoch: ProducerEpoch, sequence: i32) {
    put(batch, PRODUCER_ID_AT, id.0.to_be_bytes());
    put(batch, PRODUCER_EPOCH_AT, epoch.0.to_be_bytes());
    put(batch, BASE_SEQUENCE_AT, sequence.to_be_bytes());
    refresh_crc(batch);
}

/// Stamps a batch with the broker's time (`message.timestamp.type=LogAppendTime`) and counts its
/// checksum again.
pub fn stamp_append_time(batch: &mut [u8], now_ms: i64) {
    let Some(header) = batch.first_chunk::<HEADER_LEN>() else {
        return;
    };
    let attributes = Attributes(i16::from_be_bytes(field(header, ATTRIBUTES_AT)));
    let stamped = attributes.with_log_append_time(true);
    put(batch, ATTRIBUTES_AT, stamped.0.to_be_bytes());
    put(batch, MAX_TIMESTAMP_AT, now_ms.to_be_bytes());
    refresh_crc(batch);
}

/// Makes a batch say its largest timestamp and counts its checksum again.
pub fn correct_max_timestamp(batch: &mut [u8], max_timestamp: i64) {
    put(batch, MAX_TIMESTAMP_AT, max_timestamp.to_be_bytes());
    refresh_crc(batch);
}

/// Counts the checksum of a whole batch again after its covered part changed, and gives it.
pub fn refresh_crc(batch: &mut [u8]) -> u32 {
    let crc = checksum(batch);
    put(batch, CRC_AT, crc.to_be_bytes());
    crc
}

/// The CRC-32C that the whole batch in `batch` ought to carry.
#[must_use]
pub fn checksum(batch: &[u8]) -> u32 {
    crc32c(batch.get(ATTRIBUTES_AT..).unwrap_or_default())
}

fn field<const N: usize>(header: &[u8; HEADER_LEN], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(header.get(at..at + N).unwrap_or(&[0; N]));
    bytes
}

fn put<const N: usize>(batch: &mut [u8], at: usize, bytes: [u8; N]) {
    if let Some(field) = batch.get_mut(at..at + N) {
        field.copy_from_slice(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> BatchHeader {
        BatchHeader {
            base_offset: Offset(7),
            length: 49,
            leader_epoch: LeaderEpoch(3),
            crc: 0,
            attributes: Attributes(0).with_transactional(true),
            last_offset_delta: 4,
            base_timestamp: 1_000,
            max_timestamp: 1_004,
            producer_id: ProducerId(9),
            producer_epoch: ProducerEpoch(1),
            base_sequence: i32::MAX - 1,
            record_count: 5,
        }
    }

    #[test]
    fn reads_what_it_wrote() {
        let mut bytes = header().to_bytes();
        refresh_crc(&mut bytes);
        let read = BatchHeader::read(&bytes).unwrap();
        assert_eq!(read, BatchHeader { crc: checksum(&bytes), ..header() });
        assert_eq!(read.next_offset(), Offset(12));
        assert_eq!(read.last_sequence(), 2, "sequences wrap after i32::MAX to 0");
    }

    #[test]
    fn assigning_leaves_the_checksum_true() {
        let mut bytes = header().to_bytes();
        refresh_crc(&mut bytes);
        assign(&mut bytes, Offset(1 << 40), LeaderEpoch(8));
        let read = BatchHeader::read(&bytes).unwrap();
        assert_eq!((read.base_offset, read.leader_epoch), (Offset(1 << 40), LeaderEpoch(8)));
        assert_eq!(read.crc, checksum(&bytes));
        assign_producer(&mut bytes, ProducerId(10), ProducerEpoch(0), 3);
        let read = BatchHeader::read(&bytes).unwrap();
        assert_eq!((read.producer_id.0, read.producer_epoch.0, read.base_sequence), (10, 0, 3));
        assert_eq!(read.crc, checksum(&bytes));
        stamp_append_time(&mut bytes, 5_000);
        let read = BatchHeader::read(&bytes).unwrap();
        assert!(read.attributes.is_log_append_time() && read.attributes.is_transactional());
        assert_eq!((read.max_timestamp, read.crc), (5_000, checksum(&bytes)));
    }
}
