//! A batch that lies in a buffer, its records, and the walk over a buffer of batches.
//!
//! This is what followers, readers and recovery use. It proves that bytes are whole and
//! unharmed; whether a producer may write them is `validate`'s question.

use super::compression::{Budget, Codec, CodecError, Scratch};
use super::header::{self, BatchHeader, HEADER_LEN, HeaderError};
use super::record::{self, Bases, Record};
use super::walk::FramingError;
use crate::Offset;

/// Why bytes are not a whole, unharmed batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("{have} bytes of a batch that has {need}")]
    Incomplete { have: usize, need: usize },
    #[error("checksum is {actual:#010x} where the batch says {declared:#010x}")]
    Crc { declared: u32, actual: u32 },
    #[error("{count} records from offset {base_offset} with last delta {last_offset_delta}")]
    Offsets { base_offset: Offset, last_offset_delta: i32, count: i32 },
}

impl BatchError {
    /// Whether more bytes could make a batch of it: a tail that is torn, or not read yet.
    #[must_use]
    pub const fn is_incomplete(&self) -> bool {
        matches!(self, Self::Incomplete { .. } | Self::Header(HeaderError::Truncated { .. }))
    }
}

/// One whole batch in a buffer.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    header: BatchHeader,
    bytes: &'a [u8],
}

impl<'a> Batch<'a> {
    /// The batch at the start of `bytes`, without a look at its checksum.
    pub fn read(bytes: &'a [u8]) -> Result<Self, BatchError> {
        let header = BatchHeader::read(bytes)?;
        let need = header.size_in_bytes();
        let bytes = bytes.get(..need).ok_or(BatchError::Incomplete { have: bytes.len(), need })?;
        Ok(Self { header, bytes })
    }

    /// The batch at the start of `bytes`, with its checksum and offsets proven: what a follower
    /// asks of what its leader sent, and recovery of what the disk kept.
    pub fn check(bytes: &'a [u8]) -> Result<Self, BatchError> {
        let batch = Self::read(bytes)?;
        let BatchHeader { base_offset, last_offset_delta, record_count: count, crc, .. } =
            batch.header;
        let actual = header::checksum(batch.bytes);
        if actual != crc {
            return Err(BatchError::Crc { declared: crc, actual });
        }
        // Compaction takes records away and leaves the range, so there may be fewer than its size.
        let is_sane = base_offset.0.checked_add(i64::from(last_offset_delta)).is_some()
            && base_offset.0 >= 0
            && last_offset_delta >= 0
            && (0..=i64::from(last_offset_delta) + 1).contains(&i64::from(count));
        if !is_sane {
            return Err(BatchError::Offsets { base_offset, last_offset_delta, count });
        }
        Ok(batch)
    }

    #[must_use]
    pub const fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch, header and all.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What follows the header: the records, perhaps compressed.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.bytes.get(HEADER_LEN..).unwrap_or_default()
    }

    /// The records, decompressed into `scratch` where they must be.
    pub fn records<'s>(
        &self,
        scratch: &'s mut Scratch,
        budget: Budget,
    ) -> Result<Records<'s>, CodecError>
    where
        'a: 's,
    {
        let plain = match self.codec()? {
            Codec::None => self.payload(),
            codec => scratch.decompress(codec, self.payload(), budget, true)?,
        };
        Ok(Records::new(&self.header, plain))
    }

    /// Appends the records as they are when nothing is compressed: for whoever keeps them longer
    /// than a scratch. [`Records::new`] reads them.
    pub fn decompress(
        &self,
        scratch: &mut Scratch,
        budget: Budget,
        plain: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        scratch.decompress_to(self.codec()?, self.payload(), budget, true, plain)
    }

    fn codec(&self) -> Result<Codec, CodecError> {
        let id = self.header.attributes.codec_id();
        Codec::from_id(id).ok_or(CodecError::Unknown(id))
    }
}

/// The records of one batch. It ends after the first error.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
    left: i32,
    bases: Bases,
}

impl<'a> Records<'a> {
    /// The records of a batch with this header, from bytes that are not compressed any more.
    #[must_use]
    pub fn new(header: &BatchHeader, plain: &'a [u8]) -> Self {
        let bases = Bases {
            offset: header.base_offset,
            timestamp: header.base_timestamp,
            append_time: header.attributes.is_log_append_time().then_some(header.max_timestamp),
        };
        Self { bytes: plain, at: 0, left: header.record_count.max(0), bases }
    }

    /// How many more records there are, if the batch is right about it.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.left as usize
    }

    /// Where in the bytes the next record begins.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// The same records from here on, as many as `count`, if `position` was told here.
    #[must_use]
    pub fn part(mut self, position: usize, count: usize) -> Self {
        self.at = position;
        self.left = i32::try_from(count).unwrap_or(i32::MAX);
        self
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, FramingError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        match record::read(self.bytes, self.at, self.bases) {
            Ok((record, next)) => {
                (self.at, self.left) = (next, self.left - 1);
                Some(Ok(record))
            }
            Err(error) => {
                self.left = 0;
                Some(Err(error))
            }
        }
    }
}

/// Walks the batches of a buffer from its start, and remembers where and why it stopped.
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    bytes: &'a [u8],
    at: usize,
    is_checking: bool,
    stopped: Option<BatchError>,
}

impl<'a> Batches<'a> {
    /// Reads headers only, as a look-up does.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, is_checking: false, stopped: None }
    }

    /// Proves every batch with [`Batch::check`], as recovery does.
    #[must_use]
    pub const fn checking(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, is_checking: true, stopped: None }
    }

    /// Where the next batch begins: after the walk, where the last good one ends.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// Why the walk ended before the end of the buffer.
    #[must_use]
    pub const fn stopped(&self) -> Option<BatchError> {
        self.stopped
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Batch<'a>;

    fn next(&mut self) -> Option<Batch<'a>> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.is_empty() || self.stopped.is_some() {
            return None;
        }
        match if self.is_checking { Batch::check(rest) } else { Batch::read(rest) } {
            Ok(batch) => {
                self.at += batch.bytes.len();
                Some(batch)
            }
            Err(error) => {
                self.stopped = Some(error);
                None
            }
        }
    }
}
