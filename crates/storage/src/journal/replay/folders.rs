//! What replay does around the segments: folders of partitions that came or went, and Kafka's two
//! files of offsets. It touches no batch.

use std::{collections::BTreeMap, path::Path};

use milena_protocol::{Offset, Uuid};

use super::{Replay, target::Target};
use crate::{
    checkpoints::{self, PartitionOffset},
    error::StorageError,
    journal::{entry::CloseReason, segments::unless_missing},
    log::TopicPartition,
    names::{self, Mark},
    partition_metadata,
};

impl Replay<'_> {
    /// Sets aside what was deleted, makes what was created, and refuses another topic's data.
    pub(super) fn prepare_folders(&mut self) -> Result<(), StorageError> {
        let targets = &self.targets;
        let deleted = |t: &Target| t.closed == Some(CloseReason::Deleted);
        for ((name, topic_id), _) in targets.iter().filter(|(_, target)| deleted(target)) {
            let folder = self.folder(name);
            // A folder that names no topic was made since, or never got its name to the disk:
            // either way the journal has all that belongs there.
            let is_its = self.topic_id(&folder)?.is_none_or(|id| id == *topic_id);
            if is_its && self.disk.metadata(&folder).is_ok() {
                let id = u128::from_be_bytes(topic_id.to_be_bytes());
                let (topic, partition) = (&name.topic, name.partition);
                let marked = names::marked_partition_folder(topic, partition, Mark::Delete, id);
                let marked = self.directory.join(marked);
                unless_missing(self.disk.remove_dir_all(&marked), "remove", &marked)?;
                let renamed = self.disk.rename(&folder, &marked);
                renamed.map_err(StorageError::io("rename", &folder))?;
            }
        }
        let (mut believed, mut folders) = (Vec::new(), Vec::new());
        for ((name, topic_id), _) in targets.iter().filter(|(_, t)| t.closed.is_none()) {
            let folder = self.folder(name);
            match self.topic_id(&folder)? {
                Some(id) if id == *topic_id => {
                    believed.push(folder.join(names::PARTITION_METADATA));
                    folders.push(folder);
                }
                Some(id) => {
                    let reason = format!(
                        "holds {name} of topic id {id}, but the journal speaks of topic id \
                         {topic_id}: it was put together from two directories"
                    );
                    return Err(StorageError::Foreign { path: folder, reason });
                }
                None => {
                    let made = self.disk.create_dir_all(&folder);
                    made.map_err(StorageError::io("create folder", &folder))?;
                    let metadata = folder.join(names::PARTITION_METADATA);
                    partition_metadata::store_topic_id(self.disk, &metadata, *topic_id)?;
                }
            }
        }
        self.believed = believed;
        self.touched.extend(folders);
        Ok(())
    }

    /// Keeps where logs start, and how far they may be trusted, in Kafka's two files: the journal
    /// will not say it again.
    pub(super) fn store_offsets(&self) -> Result<(), StorageError> {
        self.change_offsets(names::LOG_START_OFFSETS, |target, stored| {
            let stored = stored.filter(|_| !target.was_reset);
            target.start.max(stored)
        })?;
        self.change_offsets(names::RECOVERY_POINTS, |target, stored| {
            Some(stored?.min(target.lowest_cut.unwrap_or(Offset(i64::MAX))))
        })
    }

    /// Where a log starts by what was stored before the crash.
    pub(super) fn stored_start(
        &self,
        name: &TopicPartition,
    ) -> Result<Option<Offset>, StorageError> {
        let path = self.directory.join(names::LOG_START_OFFSETS);
        let stored = checkpoints::load_offsets(self.disk, &path)?;
        let is_its = |l: &&PartitionOffset| l.topic == *name.topic && l.partition == name.partition;
        Ok(stored.iter().find(is_its).map(|line| line.offset))
    }

    fn change_offsets(
        &self,
        file: &str,
        change: impl Fn(&Target, Option<Offset>) -> Option<Offset>,
    ) -> Result<(), StorageError> {
        let path = self.directory.join(file);
        let stored = checkpoints::load_offsets(self.disk, &path)?;
        let named = stored.iter().map(|line| ((&*line.topic, line.partition), line.offset));
        let mut offsets: BTreeMap<(&str, i32), Offset> = named.collect();
        // What was said of a topic that is deleted says nothing of the next one of its name.
        let deleted = |t: &Target| t.closed == Some(CloseReason::Deleted);
        for ((name, _), _) in self.targets.iter().filter(|(_, target)| deleted(target)) {
            offsets.remove(&(&*name.topic, name.partition));
        }
        for ((name, _), target) in self.targets.iter().filter(|(_, t)| t.closed.is_none()) {
            let key = (&*name.topic, name.partition);
            if let Some(offset) = change(target, offsets.remove(&key)) {
                offsets.insert(key, offset);
            }
        }
        let lines = offsets.into_iter().map(|((topic, partition), o)| (topic, partition, o));
        checkpoints::store_offsets(self.disk, &path, lines)
    }

    /// The topic that a folder belongs to; `None` where there is no folder, or nothing sound in it
    /// says so: the file is only synced with the checkpoint that passes the folder's making.
    fn topic_id(&self, folder: &Path) -> Result<Option<Uuid>, StorageError> {
        match partition_metadata::load(self.disk, &folder.join(names::PARTITION_METADATA)) {
            Err(StorageError::Corrupt { .. }) => Ok(None),
            other => other,
        }
    }
}
