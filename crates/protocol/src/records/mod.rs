//! Record batches (format v2): read, validated and patched where they lie.
//!
//! The way of a produced batch: [`validate`] judges it, [`Validated::place`] gives it its offsets.
//! The way of a stored one: [`Batches`] finds it, [`Batch::records`] reads it.

mod batch;
mod builder;
mod compression;
mod control;
mod crc;
mod error;
mod header;
mod legacy;
mod recompress;
mod record;
mod source;
mod validate;
mod varint;
mod walk;

pub use batch::{Batch, BatchError, Batches, Records};
pub use builder::{BatchBuilder, BuildError};
pub use compression::{Budget, Codec, CodecError, Level, Scratch, compress, decompress};
pub use control::{ControlType, EndTransactionMarker};
pub use crc::{crc32c, crc32c_append};
pub use error::{REJECTED_RECORDS_MAX, RecordError, RejectedRecord, RejectedRecords, Rejection};
pub use header::{
    Attributes, BatchHeader, HEADER_LEN, HeaderError, LOG_OVERHEAD, assign, assign_producer,
    checksum, correct_max_timestamp, magic, refresh_crc, stamp_append_time,
};
pub use legacy::{LegacyError, LegacyMessage, LegacyMessages, LegacyRecords};
pub use recompress::recompress;
pub use record::{Header, Headers, Record};
pub use validate::{NO_TIMESTAMP, Origin, Rules, TimestampRule, Validated, validate};
pub use walk::{FramingError, WalkError};
