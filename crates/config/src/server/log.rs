//! Log directories, the cleaner, and the creation of topics.

use super::{ConfigError, contradiction};
use crate::layers::Layers;

#[derive(Clone, Debug, PartialEq)]
pub struct Logs {
    pub directories: Vec<String>,
    /// Those that get no new partitions.
    pub cordoned_directories: Vec<String>,
    pub metadata_directory: String,
    pub journal_bytes: u64,
    pub recovery_threads_per_directory: usize,
    /// `None`: one for each directory.
    pub move_threads: Option<usize>,
    pub directory_failure_timeout_ms: u64,
    pub retention_check_interval_ms: u64,
    pub recovery_checkpoint_interval_ms: u64,
    pub log_start_checkpoint_interval_ms: u64,
    pub flush_check_interval_ms: u64,
    pub producer_id_expiration_ms: i64,
    pub producer_id_check_interval_ms: u64,
    pub cleaner: Cleaner,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Cleaner {
    pub enabled: bool,
    pub threads: usize,
    /// Of all threads together.
    pub key_memory_bytes: u64,
    pub buffer_bytes: u64,
    pub load_factor: f64,
    pub bytes_per_second_max: f64,
    pub backoff_ms: u64,
}

impl Logs {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let directories: Option<Vec<String>> = layers.find("log.dirs")?;
        let directories = directories.map_or_else(|| layers.get("log.dir"), Ok)?;
        let cordoned: Vec<String> = layers.get("cordoned.log.dirs")?;
        let cordoned_directories = match cordoned.as_slice() {
            [all] if all == "*" => directories.clone(),
            _ => cordoned,
        };
        if let Some(stranger) = cordoned_directories.iter().find(|dir| !directories.contains(dir)) {
            let what = format!("{stranger} is not among log.dirs");
            return Err(contradiction("cordoned.log.dirs", what));
        }
        let metadata_directory: Option<String> = layers.find("metadata.log.dir")?;
        let first = directories.first().cloned().unwrap_or_default();
        Ok(Self {
            directories,
            cordoned_directories,
            metadata_directory: metadata_directory.unwrap_or(first),
            journal_bytes: layers.get("milena.journal.bytes")?,
            recovery_threads_per_directory: layers.get("num.recovery.threads.per.data.dir")?,
            move_threads: layers.find("num.replica.alter.log.dirs.threads")?,
            directory_failure_timeout_ms: layers.get("log.dir.failure.timeout.ms")?,
            retention_check_interval_ms: layers.get("log.retention.check.interval.ms")?,
            recovery_checkpoint_interval_ms: layers
                .get("log.flush.offset.checkpoint.interval.ms")?,
            log_start_checkpoint_interval_ms: layers
                .get("log.flush.start.offset.checkpoint.interval.ms")?,
            flush_check_interval_ms: layers.get("log.flush.scheduler.interval.ms")?,
            producer_id_expiration_ms: layers.get("producer.id.expiration.ms")?,
            producer_id_check_interval_ms: layers
                .get("producer.id.expiration.check.interval.ms")?,
            cleaner: Cleaner::read(layers)?,
        })
    }
}

impl Cleaner {
    fn read(layers: &Layers) -> Result<Self, ConfigError> {
        Ok(Self {
            enabled: layers.get("log.cleaner.enable")?,
            threads: layers.get("log.cleaner.threads")?,
            key_memory_bytes: layers.get("log.cleaner.dedupe.buffer.size")?,
            buffer_bytes: layers.get("log.cleaner.io.buffer.size")?,
            load_factor: layers.get("log.cleaner.io.buffer.load.factor")?,
            bytes_per_second_max: layers.get("log.cleaner.io.max.bytes.per.second")?,
            backoff_ms: layers.get("log.cleaner.backoff.ms")?,
        })
    }
}

/// What a topic gets that is created without saying so, and whether topics come and go.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTopics {
    pub auto_create: bool,
    pub partitions: i32,
    pub replication_factor: i16,
    pub deletion_enabled: bool,
}

impl NewTopics {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        Ok(Self {
            auto_create: layers.get("auto.create.topics.enable")?,
            partitions: layers.get("num.partitions")?,
            replication_factor: layers.get("default.replication.factor")?,
            deletion_enabled: layers.get("delete.topic.enable")?,
        })
    }
}
