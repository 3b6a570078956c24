//! What a partition's log and a log directory can be told, with Kafka's names and defaults.

use milena_protocol::records::{Codec, Level};

/// The settings of one log: Kafka's topic configuration, as far as the log acts on it.
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    /// `segment.bytes`
    pub segment_bytes: u32,
    /// `segment.ms`
    pub segment_ms: i64,
    /// `segment.jitter.ms`
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`
    pub index_interval_bytes: u32,
    /// `flush.messages`: 1, our default, acknowledges nothing before it is synced.
    pub flush_messages: i64,
    /// `retention.ms`, -1 for ever
    pub retention_ms: i64,
    /// `retention.bytes`, -1 without limit
    pub retention_bytes: i64,
    /// `file.delete.delay.ms`
    pub file_delete_delay_ms: i64,
    /// `cleanup.policy` contains `delete`
    pub delete: bool,
    /// `cleanup.policy` contains `compact`
    pub compact: bool,
    /// `delete.retention.ms`
    pub delete_retention_ms: i64,
    /// `min.compaction.lag.ms`
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`
    pub max_compaction_lag_ms: i64,
    /// `min.cleanable.dirty.ratio`
    pub min_cleanable_dirty_ratio: f64,
    /// `max.message.bytes`
    pub max_message_bytes: u32,
    /// `message.timestamp.type=LogAppendTime`
    pub log_append_time: bool,
    /// `message.timestamp.before.max.ms`
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`
    pub timestamp_after_max_ms: i64,
    /// `compression.type` and its level: how batches are stored; `None` keeps the producer's.
    pub compression: Option<(Codec, Level)>,
    /// `producer.id.expiration.ms`, a broker-wide setting
    pub producer_id_expiration_ms: i64,
    /// Appends go on where the disk has little more than its reserve left: what they say is how it
    /// gets room again.
    pub uses_reserve: bool,
}

const HOUR_MS: i64 = 3_600_000;

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 168 * HOUR_MS,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            flush_messages: 1,
            retention_ms: 168 * HOUR_MS,
            retention_bytes: -1,
            file_delete_delay_ms: 60_000,
            delete: true,
            compact: false,
            delete_retention_ms: 24 * HOUR_MS,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            min_cleanable_dirty_ratio: 0.5,
            max_message_bytes: (1 << 20) + 12,
            log_append_time: false,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: HOUR_MS,
            compression: None,
            producer_id_expiration_ms: 24 * HOUR_MS,
            uses_reserve: false,
        }
    }
}

impl LogConfig {
    /// Whether an acknowledgement waits for the journal.
    #[must_use]
    pub const fn is_journalled(&self) -> bool {
        self.flush_messages == 1
    }
}

/// The settings of a log directory.
#[derive(Clone, Debug)]
pub struct DirectoryConfig {
    /// `milena.journal.bytes`: how far the journal may grow.
    pub journal_bytes: u64,
    /// Length of each file of the journal but the two that it starts with.
    pub journal_file_bytes: u64,
    /// Length of the two files that a new journal starts with.
    pub journal_first_file_bytes: u64,
    /// Bytes of entries that one round takes at most.
    pub round_bytes_max: u64,
    /// Segments whose files are open at once.
    pub open_segments_max: usize,
    /// Above this many files a checkpoint syncs the whole file system instead of each.
    pub sync_each_max: usize,
    /// Bytes that a segment may gain before the kernel is asked to write it back.
    pub write_back_bytes: u64,
    /// Appends are refused when less than this would be left free.
    pub free_bytes_min: u64,
}

impl Default for DirectoryConfig {
    fn default() -> Self {
        Self {
            journal_bytes: 128 << 20,
            journal_file_bytes: 16 << 20,
            journal_first_file_bytes: 512 << 10,
            round_bytes_max: 8 << 20,
            open_segments_max: 8192,
            sync_each_max: 64,
            write_back_bytes: 1 << 20,
            free_bytes_min: 64 << 20,
        }
    }
}
