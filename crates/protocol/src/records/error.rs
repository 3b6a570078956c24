//! Why a producer's batch is refused, as a whole or for some of its records.
//!
//! Every variant names the Kafka error that it stands for; the mapping itself is the broker's.

use super::compression::{Codec, CodecError};
use super::walk::FramingError;

/// How many rejected records of a batch are listed one by one.
pub const REJECTED_RECORDS_MAX: usize = 1_000;

/// Why a batch is refused; the line above each case is Kafka's error for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// `CORRUPT_MESSAGE`
    #[error("batch length {0} is below the smallest possible")]
    Length(i32),
    /// `CORRUPT_MESSAGE`
    #[error("magic {0} is unknown")]
    Magic(i8),
    /// `CORRUPT_MESSAGE`
    #[error("checksum is {actual:#010x} where the batch says {declared:#010x}")]
    Crc { declared: u32, actual: u32 },
    /// `CORRUPT_MESSAGE`
    #[error("broken {codec:?} stream: {why}")]
    Codec { codec: Codec, why: &'static str },
    /// `INVALID_RECORD`
    #[error("no complete batch in {have} bytes")]
    NoBatch { have: usize },
    /// `INVALID_RECORD`
    #[error("{0} bytes behind the one batch that is allowed")]
    BytesBehindBatch(usize),
    /// `INVALID_RECORD`
    #[error("magic {0} is too old for this request")]
    OldMagic(i8),
    /// `INVALID_RECORD`
    #[error("base offset is {0} where a producer sends 0")]
    BaseOffset(i64),
    /// `INVALID_RECORD`
    #[error("{count} records where the last offset delta is {last_offset_delta}")]
    Count { count: i32, last_offset_delta: i32 },
    /// `INVALID_RECORD`
    #[error("producers may not write control records")]
    Control,
    /// `INVALID_RECORD`
    #[error("producers may not set a delete horizon")]
    DeleteHorizon,
    /// `INVALID_RECORD`
    #[error("sequence {0} with a producer id")]
    Sequence(i32),
    /// `INVALID_RECORD`
    #[error("record {index}: {error}")]
    Framing { index: i32, error: FramingError },
    /// `INVALID_RECORD`
    #[error("record {index} has offset delta {offset_delta}")]
    OffsetDelta { index: i32, offset_delta: i32 },
    /// `INVALID_RECORD`
    #[error("bytes behind the last record")]
    BytesBehindRecords,
    /// `INVALID_RECORD`
    #[error("{codec:?} stream holds more than {budget} bytes")]
    OverBudget { codec: Codec, budget: usize },
    /// `MESSAGE_TOO_LARGE`
    #[error("batch of {size} bytes is larger than {max}")]
    TooLarge { size: usize, max: usize },
    /// `UNSUPPORTED_COMPRESSION_TYPE`
    #[error("codec {0} is unknown")]
    UnknownCodec(i16),
    /// `UNSUPPORTED_COMPRESSION_TYPE`
    #[error("zstd needs a newer version of the request")]
    ZstdTooEarly,
    /// `INVALID_TIMESTAMP`
    #[error("producers may not set the append time")]
    AppendTime,
    /// `INVALID_RECORD` or `INVALID_TIMESTAMP`, as the first of them says.
    #[error("{} of its records are rejected", .0.count)]
    Rejected(Box<RejectedRecords>),
}

/// The records for which a batch is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRecords {
    /// The first [`REJECTED_RECORDS_MAX`] of them; never empty.
    pub records: Vec<RejectedRecord>,
    pub count: usize,
}

impl RejectedRecords {
    #[cold]
    pub(super) fn add(rejected: &mut Option<Box<Self>>, index: i32, reason: Rejection) {
        let rejected =
            rejected.get_or_insert_with(|| Box::new(Self { records: Vec::new(), count: 0 }));
        rejected.count += 1;
        if rejected.records.len() < REJECTED_RECORDS_MAX {
            rejected.records.push(RejectedRecord { index, reason });
        }
    }
}

/// One record that is not wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RejectedRecord {
    /// Its place in the batch.
    pub index: i32,
    pub reason: Rejection,
}

/// Why a single record is not wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// `INVALID_RECORD`
    #[error("a compacted topic cannot take a record without key")]
    NullKey,
    /// `INVALID_TIMESTAMP`
    #[error("timestamp {timestamp} is not within [{min}, {max}]")]
    Timestamp { timestamp: i64, min: i64, max: i64 },
}

impl From<CodecError> for RecordError {
    fn from(error: CodecError) -> Self {
        match error {
            CodecError::OverBudget { codec, budget } => Self::OverBudget { codec, budget },
            CodecError::Unknown(id) => Self::UnknownCodec(id),
            CodecError::Corrupt { codec, why } | CodecError::Encode { codec, why } => {
                Self::Codec { codec, why }
            }
        }
    }
}
