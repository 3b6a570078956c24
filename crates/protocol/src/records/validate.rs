//! The one pass that a broker makes over what a producer sent for a partition.
//!
//! It owns every rule about the bytes of a batch; what the partition knows (sequences, epochs,
//! transactions) is judged by the log. Nothing is changed here: [`Validated::place`] patches the
//! batch once the log has given it its offsets.

use super::compression::{Budget, Codec, Scratch};
use super::error::{RecordError, RejectedRecords, Rejection};
use super::header::{self, BatchHeader, HEADER_LEN, LOG_OVERHEAD};
use super::source::{InMemory, Source, Streamed};
use super::walk::{WalkError, walk_record};
use crate::{LeaderEpoch, Offset};

/// A timestamp that says there is none.
pub const NO_TIMESTAMP: i64 = -1;
/// Up to here every message format has the same shape: offset, length, epoch or CRC, magic.
const MAGIC_END: usize = 17;
const MAGIC_AT: usize = 16;
/// CRC, magic, attributes and two lengths: less than the smallest message ever.
const LENGTH_MIN_V0: i32 = 14;
/// Producers may send zstd since this version of Produce.
const PRODUCE_VERSION_ZSTD: i16 = 7;

/// Who appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A producer: base offset 0, no control records, sequences where there is a producer id.
    Client,
    /// A coordinator of this broker, which also writes control records.
    Coordinator,
}

/// What `message.timestamp.type` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampRule {
    /// The producer's timestamps count, if they are near enough to now.
    Create { before_max_ms: i64, after_max_ms: i64 },
    /// The broker's clock counts; the producer's timestamps are not looked at.
    Append,
}

/// What the topic and the request ask of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The version of the Produce request.
    pub produce_version: i16,
    /// `max.message.bytes`.
    pub batch_bytes_max: usize,
    /// Whether `cleanup.policy` has `compact`: records must have keys.
    pub is_compacted: bool,
    pub timestamps: TimestampRule,
    pub now_ms: i64,
    pub origin: Origin,
    /// How much a compressed batch may become.
    pub budget: Budget,
}

/// A batch that may be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validated {
    pub header: BatchHeader,
    pub codec: Codec,
    /// The largest timestamp among the records, which the header is made to say; with
    /// [`TimestampRule::Append`] the time of the append.
    pub max_timestamp: i64,
    append_time_ms: Option<i64>,
}

impl Validated {
    /// The offset that Kafka's time index and log have for the batch's largest timestamp: that of
    /// its last record, whichever record has it.
    #[must_use]
    pub const fn offset_of_max_timestamp(&self, base_offset: Offset) -> Offset {
        base_offset.plus(self.header.last_offset_delta as i64)
    }

    /// Whether the topic's `compression.type` is another codec than the batch's.
    #[must_use]
    pub fn needs_recompression(&self, target: Codec) -> bool {
        self.codec != target && !self.header.attributes.is_control()
    }

    /// Patches the batch to stand at `base_offset`; its checksum is counted again only where its
    /// timestamps change.
    pub fn place(&self, batch: &mut [u8], base_offset: Offset, epoch: LeaderEpoch) {
        header::assign(batch, base_offset, epoch);
        match self.append_time_ms {
            Some(now_ms) => header::stamp_append_time(batch, now_ms),
            None if self.max_timestamp != self.header.max_timestamp => {
                header::correct_max_timestamp(batch, self.max_timestamp);
            }
            None => {}
        }
    }
}

/// Judges `records`, which must hold exactly one batch of format v2.
pub fn validate(
    records: &[u8],
    rules: &Rules,
    scratch: &mut Scratch,
) -> Result<Validated, RecordError> {
    let header = frame(records)?;
    let codec_id = header.attributes.codec_id();
    let codec = Codec::from_id(codec_id).ok_or(RecordError::UnknownCodec(codec_id))?;
    if codec == Codec::Zstd && rules.produce_version < PRODUCE_VERSION_ZSTD {
        return Err(RecordError::ZstdTooEarly);
    }
    if rules.origin == Origin::Client && header.base_offset != Offset::ZERO {
        return Err(RecordError::BaseOffset(header.base_offset.0));
    }
    if records.len() > rules.batch_bytes_max {
        return Err(RecordError::TooLarge { size: records.len(), max: rules.batch_bytes_max });
    }
    let actual = header::checksum(records);
    if actual != header.crc {
        return Err(RecordError::Crc { declared: header.crc, actual });
    }
    check_header(&header, rules)?;
    let payload = records.get(HEADER_LEN..).unwrap_or_default();
    let max_timestamp = if codec == Codec::None {
        check_records(InMemory::new(payload, 0), &header, rules)?
    } else {
        let checked = scratch
            .open(codec, payload, rules.budget, true)
            .map_err(RecordError::from)
            .and_then(|stream| check_records(Streamed::new(stream), &header, rules));
        scratch.settle();
        checked?
    };
    let append_time_ms = (rules.timestamps == TimestampRule::Append).then_some(rules.now_ms);
    Ok(Validated {
        header,
        codec,
        max_timestamp: append_time_ms.unwrap_or(max_timestamp),
        append_time_ms,
    })
}

/// Whether `records` are framed as one whole batch of format v2.
fn frame(records: &[u8]) -> Result<BatchHeader, RecordError> {
    let none = RecordError::NoBatch { have: records.len() };
    let Some(start) = records.first_chunk::<MAGIC_END>() else {
        return Err(none);
    };
    let magic = start[MAGIC_AT] as i8;
    let [.., a, b, c, d, _, _, _, _, _] = *start;
    let length = i32::from_be_bytes([a, b, c, d]);
    if length < LENGTH_MIN_V0 {
        return Err(RecordError::Length(length));
    }
    if !(0..=2).contains(&magic) {
        return Err(RecordError::Magic(magic));
    }
    if magic == 2 && (length as usize) < HEADER_LEN - LOG_OVERHEAD {
        return Err(RecordError::Length(length));
    }
    let size = LOG_OVERHEAD + length as usize;
    if size > records.len() {
        return Err(none);
    }
    if magic < 2 {
        return Err(RecordError::OldMagic(magic));
    }
    if size < records.len() {
        return Err(RecordError::BytesBehindBatch(records.len() - size));
    }
    BatchHeader::read(records).map_err(|_| none)
}

fn check_header(header: &BatchHeader, rules: &Rules) -> Result<(), RecordError> {
    let (count, last_offset_delta) = (header.record_count, header.last_offset_delta);
    if count <= 0 || i64::from(count) != i64::from(last_offset_delta) + 1 {
        return Err(RecordError::Count { count, last_offset_delta });
    }
    if header.attributes.has_delete_horizon() {
        return Err(RecordError::DeleteHorizon);
    }
    if header.attributes.is_log_append_time() {
        return Err(RecordError::AppendTime);
    }
    if rules.origin == Origin::Client {
        if header.attributes.is_control() {
            return Err(RecordError::Control);
        }
        if header.has_producer_id() && header.base_sequence < 0 {
            return Err(RecordError::Sequence(header.base_sequence));
        }
    }
    Ok(())
}

/// Walks the records to their exact end and gives their largest timestamp.
#[inline(always)]
fn check_records<S: Source<Error: Into<WalkError>>>(
    mut source: S,
    header: &BatchHeader,
    rules: &Rules,
) -> Result<i64, RecordError> {
    let (min, max) = match rules.timestamps {
        TimestampRule::Create { before_max_ms, after_max_ms } => {
            (rules.now_ms.saturating_sub(before_max_ms), rules.now_ms.saturating_add(after_max_ms))
        }
        TimestampRule::Append => (i64::MIN, i64::MAX),
    };
    let mut largest = NO_TIMESTAMP;
    let mut rejected = None;
    for index in 0..header.record_count {
        let record = walk_record(&mut source).map_err(|error| at_record(index, error))?;
        if record.offset_delta != index {
            let offset_delta = record.offset_delta;
            return Err(RecordError::OffsetDelta { index, offset_delta });
        }
        let timestamp = header.base_timestamp.wrapping_add(record.timestamp_delta);
        largest = largest.max(timestamp);
        if rules.is_compacted && record.key.is_none() {
            RejectedRecords::add(&mut rejected, index, Rejection::NullKey);
        } else if (timestamp < min || timestamp > max) && timestamp != NO_TIMESTAMP {
            let reason = Rejection::Timestamp { timestamp, min, max };
            RejectedRecords::add(&mut rejected, index, reason);
        }
    }
    if !source.is_at_end().map_err(|error| at_record(header.record_count, error))? {
        return Err(RecordError::BytesBehindRecords);
    }
    rejected.map_or(Ok(largest), |rejected| Err(RecordError::Rejected(rejected)))
}

#[cold]
fn at_record(index: i32, error: impl Into<WalkError>) -> RecordError {
    match error.into() {
        WalkError::Framing(error) => RecordError::Framing { index, error },
        WalkError::Codec(error) => error.into(),
    }
}
