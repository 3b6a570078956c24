//! Partitions coming to a log directory and leaving it.

use std::sync::{Arc, PoisonError};

use milena_protocol::{Offset, Uuid};

use super::LogDirectory;
use crate::{
    config::LogConfig,
    error::StorageError,
    journal::entry::CloseReason,
    log::{
        Log, TopicPartition,
        open::{Left, Opening},
    },
    names,
    segment::Folder,
};

impl LogDirectory {
    /// The log of a partition, created where there is none, in memory alone: its folder comes with
    /// its first record. Until then there is nothing to lose, and who assigned the partition here
    /// does so again after a restart.
    pub fn create(
        &self,
        name: TopicPartition,
        topic_id: Uuid,
        config: Arc<LogConfig>,
    ) -> Result<Arc<Log>, StorageError> {
        let mut logs = self.shared.logs.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(offline) = self.shared.offline_error() {
            return Err(offline);
        }
        if let Some(log) = logs.get(&name) {
            return if log.topic_id() == topic_id {
                Ok(Arc::clone(log))
            } else {
                let reason = format!(
                    "already holds {name} with topic id {}, not {topic_id}; delete that one first",
                    log.topic_id()
                );
                Err(StorageError::Foreign { path: self.shared.path.clone(), reason })
            };
        }
        let folder = names::partition_folder(&name.topic, name.partition);
        let folder = Folder::new(&self.shared.path.join(folder), false);
        let opening = Opening {
            name: name.clone(),
            topic_id,
            config,
            left: Left::Clean,
            recovery_point: Offset::ZERO,
            start: Offset::ZERO,
        };
        let log = Arc::new(Log::create(&self.shared, folder, opening));
        logs.insert(name, Arc::clone(&log));
        Ok(log)
    }

    /// Deletes a partition. Its folder gets another name once the journal knows of it; its files
    /// are removed by the checkpoint, however many there are. Where the disk is full that happens
    /// when there is room again; a partition of that name may be created at once.
    pub fn delete(&self, name: &TopicPartition) -> Result<bool, StorageError> {
        self.part_with(name, CloseReason::Deleted)
    }

    /// Sets a partition aside that nobody knows any more: its folder gets Kafka's `-stray` suffix,
    /// and nothing in it is touched, now or later.
    pub fn set_aside(&self, name: &TopicPartition) -> Result<bool, StorageError> {
        let Some(log) = self.log(name) else { return Ok(false) };
        log.refuse_appends();
        // What the journal alone has goes into the segments: replay will not look for them.
        self.shared.drain()?;
        self.shared.checkpoint()?;
        self.part_with(name, CloseReason::Moved)
    }

    fn part_with(&self, name: &TopicPartition, reason: CloseReason) -> Result<bool, StorageError> {
        let Some(log) = self.log(name) else { return Ok(false) };
        log.refuse_appends();
        let _alone = log.compaction.take();
        self.shared.cleaned.forget(&self.shared, name)?;
        {
            // Whatever is created under that name comes behind it in the queue.
            let mut logs = self.shared.logs.write().unwrap_or_else(PoisonError::into_inner);
            if !logs.get(name).is_some_and(|there| Arc::ptr_eq(there, &log)) {
                return Ok(false);
            }
            logs.remove(name);
            self.shared.is_leaving(&log);
            log.close_for(reason);
        }
        self.shared.drain()?;
        if !log.config().is_journalled() {
            // A new log of that name begins without a recovery point.
            self.shared.store_recovery_points()?;
        }
        Ok(true)
    }
}
