//! Checkpoints of one offset per partition: recovery points, log starts, high watermarks.

use std::{fmt::Write as _, path::Path};

use milena_env::Disk;
use milena_protocol::Offset;

use super::{
    TextError, load_as, store,
    text::{format_checkpoint, parse_checkpoint},
};
use crate::error::StorageError;

/// One line of an offset checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionOffset {
    pub topic: String,
    pub partition: i32,
    pub offset: Offset,
}

pub fn parse_offsets(bytes: &[u8]) -> Result<Vec<PartitionOffset>, TextError> {
    parse_checkpoint(bytes, |line| {
        let [topic, partition, offset] = line.words("is not a topic, a partition and an offset")?;
        Ok(PartitionOffset {
            topic: topic.to_owned(),
            partition: line.number(partition, "has a partition that is no number")?,
            offset: Offset(line.number(offset, "has an offset that is no number")?),
        })
    })
}

#[must_use]
pub fn format_offsets<'a>(offsets: impl IntoIterator<Item = (&'a str, i32, Offset)>) -> Vec<u8> {
    let mut lines = String::new();
    let mut count = 0;
    for (topic, partition, offset) in offsets {
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "{topic} {partition} {offset}");
        count += 1;
    }
    format_checkpoint(count, &lines)
}

/// The offsets in a checkpoint; none where there is no such file.
pub fn load_offsets(disk: &dyn Disk, path: &Path) -> Result<Vec<PartitionOffset>, StorageError> {
    Ok(load_as(disk, path, parse_offsets)?.unwrap_or_default())
}

pub fn store_offsets<'a>(
    disk: &dyn Disk,
    path: &Path,
    offsets: impl IntoIterator<Item = (&'a str, i32, Offset)>,
) -> Result<(), StorageError> {
    store(disk, path, &format_offsets(offsets))
}
