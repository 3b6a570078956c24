//! A topic's settings as its log understands them.

use std::sync::Arc;

use milena_config::{Entries, ServerConfig, TopicConfig};
use milena_metadata::image::{Config, ConfigResource, MetadataImage};
use milena_storage::LogConfig;

/// The effective settings of a topic.
pub(crate) fn topic_config(
    server: &ServerConfig,
    image: &MetadataImage,
    topic: &str,
) -> TopicConfig {
    let own = image.configs.of(&ConfigResource::topic(topic));
    server.topic_defaults.with(&entries(own))
}

/// What metadata say of settings, as `milena-config` wants it.
pub(crate) fn entries(config: &Config) -> Entries {
    config.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

pub(crate) fn log_config(server: &ServerConfig, topic: &TopicConfig) -> Arc<LogConfig> {
    Arc::new(LogConfig {
        segment_bytes: topic.segment_bytes,
        segment_ms: topic.segment_ms,
        segment_jitter_ms: topic.segment_jitter_ms,
        segment_index_bytes: topic.segment_index_bytes,
        index_interval_bytes: topic.index_interval_bytes,
        flush_messages: topic.flush_messages,
        retention_ms: topic.retention_ms,
        retention_bytes: topic.retention_bytes,
        file_delete_delay_ms: topic.file_delete_delay_ms,
        delete: topic.delete,
        compact: topic.compact,
        delete_retention_ms: topic.delete_retention_ms,
        min_compaction_lag_ms: topic.min_compaction_lag_ms,
        max_compaction_lag_ms: topic.max_compaction_lag_ms,
        min_cleanable_dirty_ratio: topic.min_cleanable_dirty_ratio,
        max_message_bytes: topic.max_message_bytes,
        log_append_time: topic.log_append_time,
        timestamp_before_max_ms: topic.timestamp_before_max_ms,
        timestamp_after_max_ms: topic.timestamp_after_max_ms,
        compression: topic.compression(),
        producer_id_expiration_ms: server.logs.producer_id_expiration_ms,
        uses_reserve: false,
    })
}
