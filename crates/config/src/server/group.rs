//! Groups of every protocol, committed offsets, and the topics in which coordinators keep them.

use super::{ConfigError, contradiction};
use crate::{definition::MINUTE_MS, keys::Scope, layers::Layers};

#[derive(Clone, Debug, PartialEq)]
pub struct Groups {
    /// `classic`, `consumer`, `share`, `streams`.
    pub protocols: Vec<String>,
    pub append_linger_ms: i64,
    pub buffer_bytes_max: u32,
    pub classic: ClassicGroups,
    pub consumer: ConsumerGroups,
    pub share: ShareGroups,
    pub streams: StreamsGroups,
    pub offsets: Offsets,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ClassicGroups {
    pub session_ms_min: i32,
    pub session_ms_max: i32,
    pub initial_rebalance_delay_ms: i32,
    pub size_max: usize,
}

/// A setting of single groups, and what they may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounded {
    pub default: i32,
    pub min: i32,
    pub max: i32,
}

/// What the groups with their coordinator's heartbeats have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Membership {
    pub session_ms: Bounded,
    pub heartbeat_ms: Bounded,
    pub assignment_ms: Bounded,
    pub size_max: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ConsumerGroups {
    pub membership: Membership,
    pub assignors: Vec<String>,
    /// `disabled`, `downgrade`, `upgrade` or `bidirectional`.
    pub migration_policy: String,
    pub regex_refresh_ms: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ShareGroups {
    pub membership: Membership,
    pub assignors: Vec<String>,
    pub delivery_count: Bounded,
    pub record_lock_ms: Bounded,
    pub partition_record_locks: Bounded,
    pub sessions_max: usize,
    pub initialize_retry_ms: u64,
    pub state: InternalTopic,
    pub snapshot_updates: u32,
    pub write_timeout_ms: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct StreamsGroups {
    pub membership: Membership,
    pub standby_replicas: i32,
    pub standby_replicas_max: i32,
    pub initial_rebalance_delay_ms: i32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Offsets {
    pub topic: InternalTopic,
    pub metadata_bytes_max: usize,
    pub retention_ms: i64,
    pub expiry_check_interval_ms: u64,
    pub commit_timeout_ms: u64,
    pub load_bytes: u32,
}

/// A topic in which a coordinator keeps its state.
#[derive(Clone, Debug, PartialEq)]
pub struct InternalTopic {
    pub partitions: i32,
    pub segment_bytes: u32,
    /// What somebody asked for; unset, it follows the number of brokers.
    replication_factor: Option<i16>,
    min_insync_replicas: Option<i32>,
}

impl InternalTopic {
    const REPLICAS: i16 = 3;
    const MIN_INSYNC: i32 = 2;

    /// From the keys that begin with `prefix`.
    pub(super) fn read(layers: &Layers, prefix: &str) -> Result<Self, ConfigError> {
        let factor = format!("{prefix}.replication.factor");
        let min_insync = format!("{prefix}.min.isr");
        let given = |key: &String| layers.fixed.contains_key(key);
        let min_insync_replicas = match Scope::Broker.find(&min_insync) {
            Some(_) if given(&min_insync) => Some(layers.get(&min_insync)?),
            Some(_) => None,
            // The topic of offsets has no such key.
            None => Some(layers.get("min.insync.replicas")?),
        };
        Ok(Self {
            partitions: layers.get(&format!("{prefix}.num.partitions"))?,
            segment_bytes: layers.get(&format!("{prefix}.segment.bytes"))?,
            replication_factor: given(&factor).then(|| layers.get(&factor)).transpose()?,
            min_insync_replicas,
        })
    }

    /// What was asked for, or as many as there are brokers, up to three.
    #[must_use]
    pub fn replication_factor(&self, brokers: usize) -> i16 {
        let most = i16::try_from(brokers).unwrap_or(i16::MAX).clamp(1, Self::REPLICAS);
        self.replication_factor.unwrap_or(most)
    }

    /// What was asked for, or two where there are two.
    #[must_use]
    pub fn min_insync_replicas(&self, brokers: usize) -> i32 {
        let most = i32::from(self.replication_factor(brokers)).clamp(1, Self::MIN_INSYNC);
        self.min_insync_replicas.unwrap_or(most)
    }
}

impl Groups {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let groups = Self {
            protocols: layers.get("group.coordinator.rebalance.protocols")?,
            append_linger_ms: layers.get("group.coordinator.append.linger.ms")?,
            buffer_bytes_max: layers.get("group.coordinator.cached.buffer.max.bytes")?,
            classic: ClassicGroups {
                session_ms_min: layers.get("group.min.session.timeout.ms")?,
                session_ms_max: layers.get("group.max.session.timeout.ms")?,
                initial_rebalance_delay_ms: layers.get("group.initial.rebalance.delay.ms")?,
                size_max: layers.get("group.max.size")?,
            },
            consumer: ConsumerGroups::read(layers)?,
            share: ShareGroups::read(layers)?,
            streams: StreamsGroups::read(layers)?,
            offsets: Offsets::read(layers)?,
        };
        if !groups.protocols.iter().any(|protocol| protocol == "classic") {
            let what = "classic groups are always served and must be named".to_owned();
            return Err(contradiction("group.coordinator.rebalance.protocols", what));
        }
        Ok(groups)
    }
}

/// `prefix.name` and its limits, `prefix.min.name` and `prefix.max.name`, which must lie around it.
fn bounded(layers: &Layers, prefix: &str, name: &str) -> Result<Bounded, ConfigError> {
    let key = format!("{prefix}.{name}");
    let (min_key, max_key) = (format!("{prefix}.min.{name}"), format!("{prefix}.max.{name}"));
    let (default, min, max) = (layers.get(&key)?, layers.get(&min_key)?, layers.get(&max_key)?);
    if min > max {
        return Err(contradiction(&min_key, format!("{min} is more than {max_key}={max}")));
    }
    if default < min {
        return Err(contradiction(&key, format!("{default} is less than {min_key}={min}")));
    }
    if default > max {
        return Err(contradiction(&key, format!("{default} is more than {max_key}={max}")));
    }
    Ok(Bounded { default, min, max })
}

impl Membership {
    fn read(layers: &Layers, prefix: &str) -> Result<Self, ConfigError> {
        let membership = Self {
            session_ms: bounded(layers, prefix, "session.timeout.ms")?,
            heartbeat_ms: bounded(layers, prefix, "heartbeat.interval.ms")?,
            assignment_ms: bounded(layers, prefix, "assignment.interval.ms")?,
            size_max: layers.get(&format!("{prefix}.max.size"))?,
        };
        let (heartbeat, session) = (membership.heartbeat_ms.default, membership.session_ms.default);
        if heartbeat >= session {
            let what =
                format!("{heartbeat} is not less than {prefix}.session.timeout.ms={session}");
            return Err(contradiction(&format!("{prefix}.heartbeat.interval.ms"), what));
        }
        Ok(membership)
    }
}

impl ConsumerGroups {
    fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let policy: String = layers.get("group.consumer.migration.policy")?;
        Ok(Self {
            membership: Membership::read(layers, "group.consumer")?,
            assignors: layers.get("group.consumer.assignors")?,
            migration_policy: policy.to_lowercase(),
            regex_refresh_ms: layers.get("group.consumer.regex.refresh.interval.ms")?,
        })
    }
}

impl ShareGroups {
    fn read(layers: &Layers) -> Result<Self, ConfigError> {
        Ok(Self {
            membership: Membership::read(layers, "group.share")?,
            assignors: layers.get("group.share.assignors")?,
            delivery_count: bounded(layers, "group.share", "delivery.count.limit")?,
            record_lock_ms: bounded(layers, "group.share", "record.lock.duration.ms")?,
            partition_record_locks: bounded(layers, "group.share", "partition.max.record.locks")?,
            sessions_max: layers.get("group.share.max.share.sessions")?,
            initialize_retry_ms: layers.get("group.share.initialize.retry.interval.ms")?,
            state: InternalTopic::read(layers, "share.coordinator.state.topic")?,
            snapshot_updates: layers
                .get("share.coordinator.snapshot.update.records.per.snapshot")?,
            write_timeout_ms: layers.get("share.coordinator.write.timeout.ms")?,
        })
    }
}

impl StreamsGroups {
    fn read(layers: &Layers) -> Result<Self, ConfigError> {
        Ok(Self {
            membership: Membership::read(layers, "group.streams")?,
            standby_replicas: layers.get("group.streams.num.standby.replicas")?,
            standby_replicas_max: layers.get("group.streams.max.standby.replicas")?,
            initial_rebalance_delay_ms: layers.get("group.streams.initial.rebalance.delay.ms")?,
        })
    }
}

impl Offsets {
    fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let retention_minutes: i64 = layers.get("offsets.retention.minutes")?;
        Ok(Self {
            topic: InternalTopic::read(layers, "offsets.topic")?,
            metadata_bytes_max: layers.get("offset.metadata.max.bytes")?,
            retention_ms: retention_minutes * MINUTE_MS,
            expiry_check_interval_ms: layers.get("offsets.retention.check.interval.ms")?,
            commit_timeout_ms: layers.get("offsets.commit.timeout.ms")?,
            load_bytes: layers.get("offsets.load.buffer.size")?,
        })
    }
}
