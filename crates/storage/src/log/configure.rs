//! Changing a log's settings while it is used, above all whether it waits for the journal.
//!
//! The journal's replay cuts a log behind the last entry it knows. A log that leaves the journal is
//! therefore synced first and said to have left; one that enters it is synced up to where the
//! journal begins. For these few milliseconds its appends are put off.

use std::sync::{Arc, atomic::Ordering};

use super::Log;
use crate::{
    config::LogConfig,
    error::StorageError,
    journal::{entry::CloseReason, queue::What},
};

impl Log {
    /// Gives the log other settings. Where `flush.messages` turns to 1 or away from it, everything
    /// that was appended is synced first.
    pub fn configure(self: &Arc<Self>, config: Arc<LogConfig>) -> Result<(), StorageError> {
        self.folder.set_index_interval(config.index_interval_bytes);
        let switches = self.config().is_journalled() != config.is_journalled();
        if !switches {
            self.config.store(config);
            return Ok(());
        }
        self.pauses.store(true, Ordering::SeqCst);
        let switched = self.switch(config);
        self.pauses.store(false, Ordering::SeqCst);
        switched
    }

    fn switch(self: &Arc<Self>, config: Arc<LogConfig>) -> Result<(), StorageError> {
        // Whoever held the lock when the pause began has pushed what they appended.
        drop(self.lock());
        self.shared.drain()?;
        self.shared.checkpoint()?;
        self.shared.store_recovery_points()?;
        let _state = self.lock();
        if !config.is_journalled() {
            self.enqueue(What::Close(CloseReason::NotJournalled));
        }
        self.config.store(config);
        Ok(())
    }
}
