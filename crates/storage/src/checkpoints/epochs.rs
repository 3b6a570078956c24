//! `leader-epoch-checkpoint`: the leader epochs of one partition.

use std::{fmt::Write as _, path::Path};

use milena_env::Disk;
use milena_protocol::{LeaderEpoch, Offset};

use super::{
    TextError, lines, load_as, store,
    text::{format_checkpoint, parse_checkpoint},
};
use crate::{
    epochs::{EpochCache, EpochEntry},
    error::StorageError,
};

pub fn parse_epochs(bytes: &[u8]) -> Result<EpochCache, TextError> {
    let entries = parse_checkpoint(bytes, |line| {
        let [epoch, start] = line.words("is not an epoch and an offset")?;
        let epoch = LeaderEpoch(line.number(epoch, "has an epoch that is no number")?);
        let start_offset = Offset(line.number(start, "has an offset that is no number")?);
        if epoch.0 < 0 || start_offset.0 < 0 {
            return Err(line.error("has a negative number"));
        }
        Ok(EpochEntry { epoch, start_offset })
    })?;
    let rises = |(last, next): (&EpochEntry, &EpochEntry)| {
        last.epoch < next.epoch && last.start_offset < next.start_offset
    };
    match entries.iter().zip(entries.iter().skip(1)).position(|pair| !rises(pair)) {
        None => Ok(EpochCache::from_entries(entries)),
        // Behind the version, the count and the entry before it.
        Some(at) => Err(lines(bytes)
            .nth(at + 3)
            .map_or(TextError { line: 0, position: 0, reason: "does not rise" }, |line| {
                line.error("does not rise above the one before")
            })),
    }
}

#[must_use]
pub fn format_epochs(epochs: &EpochCache) -> Vec<u8> {
    let mut lines = String::new();
    for entry in epochs.entries() {
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "{} {}", entry.epoch, entry.start_offset);
    }
    format_checkpoint(epochs.entries().len(), &lines)
}

/// The epochs in a checkpoint; `None` where there is no such file.
pub fn load_epochs(disk: &dyn Disk, path: &Path) -> Result<Option<EpochCache>, StorageError> {
    load_as(disk, path, parse_epochs)
}

pub fn store_epochs(disk: &dyn Disk, path: &Path, epochs: &EpochCache) -> Result<(), StorageError> {
    store(disk, path, &format_epochs(epochs))
}
