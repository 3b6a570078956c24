//! The clean stop: everything is synced, Kafka's checkpoint files are written, the journal is
//! removed. Apache Kafka may open the directory next.

use std::sync::PoisonError;

use milena_protocol::Offset;

use super::LogDirectory;
use crate::{checkpoints, error::StorageError, log::Log, names};

impl LogDirectory {
    /// Stops. Appends are refused from here on; what was appended before becomes durable first.
    pub fn close(&self, broker_epoch: i64) -> Result<(), StorageError> {
        let shared = &self.shared;
        let logs = self.logs();
        logs.iter().for_each(|log| log.refuse_appends());
        shared.queue.stop();
        shared.dirty.stop();
        let threads = std::mem::take(
            &mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner),
        );
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
        self.write_checkpoints()?;
        let Some(mut writer) = shared.take_writer() else { return Ok(()) };
        // In this order a crash in between leaves an empty ring or none, never a full one beside
        // the mark of a clean stop.
        writer.seal()?;
        checkpoints::CleanShutdown::store(&*shared.disk, &shared.path, broker_epoch)?;
        writer.remove()
    }

    /// Writes `recovery-point-offset-checkpoint` and `log-start-offset-checkpoint`.
    pub fn write_checkpoints(&self) -> Result<(), StorageError> {
        let logs = self.logs();
        let write = |file: &str, offset: &dyn Fn(&Log) -> Option<Offset>| {
            let lines = logs.iter().filter_map(|log| {
                let name = log.name();
                offset(log).map(|offset| (&*name.topic, name.partition, offset))
            });
            let path = self.shared.path.join(file);
            checkpoints::store_offsets(&*self.shared.disk, &path, lines)
        };
        write(names::RECOVERY_POINTS, &|log| Some(log.recovery_point()))?;
        write(names::LOG_START_OFFSETS, &|log| {
            let start = log.start_offset();
            (start > log.first_segment()).then_some(start)
        })
    }
}
