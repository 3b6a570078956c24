//! What a topic is set to: its own values over the broker's.

use milena_protocol::records::{Codec, Level};

use crate::{
    definition::Definition,
    error::{Problem, ValueError},
    keys::Scope,
    layers::{Entries, Layers},
    value::{Typed, elements},
};

/// How batches are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionType {
    /// As the producer sent them.
    Producer,
    Codec(Codec),
}

/// The settings of one topic, in the units of their keys.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicConfig {
    pub segment_bytes: u32,
    pub segment_ms: i64,
    pub segment_jitter_ms: i64,
    pub segment_index_bytes: u32,
    pub index_interval_bytes: u32,
    pub flush_messages: i64,
    pub flush_ms: i64,
    pub retention_ms: i64,
    pub retention_bytes: i64,
    pub local_retention_ms: i64,
    pub local_retention_bytes: i64,
    pub file_delete_delay_ms: i64,
    /// `cleanup.policy` contains `delete`.
    pub delete: bool,
    /// `cleanup.policy` contains `compact`.
    pub compact: bool,
    pub delete_retention_ms: i64,
    pub min_compaction_lag_ms: i64,
    pub max_compaction_lag_ms: i64,
    pub min_cleanable_dirty_ratio: f64,
    pub max_message_bytes: u32,
    /// `message.timestamp.type` is `LogAppendTime`.
    pub log_append_time: bool,
    pub timestamp_before_max_ms: i64,
    pub timestamp_after_max_ms: i64,
    pub compression_type: CompressionType,
    pub gzip_level: i32,
    pub lz4_level: i32,
    pub zstd_level: i32,
    pub min_insync_replicas: i32,
    pub unclean_leader_election: bool,
    pub leader_throttled_replicas: Vec<String>,
    pub follower_throttled_replicas: Vec<String>,
}

impl TopicConfig {
    /// Of a topic that sets nothing itself.
    pub(crate) fn defaults(layers: &Layers) -> Result<Self, ValueError> {
        let mut config = Self::EMPTY;
        // In reverse, so that `internal.segment.bytes` comes after `segment.bytes`.
        for definition in Scope::Topic.keys().rev() {
            let value = layers.synonym(definition);
            if let Some(value) = value.as_deref().or(definition.default) {
                config.set(definition, value)?;
            }
        }
        Ok(config)
    }

    /// Of a topic with these values of its own. They were judged when they were set; what is not
    /// allowed any more is left out.
    #[must_use]
    pub fn with(&self, overrides: &Entries) -> Self {
        let mut config = self.clone();
        for (key, written) in overrides.iter().rev() {
            let definition = Scope::Topic.find(key);
            let value = definition.and_then(|key| Some((key, key.canonical(written).ok()?)));
            // A value that is refused here leaves the default.
            let _ = value.map(|(key, value)| config.set(key, &value));
        }
        config
    }

    /// The codec in which batches are stored, unless it is the producer's.
    #[must_use]
    pub fn compression(&self) -> Option<(Codec, Level)> {
        let CompressionType::Codec(codec) = self.compression_type else { return None };
        let level = match codec {
            Codec::Gzip if self.gzip_level != -1 => Some(self.gzip_level),
            Codec::Lz4 => Some(self.lz4_level),
            Codec::Zstd => Some(self.zstd_level),
            Codec::Gzip | Codec::None | Codec::Snappy => None,
        };
        Some((codec, level))
    }

    /// Before any value is set; no key but the empty lists keeps this.
    const EMPTY: Self = Self {
        segment_bytes: 0,
        segment_ms: 0,
        segment_jitter_ms: 0,
        segment_index_bytes: 0,
        index_interval_bytes: 0,
        flush_messages: 0,
        flush_ms: 0,
        retention_ms: 0,
        retention_bytes: 0,
        local_retention_ms: 0,
        local_retention_bytes: 0,
        file_delete_delay_ms: 0,
        delete: false,
        compact: false,
        delete_retention_ms: 0,
        min_compaction_lag_ms: 0,
        max_compaction_lag_ms: 0,
        min_cleanable_dirty_ratio: 0.0,
        max_message_bytes: 0,
        log_append_time: false,
        timestamp_before_max_ms: 0,
        timestamp_after_max_ms: 0,
        compression_type: CompressionType::Producer,
        gzip_level: 0,
        lz4_level: 0,
        zstd_level: 0,
        min_insync_replicas: 0,
        unclean_leader_election: false,
        leader_throttled_replicas: Vec::new(),
        follower_throttled_replicas: Vec::new(),
    };

    /// Takes one canonical value in.
    pub(crate) fn set(&mut self, key: &Definition, value: &str) -> Result<(), ValueError> {
        let done = match key.name {
            "segment.bytes" | "internal.segment.bytes" => put(&mut self.segment_bytes, value),
            "segment.ms" => put(&mut self.segment_ms, value),
            "segment.jitter.ms" => put(&mut self.segment_jitter_ms, value),
            "segment.index.bytes" => put(&mut self.segment_index_bytes, value),
            "index.interval.bytes" => put(&mut self.index_interval_bytes, value),
            "flush.messages" => put(&mut self.flush_messages, value),
            "flush.ms" => put(&mut self.flush_ms, value),
            "retention.ms" => put(&mut self.retention_ms, value),
            "retention.bytes" => put(&mut self.retention_bytes, value),
            "local.retention.ms" => put(&mut self.local_retention_ms, value),
            "local.retention.bytes" => put(&mut self.local_retention_bytes, value),
            "file.delete.delay.ms" => put(&mut self.file_delete_delay_ms, value),
            "cleanup.policy" => {
                self.delete = elements(value).any(|policy| policy == "delete");
                self.compact = elements(value).any(|policy| policy == "compact");
                Some(())
            }
            "delete.retention.ms" => put(&mut self.delete_retention_ms, value),
            "min.compaction.lag.ms" => put(&mut self.min_compaction_lag_ms, value),
            "max.compaction.lag.ms" => put(&mut self.max_compaction_lag_ms, value),
            "min.cleanable.dirty.ratio" => put(&mut self.min_cleanable_dirty_ratio, value),
            "max.message.bytes" => put(&mut self.max_message_bytes, value),
            "message.timestamp.type" => {
                self.log_append_time = value == "LogAppendTime";
                Some(())
            }
            "message.timestamp.before.max.ms" => put(&mut self.timestamp_before_max_ms, value),
            "message.timestamp.after.max.ms" => put(&mut self.timestamp_after_max_ms, value),
            "compression.type" => {
                let codec = Codec::ALL.into_iter().find(|codec| codec.name() == value);
                self.compression_type = match value {
                    "uncompressed" => CompressionType::Codec(Codec::None),
                    _ => codec.map_or(CompressionType::Producer, CompressionType::Codec),
                };
                Some(())
            }
            "compression.gzip.level" => put(&mut self.gzip_level, value),
            "compression.lz4.level" => put(&mut self.lz4_level, value),
            "compression.zstd.level" => put(&mut self.zstd_level, value),
            "min.insync.replicas" => put(&mut self.min_insync_replicas, value),
            "unclean.leader.election.enable" => put(&mut self.unclean_leader_election, value),
            "leader.replication.throttled.replicas" => {
                put(&mut self.leader_throttled_replicas, value)
            }
            "follower.replication.throttled.replicas" => {
                put(&mut self.follower_throttled_replicas, value)
            }
            // Tiered storage is not served, and segments are not preallocated.
            _ => Some(()),
        };
        // Only a number without sign can be refused here.
        done.ok_or_else(|| ValueError::new(key.name, value, Problem::Below(0.0)))
    }
}

fn put<T: Typed>(place: &mut T, value: &str) -> Option<()> {
    *place = T::read(value)?;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> TopicConfig {
        let entries = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        TopicConfig::defaults(&Layers::default()).unwrap().with(&entries.collect())
    }

    /// Whatever is read by the wrong key, or by none, shows here.
    #[test]
    fn every_key_changes_the_topic() {
        // What nothing is done with.
        let ignored = [
            "preallocate",
            "remote.log.copy.disable",
            "remote.log.delete.on.disable",
            "remote.storage.enable",
        ];
        let defaults = of(&[]);
        let mut seen = Vec::new();
        for key in Scope::Topic.keys().filter(|key| !ignored.contains(&key.name)) {
            let candidates =
                ["7654321", "4", "0.25", "true", "zstd", "compact", "0:1", "LogAppendTime"];
            let values = candidates.into_iter().filter(|value| key.canonical(value).is_ok());
            let changed =
                values.map(|value| of(&[(key.name, value)])).find(|topic| *topic != defaults);
            let changed = changed.unwrap_or_else(|| panic!("{} changes nothing", key.name));
            assert!(key.name == "segment.bytes" || !seen.contains(&changed), "{}", key.name);
            seen.push(changed);
        }
        assert_eq!(seen.len() + ignored.len(), Scope::Topic.keys().count());
    }

    #[test]
    fn the_codec_has_the_level_of_its_own_key() {
        let levels = [
            ("compression.gzip.level", "5"),
            ("compression.lz4.level", "6"),
            ("compression.zstd.level", "-7"),
        ];
        for (name, codec, level) in [
            ("uncompressed", Codec::None, None),
            ("gzip", Codec::Gzip, Some(5)),
            ("snappy", Codec::Snappy, None),
            ("lz4", Codec::Lz4, Some(6)),
            ("zstd", Codec::Zstd, Some(-7)),
        ] {
            let topic = of(&[levels.as_slice(), &[("compression.type", name)]].concat());
            assert_eq!(topic.compression(), Some((codec, level)));
        }
        assert_eq!(of(&levels).compression(), None);
        assert_eq!(of(&[("compression.type", "gzip")]).compression(), Some((Codec::Gzip, None)));
    }

    #[test]
    fn what_is_not_allowed_any_more_is_left_out() {
        let defaults = of(&[]);
        assert_eq!(of(&[("segment.bytes", "1"), ("gone", "1"), ("retention.ms", "x")]), defaults);
        assert_eq!(of(&[("internal.segment.bytes", "-1")]), defaults);
        let small = of(&[("internal.segment.bytes", "100"), ("segment.bytes", "2097152")]);
        assert_eq!(small.segment_bytes, 100);
    }
}
