//! What was fetched of one partition and not polled yet: answers as they came, read batch by batch.
//!
//! Here checksums are proven, batches decompressed, control batches passed over, and records of
//! aborted transactions left out as Kafka's consumer does. Pure.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use milena_protocol::{
    LeaderEpoch,
    records::{
        Batch, BatchHeader, Budget, ControlType, LegacyError, LegacyMessage, Scratch, magic,
    },
};

use super::{
    super::{
        TopicPartition,
        record::{Piece, Pool, Records},
    },
    legacy::as_batch,
};

/// What batches are read with.
#[derive(Debug, Default)]
pub(crate) struct Tools {
    pub(crate) is_checking: bool,
    pub(crate) scratch: Scratch,
    pub(crate) pool: Arc<Pool>,
}

/// Answers in their order.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    chunks: VecDeque<Chunk>,
    open: Option<Open>,
    bytes: usize,
}

/// The records of one answer.
#[derive(Debug)]
pub(crate) struct Chunk {
    bytes: Bytes,
    at: usize,
    /// Transactions that were aborted, by their first offset, and which of them are open here.
    aborted: VecDeque<(i64, i64)>,
    open_aborted: BTreeSet<i64>,
}

/// A batch that was begun.
#[derive(Debug)]
struct Open {
    header: BatchHeader,
    plain: Bytes,
    position: usize,
    left: usize,
}

/// How far somebody has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) offset: i64,
    pub(super) epoch: LeaderEpoch,
}

impl Chunk {
    /// The records of an answer, with the producers and first offsets of aborted transactions.
    pub(crate) fn new(bytes: Bytes, mut aborted: Vec<(i64, i64)>) -> Self {
        aborted.sort_unstable_by_key(|(_, first)| *first);
        Self { bytes, at: 0, aborted: aborted.into(), open_aborted: BTreeSet::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The offset behind its last whole batch; none if there is no whole one. An answer may end in
    /// the middle of a batch.
    pub(super) fn next_offset(&self) -> Result<Option<i64>, Box<str>> {
        let (mut at, mut next) = (0, None);
        while let Some(whole) = Whole::first(self.bytes.get(at..).unwrap_or_default())? {
            at += whole.len();
            next = Some(whole.last_offset() + 1);
        }
        Ok(next)
    }

    /// The next whole batch that has something from `offset` on.
    fn next_batch(
        &mut self,
        offset: i64,
        scratch: &mut Scratch,
    ) -> Result<Option<Bytes>, Box<str>> {
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let Some(whole) = Whole::first(rest)? else { return Ok(None) };
            let last_offset = whole.last_offset();
            self.at += whole.len();
            let batch = match whole {
                _ if last_offset < offset => None,
                Whole::Batch(batch) => Some(self.bytes.slice_ref(batch.bytes())),
                Whole::Old(message) => Some(as_batch(&message, scratch)?),
            };
            self.begin_aborted(last_offset);
            if batch.is_some() {
                return Ok(batch);
            }
        }
    }

    fn begin_aborted(&mut self, last_offset: i64) {
        while let Some((producer, _)) =
            self.aborted.pop_front_if(|(_, first)| *first <= last_offset)
        {
            self.open_aborted.insert(producer);
        }
    }
}

/// A batch, or a message that was written when there were none.
enum Whole<'b> {
    Batch(Batch<'b>),
    Old(LegacyMessage<'b>),
}

impl<'b> Whole<'b> {
    /// The first one of some bytes; none if there is not all of it.
    fn first(bytes: &'b [u8]) -> Result<Option<Self>, Box<str>> {
        if magic(bytes).is_some_and(|magic| (0..2).contains(&magic)) {
            return match LegacyMessage::read(bytes) {
                Ok(message) => Ok(Some(Self::Old(message))),
                Err(LegacyError::Incomplete { .. }) => Ok(None),
                Err(error) => Err(text(error)),
            };
        }
        match Batch::read(bytes) {
            Ok(batch) => Ok(Some(Self::Batch(batch))),
            Err(error) if error.is_incomplete() => Ok(None),
            Err(error) => Err(text(error)),
        }
    }

    fn last_offset(&self) -> i64 {
        match self {
            Self::Batch(batch) => batch.header().last_offset().0,
            Self::Old(message) => message.offset.0,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Batch(batch) => batch.bytes().len(),
            Self::Old(message) => message.size_in_bytes(),
        }
    }
}

impl Buffer {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.open.is_none()
    }

    pub(super) fn push(&mut self, chunk: Chunk) {
        self.bytes += chunk.bytes.len();
        self.chunks.push_back(chunk);
    }

    /// Moves up to `limit` records from `read` on to `out`, and `read` behind them.
    pub(super) fn take(
        &mut self,
        partition: &TopicPartition,
        read: &mut Read,
        limit: usize,
        tools: &mut Tools,
        out: &mut Records,
    ) -> Result<(), Box<str>> {
        let end = out.len() + limit;
        while out.len() < end {
            if let Some(open) = &mut self.open {
                if open.take(partition, read, end - out.len(), out)? {
                    self.open = None;
                }
                continue;
            }
            let Some(chunk) = self.chunks.front_mut() else { return Ok(()) };
            self.open = chunk.open_next(read, tools)?;
            if self.open.is_none() {
                let read = self.chunks.pop_front();
                self.bytes -= read.map_or(0, |chunk| chunk.bytes.len());
            }
        }
        Ok(())
    }
}

impl Chunk {
    /// Opens the next batch with records that are wanted; `read` moves behind all others.
    fn open_next(&mut self, read: &mut Read, tools: &mut Tools) -> Result<Option<Open>, Box<str>> {
        while let Some(bytes) = self.next_batch(read.offset, &mut tools.scratch)? {
            let batch = if tools.is_checking { Batch::check(&bytes) } else { Batch::read(&bytes) };
            let batch = batch.map_err(text)?;
            let header = *batch.header();
            let (is_control, producer) = (header.attributes.is_control(), header.producer_id.0);
            let is_aborted = !is_control
                && header.attributes.is_transactional()
                && self.open_aborted.contains(&producer);
            if !is_aborted {
                let plain = plain(&bytes, &batch, tools)?;
                if !is_control {
                    let left = usize::try_from(header.record_count).unwrap_or(0);
                    return Ok(Some(Open { header, plain, position: 0, left }));
                }
                if is_abort(&header, &plain) {
                    self.open_aborted.remove(&producer);
                }
            }
            *read = Read { offset: header.next_offset().0, epoch: header.leader_epoch };
        }
        Ok(None)
    }
}

/// The records of a batch, decompressed.
fn plain(bytes: &Bytes, batch: &Batch<'_>, tools: &mut Tools) -> Result<Bytes, Box<str>> {
    if batch.header().attributes.codec_id() == 0 {
        return Ok(bytes.slice_ref(batch.payload()));
    }
    let mut plain = tools.pool.take();
    batch.decompress(&mut tools.scratch, Budget::default(), &mut plain).map_err(text)?;
    Ok(plain.into())
}

fn text(error: impl std::fmt::Display) -> Box<str> {
    error.to_string().into()
}

fn is_abort(header: &BatchHeader, plain: &[u8]) -> bool {
    let first = milena_protocol::records::Records::new(header, plain).next();
    let key = first.and_then(Result::ok).and_then(|record| record.key);
    key.and_then(ControlType::from_key) == Some(ControlType::Abort)
}

impl Open {
    /// Moves records to `out`; true if none is left. Walking proves that they can be read.
    fn take(
        &mut self,
        partition: &TopicPartition,
        read: &mut Read,
        limit: usize,
        out: &mut Records,
    ) -> Result<bool, Box<str>> {
        let mut walk = milena_protocol::records::Records::new(&self.header, &self.plain)
            .part(self.position, self.left);
        let (mut position, mut count) = (self.position, 0);
        while count < limit {
            let before = walk.position();
            let Some(record) = walk.next() else { break };
            let offset = record.map_err(|error| error.to_string())?.offset.0;
            if offset < read.offset {
                position = walk.position();
                continue;
            }
            if count == 0 {
                position = before;
            }
            count += 1;
            read.offset = offset + 1;
        }
        (self.position, self.left) = (walk.position(), walk.left());
        let is_over = self.left == 0;
        if is_over {
            // Compaction may have taken the last records away.
            read.offset = read.offset.max(self.header.next_offset().0);
        }
        read.epoch = self.header.leader_epoch;
        if count > 0 {
            let (header, plain) = (self.header, self.plain.clone());
            out.push(Piece { partition: partition.clone(), header, plain, position, count });
        }
        Ok(is_over)
    }
}
