//! One record and its headers, borrowing from the batch.

use super::source::{InMemory, Source};
use super::walk::{FramingError, Span, nullable, walk_record};
use crate::Offset;

/// One record of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub offset: Offset,
    /// Milliseconds since 1970, or -1.
    pub timestamp: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: Headers<'a>,
}

/// One header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    pub key: &'a [u8],
    pub value: Option<&'a [u8]>,
}

/// The headers of a record, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers<'a> {
    /// Was walked when the record was read, so that nothing can be wrong with it.
    bytes: &'a [u8],
    left: usize,
}

impl Headers<'_> {
    pub(super) const NONE: Self = Self { bytes: &[], left: 0 };
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        self.left = self.left.checked_sub(1)?;
        let mut source = InMemory::new(self.bytes, 0);
        let key = nullable(&mut source).ok().flatten()?;
        let value = nullable(&mut source).ok()?;
        let header = Header {
            key: slice(self.bytes, key).ok()?,
            value: value.and_then(|value| slice(self.bytes, value).ok()),
        };
        self.bytes = self.bytes.get(source.position()..)?;
        Some(header)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Headers<'_> {}

/// What a batch's header says about all its records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bases {
    pub(super) offset: Offset,
    pub(super) timestamp: i64,
    /// Stands for every record's timestamp.
    pub(super) append_time: Option<i64>,
}

/// Reads the record at `at` and tells where the next one begins.
pub(super) fn read(
    bytes: &[u8],
    at: usize,
    bases: Bases,
) -> Result<(Record<'_>, usize), FramingError> {
    let walked = walk_record(&mut InMemory::new(bytes, at))?;
    let field = |span: Option<Span>| span.map(|span| slice(bytes, span)).transpose();
    let headers = Span { start: walked.headers_start, end: walked.end };
    let timestamp = bases.timestamp.wrapping_add(walked.timestamp_delta);
    let record = Record {
        offset: bases.offset.plus(i64::from(walked.offset_delta)),
        timestamp: bases.append_time.unwrap_or(timestamp),
        key: field(walked.key)?,
        value: field(walked.value)?,
        headers: Headers { bytes: slice(bytes, headers)?, left: walked.header_count as usize },
    };
    Ok((record, walked.end))
}

fn slice(bytes: &[u8], span: Span) -> Result<&[u8], FramingError> {
    bytes.get(span.start..span.end).ok_or(FramingError::Truncated)
}
