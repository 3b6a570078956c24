//! What a clean stop knew of every log, in one file: the next start need not look for it in six
//! files of each.
//!
//! It is only ever a shortcut. It is believed after the stop that wrote it, and after a crash since
//! then of the logs that the journal does not speak of; of each log only while its folder and its
//! segments are as they were (`log/resume`). Whatever is missing or strange here means that a log
//! is opened from its own files. The form is in `docs/formats/clean-stop.md`.

mod format;
#[cfg(test)]
mod test;

use std::{
    collections::BTreeMap,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use milena_env::Disk;
use milena_protocol::{Offset, Uuid};

use crate::{
    checkpoints, epochs::EpochCache, error::StorageError, journal::segments::unless_missing,
    log::TopicPartition, names, segment::MaxTimestamp,
};

/// Everything that opening a log needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotedLog {
    pub topic_id: Uuid,
    /// When a name in its folder was last changed, in nanoseconds since 1970.
    pub folder_changed_ns: u64,
    pub start: Offset,
    pub end: Offset,
    pub epochs: EpochCache,
    /// What the snapshot at the end holds.
    pub producers: Vec<u8>,
    /// In order; the last one is appended to.
    pub segments: Vec<NotedSegment>,
    /// Of the last segment, as in `log::state::Active`.
    pub first_timestamp: Option<i64>,
    pub entries: u64,
    pub since_entry: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotedSegment {
    pub base_offset: Offset,
    pub len: u64,
    pub changed_ns: u64,
    pub max: MaxTimestamp,
    pub has_transactions: bool,
}

/// The logs of a directory as its clean stop left them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct CleanStop {
    pub logs: BTreeMap<TopicPartition, NotedLog>,
}

impl CleanStop {
    /// Notes them, for the stop in this broker's epoch.
    pub(crate) fn store(
        &self,
        disk: &dyn Disk,
        directory: &Path,
        broker_epoch: i64,
    ) -> Result<(), StorageError> {
        let bytes = format::write(self, broker_epoch);
        checkpoints::store(disk, &directory.join(names::CLEAN_STOP), &bytes)
    }

    /// What the last stop noted, if it was in one of these epochs. Nothing where there was none, or
    /// where the file cannot be used: it says nothing that is nowhere else.
    pub(crate) fn load(disk: &dyn Disk, directory: &Path, is_of: impl FnOnce(i64) -> bool) -> Self {
        let bytes = checkpoints::load(disk, &directory.join(names::CLEAN_STOP)).ok().flatten();
        let found = bytes.and_then(|bytes| format::read(&bytes));
        found.filter(|(epoch, _)| is_of(*epoch)).map(|(_, stop)| stop).unwrap_or_default()
    }

    /// Before anything in the directory changes; the folder is yet to be synced.
    pub(crate) fn forget(disk: &dyn Disk, directory: &Path) -> Result<(), StorageError> {
        let path = directory.join(names::CLEAN_STOP);
        unless_missing(disk.remove_file(&path), "remove", &path)
    }
}

/// A time of change as it is noted; one before 1970 is like none.
pub(crate) fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(0)
}
