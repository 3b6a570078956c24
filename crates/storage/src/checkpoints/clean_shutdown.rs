//! `.kafka_cleanshutdown`: written last at a clean stop, removed at start.

use std::path::Path;

use milena_env::Disk;

use super::{load, store};
use crate::{error::StorageError, names};

/// What a clean stop left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanShutdown {
    /// The epoch in which the broker was registered; not known from Kafka before 3.7.
    pub broker_epoch: Option<i64>,
}

impl CleanShutdown {
    /// Its presence is what counts, so any content is understood.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let number = || {
            let (_, value) = std::str::from_utf8(bytes).ok()?.split_once("\"brokerEpoch\"")?;
            let value = value.trim_start().strip_prefix(':')?.trim_start();
            let is_number = |c: char| c.is_ascii_digit() || c == '-';
            value.get(..value.find(|c| !is_number(c))?)?.parse().ok()
        };
        Self { broker_epoch: number() }
    }

    #[must_use]
    pub fn format(broker_epoch: i64) -> Vec<u8> {
        format!("{{\"version\":0,\"brokerEpoch\":{broker_epoch}}}").into_bytes()
    }

    /// Notes that everything in the log directory `dir` is synced and checkpointed.
    pub fn store(disk: &dyn Disk, dir: &Path, broker_epoch: i64) -> Result<(), StorageError> {
        store(disk, &dir.join(names::CLEAN_SHUTDOWN), &Self::format(broker_epoch))
    }
}

/// What the last stop left in the log directory `dir`; `None` where it was no clean one.
pub fn clean_shutdown(disk: &dyn Disk, dir: &Path) -> Result<Option<CleanShutdown>, StorageError> {
    let found = load(disk, &dir.join(names::CLEAN_SHUTDOWN))?;
    Ok(found.map(|bytes| CleanShutdown::parse(&bytes)))
}

/// Before anything in the log directory `dir` changes: a crash from now on is no clean stop.
pub fn forget_clean_shutdown(disk: &dyn Disk, dir: &Path) -> Result<(), StorageError> {
    let path = dir.join(names::CLEAN_SHUTDOWN);
    disk.remove_file(&path).map_err(StorageError::io("remove", &path))?;
    disk.sync_dir(dir).map_err(StorageError::io("sync", dir))
}
