//! Looks at a log directory without opening it: no lock is taken, nothing is written, mended or
//! believed without a look.
//!
//! It sees what lies in the partitions' folders. What a broker has acknowledged and not yet written
//! there is in its journal and not seen here; [`Survey::is_in_use`] and [`Survey::was_clean`] say
//! whether there may be such records.

mod explain;
mod walk;

use std::path::{Path, PathBuf};

use milena_env::{Disk, disk::Open};
use milena_protocol::{Offset, Uuid};

pub use explain::{Explanation, IndexSearch, Probe, explain};
pub use walk::{BatchWalk, FoundBatch, WalkEnd};

use crate::{
    checkpoints,
    error::StorageError,
    index::{OffsetIndex, TimeIndex, TransactionIndex},
    meta_properties::MetaProperties,
    names::{self, FileKind, Mark, PartitionFolder, SegmentFile, Stage},
    partition_metadata,
};

/// What lies in a log directory.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Survey {
    /// Whose it is, if it says.
    pub meta: Option<MetaProperties>,
    /// Whether a process holds its lock.
    pub is_in_use: bool,
    /// Whether it was stopped cleanly: then the folders have all there is.
    pub was_clean: bool,
    /// In the order of their folders' names.
    pub partitions: Vec<FoundPartition>,
}

/// The folder of a partition.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FoundPartition {
    pub topic: String,
    pub partition: i32,
    /// Whether it is marked as deleted, stray or about to come.
    pub mark: Option<Mark>,
    pub path: PathBuf,
    pub topic_id: Option<Uuid>,
    /// In order.
    pub segments: Vec<FoundSegment>,
}

/// One segment, by its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundSegment {
    pub base_offset: Offset,
    pub log_bytes: u64,
    /// Bytes of its indexes, where they have files.
    pub offset_index_bytes: Option<u64>,
    pub time_index_bytes: Option<u64>,
    pub transaction_index_bytes: Option<u64>,
}

impl Survey {
    /// Looks at a directory and all its partitions.
    pub fn of(disk: &dyn Disk, path: &Path) -> Result<Self, StorageError> {
        let lock = path.join(names::LOCK);
        let is_in_use = match disk.is_locked(&lock) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            locked => locked.map_err(StorageError::io("look at", &lock))?,
        };
        let mut partitions = Vec::new();
        for entry in disk.list(path).map_err(StorageError::io("list", path))? {
            if let Some(folder) = PartitionFolder::parse(&entry.name).filter(|_| entry.is_dir) {
                partitions.push(FoundPartition::read(disk, path.join(&entry.name), folder)?);
            }
        }
        Ok(Self {
            meta: MetaProperties::load(disk, &path.join(names::META_PROPERTIES))?,
            is_in_use,
            was_clean: checkpoints::clean_shutdown(disk, path)?.is_some(),
            partitions,
        })
    }

    /// The folder of a partition that is neither deleted nor stray.
    #[must_use]
    pub fn partition(&self, topic: &str, partition: i32) -> Option<&FoundPartition> {
        let mut found = self.partitions.iter().filter(|found| found.mark.is_none());
        found.find(|found| found.topic == topic && found.partition == partition)
    }
}

impl FoundPartition {
    fn read(
        disk: &dyn Disk,
        path: PathBuf,
        folder: PartitionFolder<'_>,
    ) -> Result<Self, StorageError> {
        let mut files = Vec::new();
        for entry in disk.list(&path).map_err(StorageError::io("list", &path))? {
            let Some(file) = SegmentFile::parse(&entry.name) else { continue };
            if file.stage == Stage::Live {
                let at = path.join(&entry.name);
                // Retention may have been faster.
                if let Ok(metadata) = disk.metadata(&at) {
                    files.push((file, metadata.len));
                }
            }
        }
        let bytes_of = |base_offset, kind| {
            let wanted = SegmentFile::live(base_offset, kind);
            files.iter().find(|(file, _)| *file == wanted).map(|(_, bytes)| *bytes)
        };
        let logs = files.iter().filter(|(file, _)| file.kind == FileKind::Log);
        let segments = logs.map(|(file, log_bytes)| FoundSegment {
            base_offset: file.base_offset,
            log_bytes: *log_bytes,
            offset_index_bytes: bytes_of(file.base_offset, FileKind::OffsetIndex),
            time_index_bytes: bytes_of(file.base_offset, FileKind::TimeIndex),
            transaction_index_bytes: bytes_of(file.base_offset, FileKind::TransactionIndex),
        });
        let mut segments: Vec<_> = segments.collect();
        segments.sort_by_key(|segment| segment.base_offset);
        Ok(Self {
            topic: folder.topic.to_owned(),
            partition: folder.partition,
            mark: folder.mark,
            topic_id: partition_metadata::load(disk, &path.join(names::PARTITION_METADATA))?,
            path,
            segments,
        })
    }

    /// Bytes of all its batches.
    #[must_use]
    pub fn log_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.log_bytes).sum()
    }

    /// A file of one of its segments.
    #[must_use]
    pub fn file(&self, segment: &FoundSegment, kind: FileKind) -> PathBuf {
        self.path.join(SegmentFile::live(segment.base_offset, kind).to_string())
    }

    /// The batches of a segment in order, from a position in its file on. With `check` their
    /// checksums are proven, and their bytes are there to be looked into.
    pub fn batches(
        &self,
        disk: &dyn Disk,
        segment: &FoundSegment,
        from: u64,
        check: bool,
    ) -> Result<BatchWalk, StorageError> {
        let path = self.file(segment, FileKind::Log);
        let file = disk.open(&path, Open::Read).map_err(StorageError::io("open", &path))?;
        Ok(BatchWalk::new(path, file, from, segment.log_bytes, check))
    }

    /// What is wrong with the indexes of a segment; they can be made anew from it.
    pub fn check_indexes(
        &self,
        disk: &dyn Disk,
        segment: &FoundSegment,
    ) -> Result<Vec<String>, StorageError> {
        let read = |kind| {
            let path = self.file(segment, kind);
            disk.read(&path).map_err(StorageError::io("read", &path))
        };
        let base = segment.base_offset;
        let mut wrong = Vec::new();
        if segment.offset_index_bytes.is_some() {
            let bytes = read(FileKind::OffsetIndex)?;
            wrong.extend(OffsetIndex::parse(base, &bytes, segment.log_bytes).err());
        }
        if segment.time_index_bytes.is_some() {
            wrong.extend(TimeIndex::parse(base, &read(FileKind::TimeIndex)?).err());
        }
        if segment.transaction_index_bytes.is_some() {
            let bytes = read(FileKind::TransactionIndex)?;
            wrong.extend(TransactionIndex::parse(base, &bytes).err());
        }
        Ok(wrong.into_iter().map(|error| error.to_string()).collect())
    }
}
