//! How far each log was compacted: `cleaner-offset-checkpoint`.
//!
//! An offset that is too low costs work. One that is too high could cost a deletion: a tombstone in
//! a part that only seems clean may go before what it deletes. So whenever a log is cut, emptied or
//! deleted its offset is lowered on disk first.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use milena_env::Disk;
use milena_protocol::Offset;

use crate::{checkpoints, directory::Shared, error::StorageError, log::TopicPartition, names};

type Offsets = BTreeMap<TopicPartition, Offset>;

#[derive(Debug, Default)]
pub(crate) struct CleanedOffsets {
    offsets: Mutex<Offsets>,
}

impl CleanedOffsets {
    /// Loads the file, and drops what it says of logs that are gone. A damaged one is passed over:
    /// everything counts as dirty then.
    pub(crate) fn load(
        &self,
        shared: &Shared,
        exists: impl Fn(&TopicPartition) -> bool,
    ) -> Result<(), StorageError> {
        let path = shared.path.join(names::CLEANER_OFFSETS);
        let lines = match checkpoints::load_offsets(&*shared.disk, &path) {
            Ok(lines) => lines,
            Err(error @ StorageError::Corrupt { .. }) => {
                tracing::warn!(%error, "compacted topics are compacted anew from their start");
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        let count = lines.len();
        let named = lines.into_iter().map(|line| {
            let name = TopicPartition { topic: line.topic.into(), partition: line.partition };
            (name, line.offset)
        });
        let mut offsets = self.lock();
        *offsets = named.filter(|(name, _)| exists(name)).collect();
        if offsets.len() < count { store(shared, &offsets) } else { Ok(()) }
    }

    pub(crate) fn get(&self, name: &TopicPartition) -> Option<Offset> {
        self.lock().get(name).copied()
    }

    pub(super) fn set(
        &self,
        shared: &Shared,
        name: &TopicPartition,
        offset: Offset,
    ) -> Result<(), StorageError> {
        let mut offsets = self.lock();
        offsets.insert(name.clone(), offset);
        store(shared, &offsets)
    }

    /// The log is about to be cut at `to`.
    pub(crate) fn lower(
        &self,
        shared: &Shared,
        name: &TopicPartition,
        to: Offset,
    ) -> Result<(), StorageError> {
        let mut offsets = self.lock();
        match offsets.get_mut(name) {
            Some(offset) if *offset > to => *offset = to,
            _ => return Ok(()),
        }
        store(shared, &offsets)
    }

    /// The log is about to be emptied or deleted.
    pub(crate) fn forget(
        &self,
        shared: &Shared,
        name: &TopicPartition,
    ) -> Result<(), StorageError> {
        let mut offsets = self.lock();
        if offsets.remove(name).is_none() {
            return Ok(());
        }
        store(shared, &offsets)
    }

    fn lock(&self) -> MutexGuard<'_, Offsets> {
        self.offsets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn store(shared: &Shared, offsets: &Offsets) -> Result<(), StorageError> {
    let disk: &dyn Disk = &*shared.disk;
    let lines = offsets.iter().map(|(name, offset)| (&*name.topic, name.partition, *offset));
    checkpoints::store_offsets(disk, &shared.path.join(names::CLEANER_OFFSETS), lines)
}
