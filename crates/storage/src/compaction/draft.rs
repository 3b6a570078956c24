//! A segment while compaction writes it, in files that end in `.cleaned`.

use std::{
    io::IoSlice,
    path::{Path, PathBuf},
    sync::Arc,
};

use milena_env::{DiskFile, disk::Open};
use milena_protocol::{
    Offset,
    records::{BatchHeader, LegacyMessage},
};

use crate::{
    directory::Shared,
    error::StorageError,
    index::{AbortedTransaction, OffsetIndex, TimeIndex, TransactionIndex},
    names::{FileKind, SegmentFile, Stage},
    segment::{Folder, Indexes, MaxTimestamp, OpenSegment, Segment},
};

/// Bytes that are gathered before they are written.
const BUFFER: usize = 1 << 20;

/// The files of a segment. The log comes last: its name says what the others' are worth.
pub(super) const KINDS: [FileKind; 4] =
    [FileKind::OffsetIndex, FileKind::TimeIndex, FileKind::TransactionIndex, FileKind::Log];

/// The path of one file of a segment.
pub(super) fn staged(folder: &Path, base: Offset, kind: FileKind, stage: Stage) -> PathBuf {
    folder.join(SegmentFile::live(base, kind).with_stage(stage).to_string())
}

#[derive(Debug)]
pub(super) struct Draft<'a> {
    shared: &'a Shared,
    folder: PathBuf,
    base: Offset,
    file: Arc<dyn DiskFile>,
    written: u64,
    /// Batches that are not in the file yet.
    pub buffer: Vec<u8>,
    indexes: Indexes,
    index_interval: u64,
    since_entry: u64,
    max: MaxTimestamp,
    transactions: TransactionIndex,
}

impl<'a> Draft<'a> {
    pub(super) fn create(
        shared: &'a Shared,
        folder: &Path,
        base: Offset,
        index_interval: u64,
    ) -> Result<Self, StorageError> {
        let path = staged(folder, base, FileKind::Log, Stage::Cleaned);
        let file =
            shared.disk.open(&path, Open::Create).map_err(StorageError::io("create", &path))?;
        file.set_len(0).map_err(StorageError::io("cut", &path))?;
        Ok(Self {
            shared,
            folder: folder.to_owned(),
            base,
            file,
            written: 0,
            buffer: Vec::new(),
            indexes: Indexes { offsets: OffsetIndex::new(base), times: TimeIndex::new(base) },
            index_interval,
            since_entry: 0,
            max: MaxTimestamp::none(base),
            transactions: TransactionIndex::new(base),
        })
    }

    /// Takes in the batch that lies in the buffer from `at` on, if there is one.
    pub(super) fn take(&mut self, at: usize) -> Result<(), StorageError> {
        let batch = self.buffer.get(at..).unwrap_or_default();
        let size = batch.len() as u64;
        let (last_offset, timestamp) = match BatchHeader::read(batch) {
            Ok(header) => (header.last_offset(), header.max_timestamp),
            Err(_) => match LegacyMessage::read(batch) {
                Ok(message) => (message.offset, message.timestamp),
                Err(_) => return Ok(()),
            },
        };
        self.max.include(timestamp, last_offset);
        if self.since_entry > self.index_interval {
            let position = (self.written + at as u64) as u32;
            self.indexes.add(last_offset, position, self.max);
            self.since_entry = 0;
        }
        self.since_entry += size;
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    /// Notes aborted transactions whose marker is in this segment.
    pub(super) fn add_aborted(&mut self, all: Vec<AbortedTransaction>) -> Result<(), StorageError> {
        for aborted in all {
            self.transactions.append(aborted).map_err(|error| {
                let path = staged(&self.folder, self.base, FileKind::TransactionIndex, Stage::Live);
                StorageError::corrupt(&path, 0, error.to_string())
            })?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StorageError> {
        let path = self.path(FileKind::Log);
        let wrote = self.file.write_all_at(&[IoSlice::new(&self.buffer)], self.written);
        wrote.map_err(StorageError::io("write", &path))?;
        let len = self.buffer.len() as u64;
        // Only a hint: what goes wrong shows at the sync.
        let _ = self.file.start_write_back(self.written, len);
        self.written += len;
        self.buffer.clear();
        Ok(())
    }

    /// Writes what is left, the indexes, and makes all files and their names durable.
    pub(super) fn finish(&mut self) -> Result<(), StorageError> {
        self.flush()?;
        let path = self.path(FileKind::Log);
        self.file.sync_data().map_err(StorageError::io("sync", &path))?;
        self.indexes.close(self.max);
        self.save(FileKind::OffsetIndex, self.indexes.offsets.unwritten().1)?;
        self.save(FileKind::TimeIndex, self.indexes.times.unwritten().1)?;
        // Also where it is empty: its name says whether it has yet to replace an old one.
        self.save(FileKind::TransactionIndex, self.transactions.unwritten().1)?;
        self.indexes.offsets.mark_written();
        self.indexes.times.mark_written();
        self.transactions.mark_written();
        let folder = &self.folder;
        self.shared.disk.sync_dir(folder).map_err(StorageError::io("sync folder", folder))
    }

    fn save(&self, kind: FileKind, bytes: &[u8]) -> Result<(), StorageError> {
        let path = self.path(kind);
        let write = || {
            let file = self.shared.disk.open(&path, Open::Create)?;
            file.set_len(0)?;
            if !bytes.is_empty() {
                file.write_all_at(&[IoSlice::new(bytes)], 0)?;
            }
            file.sync_data()
        };
        write().map_err(StorageError::io("write", &path))
    }

    /// Removes what was written, of which nobody has heard.
    pub(super) fn discard(self) {
        for kind in KINDS {
            // What stays is removed when the log is opened next.
            let _ = self.shared.disk.remove_file(&self.path(kind));
        }
    }

    pub(super) const fn base(&self) -> Offset {
        self.base
    }

    pub(super) const fn written(&self) -> u64 {
        self.written
    }

    /// The segment that it becomes, and its open files, which stay open whatever they are called.
    pub(super) fn into_segment(self, folder: &Arc<Folder>) -> (Arc<Segment>, OpenSegment, bool) {
        let has_transactions = self.transactions.len_bytes() > 0;
        let segment = Segment::existing(folder, self.base, self.written, false);
        segment.set_max_timestamp(self.max);
        segment.set_transactions(self.transactions);
        segment.finish();
        (Arc::new(segment), OpenSegment::new(self.file, self.indexes), has_transactions)
    }

    fn path(&self, kind: FileKind) -> PathBuf {
        staged(&self.folder, self.base, kind, Stage::Cleaned)
    }
}
