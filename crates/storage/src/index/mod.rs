//! The three indexes of a segment: offset to position, timestamp to offset, aborted transactions.
//!
//! An index is held as the bytes of its file, so that what is in memory, what is to be written and
//! what is read from a cached file are one thing. Nothing here opens a file: the segment reads and
//! writes. Every index may be lost or rotten (fault 15); whatever breaks the rules of
//! `docs/formats/segment-indexes.md` is a typed error, upon which the segment rebuilds it.

mod offset;
mod time;
mod transaction;

use milena_protocol::Offset;

pub use offset::{OffsetEntries, OffsetIndex, OffsetPosition};
pub use time::{TimeEntries, TimeIndex, TimestampOffset};
pub use transaction::{
    AbortedTransaction, AbortedTransactions, TransactionEntries, TransactionIndex,
};

use crate::names::SegmentFile;

/// Why an index cannot be used, or an entry cannot be added to it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    #[error("{file}: {len} bytes are no multiple of its entries' {entry_len}")]
    Length { file: SegmentFile, len: usize, entry_len: usize },
    #[error("{file}: entry {entry} is corrupt: {reason}")]
    Entry { file: SegmentFile, entry: usize, reason: &'static str },
    #[error("{file}: offset {offset} does not fit behind {last}")]
    OutOfOrder { file: SegmentFile, offset: Offset, last: Offset },
    #[error("{file}: offset {offset} is not within 2^31 of the segment's base")]
    OutOfRange { file: SegmentFile, offset: Offset },
}

/// Entries of `N` bytes and how many of the bytes the file has already.
#[derive(Clone, Debug, Default)]
struct Entries<const N: usize> {
    bytes: Vec<u8>,
    written: usize,
}

impl<const N: usize> Entries<N> {
    /// All of `bytes`, as they stand in the file.
    fn from_file(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), written: bytes.len() }
    }

    fn push(&mut self, entry: [u8; N]) {
        self.bytes.extend_from_slice(&entry);
    }

    fn truncate(&mut self, count: usize) {
        self.bytes.truncate(count * N);
        self.written = self.written.min(self.bytes.len());
    }

    /// Where in the file the unwritten bytes belong, and those bytes.
    fn unwritten(&self) -> (u64, &[u8]) {
        (self.written as u64, self.bytes.get(self.written..).unwrap_or_default())
    }

    fn mark_written(&mut self) {
        self.written = self.bytes.len();
    }
}

/// Entry number `at` of a file made of `N`-byte entries; zeros beyond its end.
fn entry_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let entry = bytes.get(at * N..).and_then(|rest| rest.first_chunk::<N>());
    entry.copied().unwrap_or([0; N])
}

/// `M` bytes of an entry from `at` on; zeros beyond its end.
fn field<const M: usize>(entry: &[u8], at: usize) -> [u8; M] {
    entry_at::<M>(entry.get(at..).unwrap_or_default(), 0)
}

/// Refuses a file that does not consist of whole entries.
fn check_length<const N: usize>(file: SegmentFile, bytes: &[u8]) -> Result<(), IndexError> {
    if bytes.len().is_multiple_of(N) {
        Ok(())
    } else {
        Err(IndexError::Length { file, len: bytes.len(), entry_len: N })
    }
}

/// `bytes` without the entries of zeros at its end, which Kafka leaves when it dies.
fn without_zero_tail<const N: usize>(bytes: &[u8]) -> &[u8] {
    let used = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    bytes.get(..used.next_multiple_of(N)).unwrap_or(bytes)
}

/// How many of `count` sorted entries come before the first for which `is_before` is false.
fn partition_point(count: usize, is_before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low.midpoint(high);
        if is_before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// `offset` as entries hold it: what it is above the segment's base.
fn relative(file: SegmentFile, offset: Offset) -> Result<u32, IndexError> {
    offset
        .0
        .checked_sub(file.base_offset.0)
        .and_then(|relative| i32::try_from(relative).ok())
        .and_then(|relative| u32::try_from(relative).ok())
        .ok_or(IndexError::OutOfRange { file, offset })
}
