//! Records as `poll` gives them: batches that hold on to the fetched bytes, and records that borrow
//! from them. Decompressed batches go back to a pool when nobody reads them any more.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use milena_protocol::records::{self, BatchHeader};

use super::TopicPartition;

/// How many buffers for decompressed batches wait to be used again, and how large one may be.
const POOL_BUFFERS_MAX: usize = 32;
const POOL_BUFFER_BYTES_MAX: usize = 4 << 20;

/// What one `poll` has brought. It can be kept, sent away, and read more than once.
#[derive(Debug, Default)]
pub struct Records {
    pieces: Vec<Piece>,
    count: usize,
    pool: Arc<Pool>,
}

/// Some records of one batch. Their framing was proven when they were taken.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) partition: TopicPartition,
    pub(super) header: BatchHeader,
    /// All records of the batch, decompressed.
    pub(super) plain: Bytes,
    /// Where the first one begins that is meant, and how many are.
    pub(super) position: usize,
    pub(super) count: usize,
}

/// A record that borrows the bytes that were fetched.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Record<'r> {
    /// Where it was read.
    pub partition: &'r TopicPartition,
    /// Its place there.
    pub offset: i64,
    /// Milliseconds since 1970: when it was made, or when it was written, as the topic wants it.
    pub timestamp: i64,
    /// The leader epoch in which it was written, if it is known.
    pub leader_epoch: Option<i32>,
    /// What it is about.
    pub key: Option<&'r [u8]>,
    /// What it says; nothing if what the key is about is gone.
    pub value: Option<&'r [u8]>,
    headers: records::Headers<'r>,
    source: &'r Bytes,
}

/// A header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'r> {
    /// Its name.
    pub key: &'r [u8],
    /// Its value.
    pub value: Option<&'r [u8]>,
}

/// A record that stands for itself. Its bytes are those that were fetched: keeping one keeps its
/// whole batch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OwnedRecord {
    /// Where it was read.
    pub partition: TopicPartition,
    /// Its place there.
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// The leader epoch in which it was written, if it is known.
    pub leader_epoch: Option<i32>,
    /// What it is about.
    pub key: Option<Bytes>,
    /// What it says.
    pub value: Option<Bytes>,
    /// Its headers, in their order.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

impl Records {
    pub(super) fn new(pool: &Arc<Pool>) -> Self {
        Self { pieces: Vec::new(), count: 0, pool: Arc::clone(pool) }
    }

    pub(super) fn push(&mut self, piece: Piece) {
        self.count += piece.count;
        self.pieces.push(piece);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether nothing came in time.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All of them: those of one partition in their order.
    pub fn iter(&self) -> Iter<'_> {
        Iter { pieces: self.pieces.iter(), current: None }
    }

    /// The partitions of which there are some.
    pub fn partitions(&self) -> impl Iterator<Item = &TopicPartition> {
        let all: BTreeSet<_> = self.pieces.iter().map(|piece| &piece.partition).collect();
        all.into_iter()
    }

    /// Those of one partition.
    pub fn of<'r>(&'r self, partition: &TopicPartition) -> impl Iterator<Item = Record<'r>> {
        let pieces = self.pieces.iter().filter(move |piece| piece.partition == *partition);
        pieces.flat_map(Piece::records)
    }

    /// How many bytes their keys, values and headers take, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.pieces.iter().map(Piece::bytes).sum()
    }
}

impl<'r> IntoIterator for &'r Records {
    type Item = Record<'r>;
    type IntoIter = Iter<'r>;

    fn into_iter(self) -> Iter<'r> {
        self.iter()
    }
}

/// Walks over records.
#[derive(Clone, Debug)]
pub struct Iter<'r> {
    pieces: std::slice::Iter<'r, Piece>,
    current: Option<(&'r Piece, records::Records<'r>)>,
}

impl<'r> Iterator for Iter<'r> {
    type Item = Record<'r>;

    #[inline]
    fn next(&mut self) -> Option<Record<'r>> {
        loop {
            if let Some((piece, records)) = &mut self.current
                && let Some(Ok(record)) = records.next()
            {
                return Some(piece.record(record));
            }
            let piece = self.pieces.next()?;
            self.current = Some((piece, piece.walk()));
        }
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        // Only what was decompressed; the others are parts of answers.
        let decompressed = self.pieces.drain(..).filter(|it| it.header.attributes.codec_id() != 0);
        self.pool.give_back(decompressed.map(|piece| piece.plain));
    }
}

impl Piece {
    /// What lies between the first meant record and the end of the batch, if all are meant.
    fn bytes(&self) -> usize {
        let all = usize::try_from(self.header.record_count).unwrap_or(0).max(1);
        self.plain.len() / all * self.count
    }

    fn walk(&self) -> records::Records<'_> {
        records::Records::new(&self.header, &self.plain).part(self.position, self.count)
    }

    #[inline]
    fn record<'r>(&'r self, record: records::Record<'r>) -> Record<'r> {
        Record {
            partition: &self.partition,
            offset: record.offset.0,
            timestamp: record.timestamp,
            leader_epoch: super::types::known(self.header.leader_epoch),
            key: record.key,
            value: record.value,
            headers: record.headers,
            source: &self.plain,
        }
    }

    fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.walk().filter_map(Result::ok).map(|record| self.record(record))
    }
}

impl<'r> Record<'r> {
    /// The topic's name.
    #[must_use]
    pub fn topic(&self) -> &'r str {
        &self.partition.topic
    }

    /// The headers, in their order.
    pub fn headers(&self) -> impl ExactSizeIterator<Item = Header<'r>> + use<'r> {
        self.headers.map(|header| Header { key: header.key, value: header.value })
    }

    /// The record by itself, without a copy of its bytes.
    #[must_use]
    pub fn to_owned(&self) -> OwnedRecord {
        let slice = |part: &[u8]| self.source.slice_ref(part);
        OwnedRecord {
            partition: self.partition.clone(),
            offset: self.offset,
            timestamp: self.timestamp,
            leader_epoch: self.leader_epoch,
            key: self.key.map(slice),
            value: self.value.map(slice),
            headers: self.headers().map(|it| (slice(it.key), it.value.map(slice))).collect(),
        }
    }
}

/// Buffers for decompressed batches.
#[derive(Debug, Default)]
pub(super) struct Pool {
    buffers: Mutex<Vec<Vec<u8>>>,
}

impl Pool {
    pub(super) fn take(&self) -> Vec<u8> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Takes back what nobody else holds.
    fn give_back(&self, buffers: impl Iterator<Item = Bytes>) {
        for bytes in buffers {
            let Ok(buffer) = bytes.try_into_mut() else { continue };
            let mut buffer = Vec::from(buffer);
            let mut waiting = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.len() < POOL_BUFFERS_MAX && buffer.capacity() <= POOL_BUFFER_BYTES_MAX {
                buffer.clear();
                waiting.push(buffer);
            }
        }
    }
}
