//! The clean stop: everything is synced, Kafka's checkpoint files are written, the journal is
//! removed. Apache Kafka may open the directory next.

use std::sync::{Arc, PoisonError};

use super::{LogDirectory, removal};
use crate::{checkpoints, clean_stop::CleanStop, error::StorageError, log::Log};

impl LogDirectory {
    /// Stops. Appends are refused from here on; what was appended before becomes durable first.
    pub fn close(&self, broker_epoch: i64) -> Result<(), StorageError> {
        let shared = &self.shared;
        let logs = self.logs();
        for log in &logs {
            log.refuse_appends();
            // No compaction begins on a closed log; one that runs gives up here.
            drop(log.compaction.take());
        }
        shared.queue.stop();
        shared.dirty.stop();
        shared.removal.stop();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
        shared.drain()?;
        shared.checkpoint()?;
        for log in &logs {
            log.save_at_stop(shared)?;
        }
        // The files that the logs have just saved, and what was removed before.
        shared.checkpoint()?;
        // Also where nothing was written since the start: it may have been one after a crash.
        logs.iter().for_each(|log| log.advance_recovery_point(log.reached()));
        removal::remove_all(shared)?;
        shared.store_recovery_points()?;
        shared.store_starts()?;
        self.note(&logs, broker_epoch)?;
        let Some(mut writer) = shared.take_writer() else { return Ok(()) };
        // In this order a crash in between leaves an empty ring or none, never a full one beside
        // the mark of a clean stop.
        writer.seal()?;
        checkpoints::CleanShutdown::store(&*shared.disk, &shared.path, broker_epoch)?;
        writer.remove()
    }

    /// Notes what the next start would have to read many files for. Nothing else may change in the
    /// logs' folders from here on.
    fn note(&self, logs: &[Arc<Log>], broker_epoch: i64) -> Result<(), StorageError> {
        let disk = &*self.shared.disk;
        let noted = logs.iter().filter_map(|log| Some((log.name().clone(), log.noted(disk)?)));
        let stop = CleanStop { logs: noted.collect() };
        stop.store(disk, self.path(), broker_epoch).or_else(|error| {
            tracing::warn!(%error, "the next start will take longer");
            CleanStop::forget(disk, self.path())
        })
    }
}
