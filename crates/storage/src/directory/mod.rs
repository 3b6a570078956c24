//! A log directory: many partitions, one journal, one lock.
//!
//! [`LogDirectory::open`] proves whose directory it is, replays the journal, opens every log and
//! only then begins to write. [`LogDirectory::close`] leaves a plain Kafka directory behind.

mod close;
mod identity;
mod open;
mod partitions;
mod relocate;
mod removal;
mod shared;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

pub use identity::{DirectoryIdentity, check_directories};
pub use open::{FirstLog, OpenOptions, Workers};
pub use relocate::Relocation;
pub(crate) use removal::Doomed;
pub(crate) use shared::Shared;

use crate::{
    error::StorageError,
    journal::{ring::RingFiles, writer::Step},
    log::{Log, TopicPartition},
    meta_properties::MetaProperties,
};

#[derive(Debug)]
pub struct LogDirectory {
    shared: Arc<Shared>,
    meta: MetaProperties,
    stopped_in: Option<i64>,
    ring_files: Arc<RingFiles>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Held as long as the directory is ours.
    _lock: Box<dyn milena_env::disk::Lock>,
}

impl LogDirectory {
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// What `meta.properties` says.
    #[must_use]
    pub const fn meta(&self) -> &MetaProperties {
        &self.meta
    }

    /// The broker's epoch when it was last stopped cleanly, if it was.
    #[must_use]
    pub const fn stopped_in(&self) -> Option<i64> {
        self.stopped_in
    }

    #[must_use]
    pub fn log(&self, name: &TopicPartition) -> Option<Arc<Log>> {
        self.shared.logs.read().unwrap_or_else(PoisonError::into_inner).get(name).map(Arc::clone)
    }

    /// How many logs there are.
    #[must_use]
    pub fn log_count(&self) -> usize {
        self.shared.logs.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// All logs, in the order of their names.
    #[must_use]
    pub fn logs(&self) -> Vec<Arc<Log>> {
        self.shared.all_logs()
    }

    /// Why nothing can be written here any more, if so.
    #[must_use]
    pub fn offline(&self) -> Option<StorageError> {
        self.shared.offline_error()
    }

    /// Whether appends are refused until there is room again.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        self.shared.is_disk_full()
    }

    /// Whether appends are refused even to logs that use what is kept free.
    #[must_use]
    pub fn is_reserve_used(&self) -> bool {
        self.shared.is_reserve_used()
    }

    /// Bytes that are acknowledged or about to be, and in no segment yet.
    #[must_use]
    pub fn unwritten_bytes(&self) -> u64 {
        self.shared.queue.unwritten_bytes()
    }

    /// How full the journal is, from 0 to 100. From 80 on, producers are better not read.
    #[must_use]
    pub fn journal_percent(&self) -> u64 {
        let (capacity, used) = self.shared.ring_usage();
        (used * 100).checked_div(capacity).unwrap_or(0)
    }

    /// Writes rounds until nothing waits; for a directory without threads of its own.
    pub fn run_pending(&self) {
        while self.shared.step() == Step::Worked {}
    }

    /// Makes the segments durable, so that the journal's files are free again, and lets the
    /// journal grow if it is short of them.
    pub fn checkpoint(&self) -> Result<(), StorageError> {
        self.shared.checkpoint()?;
        self.grow_journal();
        let is_alone = self.threads.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        if is_alone { removal::remove_all(&self.shared) } else { Ok(()) }
    }

    /// Adds files to a journal that is more than half full and not yet at its limit: a burst that
    /// fills it waits for zeros, which is quicker than a checkpoint. Failing is no harm: the
    /// journal stays as it is.
    fn grow_journal(&self) {
        let config = &self.shared.config;
        let len = config.journal_file_bytes;
        loop {
            let (_, used) = self.shared.ring_usage();
            let capacity = self.ring_files.capacity();
            let is_short = capacity < len || used * 2 >= capacity;
            if !is_short || capacity + len > config.journal_bytes {
                return;
            }
            if let Err(error) = self.ring_files.make(len) {
                tracing::warn!(%error, "the journal could not grow");
                return;
            }
        }
    }
}

impl Drop for LogDirectory {
    /// Without a clean stop this is a crash: what is queued is written, nothing is tidied. The
    /// logs know the directory and it knows them, so one side has to let go.
    fn drop(&mut self) {
        self.shared.queue.stop();
        self.shared.dirty.stop();
        self.shared.removal.stop();
        self.shared.logs.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
