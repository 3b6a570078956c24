//! The node, its place in the cluster, replication, transactions and quotas.

use super::{ConfigError, contradiction, group::InternalTopic};
use crate::{layers::Layers, value::host_and_port};

#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub id: i32,
    pub is_broker: bool,
    pub is_controller: bool,
    pub rack: Option<String>,
    pub memory_budget_bytes: usize,
    pub shutdown_timeout_ms: u64,
    /// Whether lines on standard error are JSON.
    pub logs_json: bool,
    pub hands_over_before_stop: bool,
    pub authorizer: String,
    pub telemetry_bytes_max: usize,
    /// Whether API versions are served that may still change.
    pub unstable_api_versions: bool,
}

impl Node {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let roles: Vec<String> = layers.get("process.roles")?;
        let log_format: String = layers.get("milena.log.format")?;
        Ok(Self {
            id: layers.get("node.id")?,
            is_broker: roles.iter().any(|role| role == "broker"),
            is_controller: roles.iter().any(|role| role == "controller"),
            rack: layers.find("broker.rack")?,
            memory_budget_bytes: layers.get("milena.memory.budget.bytes")?,
            shutdown_timeout_ms: layers.get("milena.shutdown.timeout.ms")?,
            logs_json: log_format == "json",
            hands_over_before_stop: layers.get("controlled.shutdown.enable")?,
            authorizer: layers.get("authorizer.class.name")?,
            telemetry_bytes_max: layers.get("telemetry.max.bytes")?,
            unstable_api_versions: layers.get("unstable.api.versions.enable")?,
        })
    }
}

/// One of a fixed quorum's voters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voter {
    pub id: i32,
    pub host: String,
    pub port: u16,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Quorum {
    /// Empty where the quorum is found by other means, or is this node alone.
    pub voters: Vec<Voter>,
    pub bootstrap_servers: Vec<String>,
    pub joins_by_itself: bool,
    pub election_timeout_ms: u64,
    pub election_backoff_ms_max: u64,
    pub fetch_timeout_ms: u64,
    pub request_timeout_ms: u64,
    pub retry_backoff_ms: u64,
    pub append_linger_ms: u64,
    pub fetch_bytes_max: u32,
    pub fetch_snapshot_bytes_max: u32,
    pub heartbeat_interval_ms: u64,
    pub session_timeout_ms: u64,
    pub registration_timeout_ms: u64,
    pub controller_request_timeout_ms: u64,
    pub idle_record_interval_ms: u64,
    pub snapshot_after_bytes: u64,
    /// 0 for no limit.
    pub snapshot_after_ms: u64,
    pub log_segment_bytes: u32,
    pub log_segment_ms: i64,
    pub log_retention_bytes: i64,
    pub log_retention_ms: i64,
}

impl Quorum {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let voters: Vec<String> = layers.get("controller.quorum.voters")?;
        let internal_segment_bytes: Option<u32> =
            layers.find("internal.metadata.log.segment.bytes")?;
        Ok(Self {
            voters: voters.iter().filter_map(|text| voter(text)).collect(),
            bootstrap_servers: layers.get("controller.quorum.bootstrap.servers")?,
            joins_by_itself: layers.get("controller.quorum.auto.join.enable")?,
            election_timeout_ms: layers.get("controller.quorum.election.timeout.ms")?,
            election_backoff_ms_max: layers.get("controller.quorum.election.backoff.max.ms")?,
            fetch_timeout_ms: layers.get("controller.quorum.fetch.timeout.ms")?,
            request_timeout_ms: layers.get("controller.quorum.request.timeout.ms")?,
            retry_backoff_ms: layers.get("controller.quorum.retry.backoff.ms")?,
            append_linger_ms: layers.get("controller.quorum.append.linger.ms")?,
            fetch_bytes_max: layers.get("controller.quorum.fetch.max.bytes")?,
            fetch_snapshot_bytes_max: layers.get("controller.quorum.fetch.snapshot.max.bytes")?,
            heartbeat_interval_ms: layers.get("broker.heartbeat.interval.ms")?,
            session_timeout_ms: layers.get("broker.session.timeout.ms")?,
            registration_timeout_ms: layers.get("initial.broker.registration.timeout.ms")?,
            controller_request_timeout_ms: layers.get("controller.socket.timeout.ms")?,
            idle_record_interval_ms: layers.get("metadata.max.idle.interval.ms")?,
            snapshot_after_bytes: layers.get("metadata.log.max.record.bytes.between.snapshots")?,
            snapshot_after_ms: layers.get("metadata.log.max.snapshot.interval.ms")?,
            log_segment_bytes: match internal_segment_bytes {
                Some(bytes) => bytes,
                None => layers.get("metadata.log.segment.bytes")?,
            },
            log_segment_ms: layers.get("metadata.log.segment.ms")?,
            log_retention_bytes: layers.get("metadata.max.retention.bytes")?,
            log_retention_ms: layers.get("metadata.max.retention.ms")?,
        })
    }
}

fn voter(text: &str) -> Option<Voter> {
    let (id, address) = text.split_once('@')?;
    let (host, port) = host_and_port(address)?;
    Some(Voter { id: id.parse().ok()?, host: host.to_owned(), port })
}

#[derive(Clone, Debug, PartialEq)]
pub struct Replication {
    pub fetchers: usize,
    pub lag_ms_max: u64,
    pub fetch_wait_ms_max: i32,
    pub fetch_bytes_min: i32,
    pub fetch_partition_bytes_max: i32,
    pub fetch_bytes_max: i32,
    pub fetch_backoff_ms: u64,
    pub socket_timeout_ms: u64,
    pub socket_receive_buffer_bytes: i32,
    pub high_watermark_checkpoint_interval_ms: u64,
    pub rebalances_leaders: bool,
    pub leader_imbalance_check_interval_s: u64,
    pub unclean_election_check_interval_ms: u64,
}

impl Replication {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let replication = Self {
            fetchers: layers.get("num.replica.fetchers")?,
            lag_ms_max: layers.get("replica.lag.time.max.ms")?,
            fetch_wait_ms_max: layers.get("replica.fetch.wait.max.ms")?,
            fetch_bytes_min: layers.get("replica.fetch.min.bytes")?,
            fetch_partition_bytes_max: layers.get("replica.fetch.max.bytes")?,
            fetch_bytes_max: layers.get("replica.fetch.response.max.bytes")?,
            fetch_backoff_ms: layers.get("replica.fetch.backoff.ms")?,
            socket_timeout_ms: layers.get("replica.socket.timeout.ms")?,
            socket_receive_buffer_bytes: layers.get("replica.socket.receive.buffer.bytes")?,
            high_watermark_checkpoint_interval_ms: layers
                .get("replica.high.watermark.checkpoint.interval.ms")?,
            rebalances_leaders: layers.get("auto.leader.rebalance.enable")?,
            leader_imbalance_check_interval_s: layers
                .get("leader.imbalance.check.interval.seconds")?,
            unclean_election_check_interval_ms: layers
                .get("unclean.leader.election.interval.ms")?,
        };
        let wait_ms = u64::try_from(replication.fetch_wait_ms_max).unwrap_or(0);
        for (key, limit) in [
            ("replica.socket.timeout.ms", replication.socket_timeout_ms),
            ("replica.lag.time.max.ms", replication.lag_ms_max),
        ] {
            if wait_ms > limit {
                let what = format!("{wait_ms} is more than {key}={limit}, so every fetch fails");
                return Err(contradiction("replica.fetch.wait.max.ms", what));
            }
        }
        Ok(replication)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Transactions {
    pub topic: InternalTopic,
    pub timeout_ms_max: i32,
    pub id_expiration_ms: i64,
    pub abort_check_interval_ms: u64,
    pub expiry_check_interval_ms: u64,
    pub load_bytes: u32,
    pub verifies_partitions: bool,
    pub two_phase_commit: bool,
    pub add_partitions_retry_ms: u64,
    pub add_partitions_retry_ms_max: u64,
}

impl Transactions {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        Ok(Self {
            topic: InternalTopic::read(layers, "transaction.state.log")?,
            timeout_ms_max: layers.get("transaction.max.timeout.ms")?,
            id_expiration_ms: layers.get("transactional.id.expiration.ms")?,
            abort_check_interval_ms: layers
                .get("transaction.abort.timed.out.transaction.cleanup.interval.ms")?,
            expiry_check_interval_ms: layers
                .get("transaction.remove.expired.transaction.cleanup.interval.ms")?,
            load_bytes: layers.get("transaction.state.log.load.buffer.size")?,
            verifies_partitions: layers.get("transaction.partition.verification.enable")?,
            two_phase_commit: layers.get("transaction.two.phase.commit.enable")?,
            add_partitions_retry_ms: layers.get("add.partitions.to.txn.retry.backoff.ms")?,
            add_partitions_retry_ms_max: layers
                .get("add.partitions.to.txn.retry.backoff.max.ms")?,
        })
    }
}

/// Samples over which a rate is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub samples: u32,
    pub sample_s: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Quotas {
    pub clients: Window,
    pub controller: Window,
    pub replication: Window,
    pub moves: Window,
    /// Bytes a second; only ever set while the broker runs.
    pub leader_replication_rate: Option<i64>,
    pub follower_replication_rate: Option<i64>,
    pub move_rate: Option<u64>,
}

impl Quotas {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let window = |samples, sample_s| -> Result<Window, ConfigError> {
            Ok(Window { samples: layers.get(samples)?, sample_s: layers.get(sample_s)? })
        };
        Ok(Self {
            clients: window("quota.window.num", "quota.window.size.seconds")?,
            controller: window(
                "controller.quota.window.num",
                "controller.quota.window.size.seconds",
            )?,
            replication: window(
                "replication.quota.window.num",
                "replication.quota.window.size.seconds",
            )?,
            moves: window(
                "alter.log.dirs.replication.quota.window.num",
                "alter.log.dirs.replication.quota.window.size.seconds",
            )?,
            leader_replication_rate: layers.find("leader.replication.throttled.rate")?,
            follower_replication_rate: layers.find("follower.replication.throttled.rate")?,
            move_rate: layers.find("replica.alter.log.dirs.io.max.bytes.per.second")?,
        })
    }
}
