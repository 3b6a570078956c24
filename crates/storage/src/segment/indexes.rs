//! The offset and time index of an open segment: loaded, rebuilt where lost, saved lazily.
//!
//! An index never decides what is true: everything in it can be had again from the log.

use std::{
    io::{self, IoSlice},
    path::Path,
    sync::Arc,
};

use milena_env::{Disk, DiskFile, disk::Open};
use milena_protocol::Offset;

use super::{
    MaxTimestamp, Segment,
    scan::{Scanned, Scanner},
};
use crate::{
    error::StorageError,
    index::{OffsetIndex, TimeIndex},
    names::FileKind,
};

/// How many bytes of the log a time index is held to, behind its own last entry and behind the
/// offset index's.
const LOOK: u64 = 1 << 20;

#[derive(Debug)]
pub(crate) struct Indexes {
    pub offsets: OffsetIndex,
    pub times: TimeIndex,
}

impl Indexes {
    pub(super) fn load(
        disk: &dyn Disk,
        segment: &Segment,
        file: &Arc<dyn DiskFile>,
    ) -> Result<Self, StorageError> {
        let base = segment.base_offset();
        let written = segment.written();
        if written == 0 {
            return Ok(Self { offsets: OffsetIndex::new(base), times: TimeIndex::new(base) });
        }
        if segment.doubts_indexes() {
            return Self::rebuild(segment, file);
        }
        let offsets = read(disk, &segment.path(FileKind::OffsetIndex))?;
        let times = read(disk, &segment.path(FileKind::TimeIndex))?;
        // A file of any size may have no entry in its offset index. A missing file says that it was
        // lost.
        if let (Some(offsets), Some(times)) = (offsets, times)
            && let Ok(offsets) = OffsetIndex::parse(base, &offsets, written)
            && let Ok(times) = TimeIndex::parse(base, &times)
        {
            let indexes = Self { offsets, times };
            if indexes.date_rightly(segment, file)? {
                return Ok(indexes);
            }
        }
        Self::rebuild(segment, file)
    }

    /// Whether the time index ends as it should: its last entry says what a batch says, and nothing
    /// is newer near behind it or at the segment's end. One that was zeroed or cut does not.
    fn date_rightly(
        &self,
        segment: &Segment,
        file: &Arc<dyn DiskFile>,
    ) -> Result<bool, StorageError> {
        let read = |source| StorageError::io("read", &segment.path(FileKind::Log))(source);
        let (newest, offsets) = (self.times.entries().last(), self.offsets.entries());
        let last_entry = offsets.last().map(|entry| u64::from(entry.position));
        // Until a segment is finished only batches up to the last that has an entry count.
        let end = match (segment.is_finished(), last_entry) {
            (true, _) => segment.written(),
            (false, Some(last)) => last + 1,
            (false, None) => return Ok(true),
        };
        let mut scanner = Scanner::headers(file, 0, segment.written());
        if newest.timestamp >= 0 {
            let from = u64::from(offsets.look_up(newest.offset).position);
            scanner = Scanner::headers(file, from, segment.written());
            let mut holds = scanner.next().map_err(read)?;
            while holds.as_ref().is_ok_and(|batch| batch.last_offset < newest.offset) {
                holds = scanner.next().map_err(read)?;
            }
            // What an old message says of its time depends on what is packed in it.
            let is_right =
                |batch: Scanned| batch.header.is_none() || batch.max_timestamp == newest.timestamp;
            if !holds.is_ok_and(is_right) {
                return Ok(false);
            }
        }
        let near = end.min(scanner.position() + LOOK);
        let last = Scanner::headers(file, last_entry.unwrap_or(0), segment.written());
        let far = end.min(last.position() + LOOK);
        for (mut scanner, end) in [(scanner, near), (last, far)] {
            while scanner.position() < end
                && let Ok(batch) = scanner.next().map_err(read)?
            {
                if batch.max_timestamp > newest.timestamp {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Reads the whole segment's headers.
    pub(crate) fn rebuild(
        segment: &Segment,
        file: &Arc<dyn DiskFile>,
    ) -> Result<Self, StorageError> {
        let path = segment.path(FileKind::Log);
        let base = segment.base_offset();
        let mut indexes = Self { offsets: OffsetIndex::new(base), times: TimeIndex::new(base) };
        let mut max = MaxTimestamp::none(base);
        let (mut since_entry, interval) = (0, segment.folder().index_interval());
        let mut scanner = Scanner::headers(file, 0, segment.written());
        while let Ok(batch) = scanner.next().map_err(StorageError::io("read", &path))? {
            max.include(batch.max_timestamp, batch.last_offset);
            if since_entry > interval {
                indexes.add(batch.last_offset, batch.position as u32, max);
                since_entry = 0;
            }
            since_entry += batch.size;
        }
        if segment.is_finished() {
            indexes.close(max);
        }
        Ok(indexes)
    }

    /// One entry in both. One that does not fit behind the others is already there: a write that
    /// a full disk refused is tried again with the same batches.
    pub(crate) fn add(&mut self, last_offset: Offset, position: u32, max: MaxTimestamp) {
        let _ = self.offsets.append(last_offset, position);
        self.close(max);
    }

    /// The last entry of a time index: the greatest timestamp of the whole segment.
    pub(crate) fn close(&mut self, max: MaxTimestamp) {
        if max.timestamp >= 0 {
            let _ = self.times.append(max.timestamp, max.offset);
        }
    }

    pub(crate) fn truncate(&mut self, to: Offset) {
        self.offsets.truncate_to(to);
        self.times.truncate_to(to);
    }

    /// Writes what the files do not have.
    pub(crate) fn save(&mut self, disk: &dyn Disk, segment: &Segment) -> Result<(), StorageError> {
        segment.indexes_are_fresh();
        let path = segment.path(FileKind::OffsetIndex);
        save(disk, &path, self.offsets.unwritten(), self.offsets.len_bytes())?;
        self.offsets.mark_written();
        let path = segment.path(FileKind::TimeIndex);
        save(disk, &path, self.times.unwritten(), self.times.len_bytes())?;
        self.times.mark_written();
        segment.believe_indexes();
        Ok(())
    }
}

fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<u8>>, StorageError> {
    match disk.read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StorageError::io("read", path)(source)),
    }
}

/// Makes an index file what its memory is.
pub(super) fn save(
    disk: &dyn Disk,
    path: &Path,
    (position, bytes): (u64, &[u8]),
    len: u64,
) -> Result<(), StorageError> {
    let file = disk.open(path, Open::Create).map_err(StorageError::io("open", path))?;
    if !bytes.is_empty() {
        let written = file.write_all_at(&[IoSlice::new(bytes)], position);
        written.map_err(StorageError::io("write", path))?;
    }
    if file.size().map_err(StorageError::io("look at", path))? != len {
        file.set_len(len).map_err(StorageError::io("cut", path))?;
    }
    Ok(())
}
