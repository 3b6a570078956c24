//! Record batches (format v2): read, validated and patched where they lie.

mod header;

pub use header::{
    Attributes, BatchHeader, HEADER_LEN, HeaderError, LOG_OVERHEAD, assign, checksum, refresh_crc,
    stamp_append_time,
};
