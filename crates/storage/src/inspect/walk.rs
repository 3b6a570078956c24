//! The batches of one segment file, in order.

use std::{path::PathBuf, sync::Arc};

use milena_env::DiskFile;
use milena_protocol::{Offset, records::BatchHeader};

use crate::{
    error::StorageError,
    segment::scan::{End, Scanned, Scanner},
};

/// A batch as it lies in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundBatch {
    pub position: u64,
    pub size: u64,
    pub base_offset: Offset,
    pub last_offset: Offset,
    pub max_timestamp: i64,
    /// `None` for a message of the formats 0 and 1.
    pub header: Option<BatchHeader>,
    /// All of it, where it was asked to be checked.
    pub bytes: Vec<u8>,
}

/// How a walk ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WalkEnd {
    /// At the end of the file, behind a whole batch.
    Whole,
    /// At something that is no valid batch.
    Invalid { position: u64, reason: &'static str },
}

/// A walk over a segment's batches.
#[derive(Debug)]
pub struct BatchWalk {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    position: u64,
    end: u64,
    check: bool,
}

impl BatchWalk {
    pub(super) fn new(
        path: PathBuf,
        file: Arc<dyn DiskFile>,
        position: u64,
        end: u64,
        check: bool,
    ) -> Self {
        Self { path, file, position, end, check }
    }

    /// Gives every batch to `each` until it says that it has seen enough, and says how the walk
    /// ended.
    pub fn each(&self, mut each: impl FnMut(FoundBatch) -> bool) -> Result<WalkEnd, StorageError> {
        let mut scanner = match self.check {
            true => Scanner::checked(&self.file, self.position, self.end),
            false => Scanner::headers(&self.file, self.position, self.end),
        };
        loop {
            match scanner.next().map_err(StorageError::io("read", &self.path))? {
                Ok(scanned) => {
                    let bytes = match self.check {
                        true => scanner.bytes_of(&scanned).to_vec(),
                        false => Vec::new(),
                    };
                    if !each(FoundBatch::new(&scanned, bytes)) {
                        return Ok(WalkEnd::Whole);
                    }
                }
                Err(End::Whole) => return Ok(WalkEnd::Whole),
                Err(End::Invalid { position, reason }) => {
                    return Ok(WalkEnd::Invalid { position, reason });
                }
            }
        }
    }
}

impl FoundBatch {
    pub(super) fn new(scanned: &Scanned, bytes: Vec<u8>) -> Self {
        Self {
            position: scanned.position,
            size: scanned.size,
            base_offset: scanned.base_offset(),
            last_offset: scanned.last_offset,
            max_timestamp: scanned.max_timestamp,
            header: scanned.header,
            bytes,
        }
    }
}
