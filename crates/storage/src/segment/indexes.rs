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

use super::{MaxTimestamp, Segment, scan::Scanner};
use crate::{
    error::StorageError,
    index::{OffsetIndex, TimeIndex},
    names::FileKind,
};

/// Kafka's `index.interval.bytes`, where an index is rebuilt and the topic's own is not at hand.
const INTERVAL: u64 = 4096;

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
        let offsets = read(disk, &segment.path(FileKind::OffsetIndex))?;
        let times = read(disk, &segment.path(FileKind::TimeIndex))?;
        if written == 0 {
            return Ok(Self { offsets: OffsetIndex::new(base), times: TimeIndex::new(base) });
        }
        // A file of any size may have no entry in its offset index, but has one in its time index
        // once it was finished. A missing file says that it was lost.
        if let (Some(offsets), Some(times)) = (offsets, times)
            && let Ok(offsets) = OffsetIndex::parse(base, &offsets, written)
            && let Ok(times) = TimeIndex::parse(base, &times)
        {
            return Ok(Self { offsets, times });
        }
        Self::rebuild(segment, file)
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
        let mut since_entry = 0;
        let mut scanner = Scanner::headers(file, 0, segment.written());
        while let Ok(batch) = scanner.next().map_err(StorageError::io("read", &path))? {
            max.include(batch.max_timestamp, batch.last_offset);
            if since_entry > INTERVAL {
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
