//! Reading: which bytes answer a fetch, as a plan of file ranges and pieces of memory. Nothing is
//! copied here, and nothing waits for an append.

use std::sync::Arc;

use bytes::Bytes;
use milena_env::DiskFile;
use milena_protocol::Offset;

use super::{Log, Segments};
use crate::{
    error::StorageError,
    index::OffsetPosition,
    names::FileKind,
    segment::{
        OpenSegment, Segment,
        scan::{End, Scanned, Scanner},
    },
};

/// How often a read starts anew when batches moved from memory to a file under its eyes.
const TRIES: usize = 4;

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("offset {offset} is not within {start} and {end}")]
    OutOfRange { offset: Offset, start: Offset, end: Offset },
}

/// Some bytes of a log, in order.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Piece {
    /// A range of a segment's file, for `sendfile` or a read.
    File { file: Arc<dyn DiskFile>, position: u64, len: usize },
    /// One batch that is still in memory.
    Memory(Bytes),
}

/// What answers a read: whole batches, the first of which holds or follows the wanted offset; the
/// last may be cut where the reader's limit cut it.
#[derive(Clone, Debug, Default)]
pub struct ReadPlan {
    pub pieces: Vec<Piece>,
    pub len: usize,
    /// The segment that its file is of, and how often the log had been cut.
    pub(super) source: Option<(Arc<Segment>, u64)>,
}

impl ReadPlan {
    fn push_file(&mut self, open: &OpenSegment, position: u64, len: usize) {
        self.len += len;
        self.pieces.push(Piece::File { file: Arc::clone(&open.file), position, len });
    }

    fn push_memory(&mut self, bytes: Bytes) {
        self.len += bytes.len();
        self.pieces.push(Piece::Memory(bytes));
    }

    /// All bytes of the plan, copied: for those who look into batches rather than send them.
    pub fn read(&self) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(self.len);
        for piece in &self.pieces {
            match piece {
                Piece::Memory(memory) => bytes.extend_from_slice(memory),
                Piece::File { file, position, len } => {
                    let from = bytes.len();
                    bytes.resize(from + len, 0);
                    let into = bytes.get_mut(from..).unwrap_or_default();
                    file.read_exact_at(into, *position)?;
                }
            }
        }
        Ok(bytes)
    }
}

/// How much a reader takes.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub bytes_max: usize,
    /// The first batch is given even where it is larger than that.
    pub at_least_one: bool,
}

impl Log {
    /// The batches from `from` on and below `bound`: the high watermark, the last stable offset or,
    /// for a follower, the log's end.
    pub fn read(&self, from: Offset, bound: Offset, limit: Limit) -> Result<ReadPlan, ReadError> {
        for tries_left in (0..TRIES).rev() {
            let (start, end) = (self.start_offset(), self.appended_end());
            if from < start || from > end {
                return Err(ReadError::OutOfRange { offset: from, start, end });
            }
            let bound = bound.min(end);
            if from >= bound {
                break;
            }
            let mut plan = ReadPlan::default();
            if self.plan_memory(from, bound, limit, None, &mut plan) {
                return Ok(plan);
            }
            let segments = self.segments.load_full();
            let written = self.written_end();
            match self.plan_file(&segments, from, bound, limit, &mut plan) {
                // More has come into the file than was looked at, and is in memory no more.
                Ok(Reached::Moved) if tries_left > 0 => continue,
                Ok(_) if !plan.pieces.is_empty() => return Ok(plan),
                Ok(_) => {}
                // Retention took the segment away, and the next look says that it is out of range;
                // or compaction did, and the next look finds another in its place.
                Err(error) if !Arc::ptr_eq(&segments, &self.segments.load()) => drop(error),
                Err(error) => return Err(error.into()),
            }
            // Nothing in any file: records between `from` and the tail were compacted away.
            if self.plan_gap(from, bound, limit, written, &mut plan) {
                return Ok(plan);
            }
        }
        Ok(ReadPlan::default())
    }

    /// Adds batches from the tail: those that follow `behind` (segment and position), or else those
    /// from the one that holds `from`. Says whether there were any.
    fn plan_memory(
        &self,
        from: Offset,
        bound: Offset,
        limit: Limit,
        behind: Option<(Offset, u64)>,
        plan: &mut ReadPlan,
    ) -> bool {
        let mut any = false;
        // Whether the tail reaches back to `from`, so that what is not in it is nowhere.
        let mut covers = false;
        let mut next = behind;
        self.tail.visit_from(Offset::ZERO, |batch| {
            if batch.next_offset <= from {
                covers = true;
                return true;
            }
            let fits = match next {
                Some((segment, position)) => {
                    let at = (batch.segment, u64::from(batch.position));
                    if at < (segment, position) {
                        return true;
                    }
                    at == (segment, position)
                }
                None => any || covers || batch.base_offset <= from,
            };
            let is_first = plan.pieces.is_empty() && limit.at_least_one;
            let has_room = plan.len + batch.bytes.len() <= limit.bytes_max || is_first;
            if !fits || !has_room || batch.next_offset > bound {
                return false;
            }
            plan.push_memory(batch.bytes.clone());
            next = next.map(|(segment, at)| (segment, at + batch.bytes.len() as u64));
            any = true;
            true
        });
        any
    }

    /// Adds the tail from its first batch on, where `from` lies in a gap between it and the files,
    /// which ended at `written` when they were looked into.
    fn plan_gap(
        &self,
        from: Offset,
        bound: Offset,
        limit: Limit,
        written: Offset,
        plan: &mut ReadPlan,
    ) -> bool {
        let first = self.tail.first_offset();
        // Batches leave the tail only after the files' end has moved.
        let has_moved = self.written_end() != written;
        match first {
            Some(first) if first > from && !has_moved => {
                self.plan_memory(first, bound, limit, None, plan)
            }
            _ => false,
        }
    }

    /// Adds a range of the segment that holds `from`, and what of the tail lies right behind it.
    fn plan_file(
        &self,
        segments: &Segments,
        from: Offset,
        bound: Offset,
        limit: Limit,
        plan: &mut ReadPlan,
    ) -> Result<Reached, StorageError> {
        let first = segments.partition_point(|s| s.base_offset() <= from).saturating_sub(1);
        for (index, segment) in segments.iter().enumerate().skip(first) {
            let written = segment.written();
            if written == 0 {
                continue;
            }
            let open = self.shared.files.get(segment)?;
            let Some(batch) = find(&open, segment, from, written)? else { continue };
            if batch.base_offset() > from && batch.header.is_some() {
                self.prove_gap(segments.get(first..=index).unwrap_or_default(), from, &batch)?;
            }
            if batch.base_offset() >= bound {
                return Ok(Reached::All);
            }
            let next_base = segments.get(index + 1).map(|s| s.base_offset());
            let is_whole = next_base.map_or(self.ends.writing(), |base| base) <= bound;
            let end = if is_whole {
                written
            } else {
                find(&open, segment, bound, written)?.map_or(written, |beyond| beyond.position)
            };
            let available = end.saturating_sub(batch.position);
            let mut len = available.min(limit.bytes_max as u64);
            if len < batch.size && limit.at_least_one {
                len = batch.size.min(available);
            }
            if len > 0 {
                plan.push_file(&open, batch.position, len as usize);
                plan.source = Some((Arc::clone(segment), self.ends.cuts()));
            }
            if batch.position + len < written {
                return Ok(Reached::All);
            }
            let behind = Some((segment.base_offset(), written));
            let has_more = is_whole && self.plan_memory(from, bound, limit, behind, plan);
            let has_moved = !has_more && segment.written() != written;
            return Ok(if has_moved { Reached::Moved } else { Reached::All });
        }
        Ok(Reached::All)
    }
}

/// How far a plan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    /// As far as there was something, or as the reader's limits let it.
    All,
    /// Batches behind it went from memory into the file while it was made.
    Moved,
}

/// The first batch of a segment that ends at or beyond `offset`: look-up in the index, then a walk
/// over headers. An index that leads astray is made anew from the log, once.
pub(super) fn find(
    open: &OpenSegment,
    segment: &Segment,
    offset: Offset,
    written: u64,
) -> Result<Option<Scanned>, StorageError> {
    let (from, next) = {
        let indexes = open.indexes();
        let entries = indexes.offsets.entries();
        let from = entries.look_up(offset).position;
        (u64::from(from), entries.first_from_position(from.saturating_add(1)))
    };
    if let Some(next) = next
        && let Some(batch) = glance(open, next, written)
        && batch.base_offset() <= offset
        && batch.last_offset >= offset
    {
        return Ok(Some(batch));
    }
    match walk_to(open, segment, offset, (from, written)) {
        Err(StorageError::Corrupt { .. }) if from > 0 => {
            tracing::warn!(
                file = %segment.path(FileKind::OffsetIndex).display(),
                "the index does not lead to a batch and is made anew from the log"
            );
            open.rebuild_indexes(segment)?;
            let from = u64::from(open.indexes().offsets.entries().look_up(offset).position);
            walk_to(open, segment, offset, (from, written))
        }
        found => found,
    }
}

/// The batch that an index entry names. Where batches are larger than the index interval each has
/// an entry, and the one behind the nearest is the one that is sought: a single short read.
fn glance(open: &OpenSegment, entry: OffsetPosition, written: u64) -> Option<Scanned> {
    let mut scanner = Scanner::glance(&open.file, u64::from(entry.position), written);
    let batch = scanner.next().ok()?.ok()?;
    (batch.last_offset == entry.offset).then_some(batch)
}

fn walk_to(
    open: &OpenSegment,
    segment: &Segment,
    offset: Offset,
    (from, written): (u64, u64),
) -> Result<Option<Scanned>, StorageError> {
    let mut scanner = Scanner::headers(&open.file, from, written);
    let path = || segment.path(FileKind::Log);
    loop {
        match scanner.next().map_err(|source| StorageError::io("read", &path())(source))? {
            // What is sought lies before the place that the index named.
            Ok(batch) if batch.position == from && from > 0 && batch.base_offset() > offset => {
                let reason = "the index leads past the offset";
                return Err(StorageError::corrupt(&path(), from, reason));
            }
            Ok(batch) if batch.last_offset >= offset => return Ok(Some(batch)),
            Ok(_) => {}
            Err(End::Whole) => return Ok(None),
            Err(End::Invalid { position, reason }) => {
                return Err(StorageError::corrupt(&path(), position, reason));
            }
        }
    }
}
