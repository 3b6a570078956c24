//! Settings of a consumer.

use std::time::Duration;

use super::Assignor;
use crate::{
    config::{ClientConfig, Keys, Value, settings, unknown_key},
    error::{Error, Result},
};

settings! {
    /// What to read, how, and as whose member.
    pub struct ConsumerConfig {
        with client: ClientConfig;
        /// How the group agrees.
        "group.protocol" group_protocol: GroupProtocol = GroupProtocol::Classic;
        /// Assignors that this member can use, the best first. Only in classic groups.
        "partition.assignment.strategy" partition_assignment_strategy: Vec<Assignor> =
            vec![Assignor::Range, Assignor::CooperativeSticky];
        /// Where to begin where the group has committed nothing, or what it has is gone.
        "auto.offset.reset" auto_offset_reset: OffsetReset = OffsetReset::Latest;
        /// Whether what `poll` has given is committed at times, and when partitions are given away.
        "enable.auto.commit" enable_auto_commit: bool = true;
        /// How often.
        "auto.commit.interval.ms" auto_commit_interval: Duration = Duration::from_secs(5);
        /// Whether to read records of transactions that are not committed.
        "isolation.level" isolation_level: IsolationLevel = IsolationLevel::ReadUncommitted;
        /// How many bytes are worth an answer before `fetch.max.wait.ms` are over.
        "fetch.min.bytes" fetch_min_bytes: u32 = 1;
        /// How many bytes an answer may have, and how many may wait to be polled.
        "fetch.max.bytes" fetch_max_bytes: u32 = 50 << 20;
        /// How long a broker may wait for records.
        "fetch.max.wait.ms" fetch_max_wait: Duration = Duration::from_millis(500);
        /// How many bytes of one partition an answer may have. A partition is not asked for while
        /// as many of it wait to be polled.
        "max.partition.fetch.bytes" max_partition_fetch_bytes: u32 = 1 << 20;
        /// How many records `poll` gives at most.
        "max.poll.records" max_poll_records: usize = 500;
        /// How long this member may be away from `poll` before it is taken for stuck, and leaves.
        "max.poll.interval.ms" max_poll_interval: Duration = Duration::from_secs(300);
        /// How long the group waits for a sign of life. Only in classic groups.
        "session.timeout.ms" session_timeout: Duration = Duration::from_secs(45);
        /// How often to give one. Only in classic groups.
        "heartbeat.interval.ms" heartbeat_interval: Duration = Duration::from_secs(3);
        /// Whether to prove the checksums of what is read.
        "check.crcs" check_crcs: bool = true;
        /// Whether asking for a topic that is not there may create it.
        "allow.auto.create.topics" allow_auto_create_topics: bool = true;
        /// Whether patterns pass over topics of the cluster's own.
        "exclude.internal.topics" exclude_internal_topics: bool = true;
        names {
            /// The group to be a member of, or to commit for.
            "group.id" group_id;
            /// A name that stays the same over restarts: the group waits for this member to come
            /// back, until its session ends.
            "group.instance.id" group_instance_id;
            /// Which of the broker's assignors the group is to use; its own choice if none is
            /// named.
            "group.remote.assignor" group_remote_assignor;
        }
    }
}

/// How a group agrees on who reads what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupProtocol {
    /// One of the members decides, with one of its assignors.
    Classic,
    /// The broker decides (KIP-848).
    Consumer,
}

impl Value for GroupProtocol {
    fn parse(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "classic" => Ok(Self::Classic),
            "consumer" => Ok(Self::Consumer),
            _ => Err(format!("\"{text}\" is neither classic nor consumer")),
        }
    }
}

/// Which records to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum IsolationLevel {
    /// All.
    ReadUncommitted = 0,
    /// None of transactions that are open or aborted.
    ReadCommitted = 1,
}

impl Value for IsolationLevel {
    fn parse(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "read_uncommitted" => Ok(Self::ReadUncommitted),
            "read_committed" => Ok(Self::ReadCommitted),
            _ => Err(format!("\"{text}\" is neither read_uncommitted nor read_committed")),
        }
    }
}

/// Where to begin where there is no offset to begin at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetReset {
    /// With the first record there is.
    Earliest,
    /// With the next record that comes.
    Latest,
    /// Nowhere: `poll` says what is missing.
    None,
    /// With the first record that is no older than this.
    ByDuration(Duration),
}

impl Value for OffsetReset {
    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        match text.to_ascii_lowercase().as_str() {
            "earliest" => Ok(Self::Earliest),
            "latest" => Ok(Self::Latest),
            "none" => Ok(Self::None),
            lower => match lower.strip_prefix("by_duration:").and_then(iso_8601) {
                Some(duration) => Ok(Self::ByDuration(duration)),
                None => {
                    Err(format!("\"{text}\" is none of earliest, latest, none, by_duration:P3DT4H"))
                }
            },
        }
    }
}

/// A duration as Java writes it: `P1DT2H3M4.5S`, in small letters here.
fn iso_8601(text: &str) -> Option<Duration> {
    let (days, time) = match text.strip_prefix('p')?.split_once('t') {
        Some((days, time)) if !time.is_empty() => (days, time),
        Some(_) => return None,
        None => (text.strip_prefix('p')?, ""),
    };
    let mut total = Duration::ZERO;
    for (mut rest, units) in [(days, &[('d', 86_400.0)][..]), (time, &HOURS_AND_LESS)] {
        for (unit, seconds) in units {
            if let Some((number, after)) = rest.split_once(*unit) {
                let seconds = number.parse::<f64>().ok()? * seconds;
                total = total.checked_add(Duration::try_from_secs_f64(seconds).ok()?)?;
                rest = after;
            }
        }
        if !rest.is_empty() {
            return None;
        }
    }
    (text.len() > 1).then_some(total)
}

const HOURS_AND_LESS: [(char, f64); 3] = [('h', 3_600.0), ('m', 60.0), ('s', 1.0)];

impl ConsumerConfig {
    /// Kafka's defaults, with brokers to begin at: `host:port`, several with commas.
    #[must_use]
    pub fn new(bootstrap_servers: &str) -> Self {
        Self { client: ClientConfig::new(bootstrap_servers), ..Self::default() }
    }

    /// Makes one setting by Kafka's key.
    pub fn set(mut self, key: &str, value: &str) -> Result<Self> {
        self.try_set(key, value).unwrap_or_else(|| Err(unknown_key(key, Self::keys())))?;
        Ok(self)
    }

    /// Refuses what cannot work.
    pub(crate) fn check(&self) -> Result<()> {
        let least = [
            ("max.poll.records", self.max_poll_records),
            ("max.partition.fetch.bytes", self.max_partition_fetch_bytes as usize),
            ("fetch.max.bytes", self.fetch_max_bytes as usize),
            ("partition.assignment.strategy", self.partition_assignment_strategy.len()),
        ];
        if let Some((key, _)) = least.iter().find(|(_, value)| *value == 0) {
            return Err(Error::config(key, "must be at least one"));
        }
        if self.heartbeat_interval >= self.session_timeout {
            let problem = "must be shorter than session.timeout.ms";
            return Err(Error::config("heartbeat.interval.ms", problem));
        }
        if self.fetch_max_wait >= self.client.request_timeout {
            let problem = "must be shorter than request.timeout.ms";
            return Err(Error::config("fetch.max.wait.ms", problem));
        }
        if self.group_id.as_deref() == Some("") {
            return Err(Error::config("group.id", "must not be empty"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn settings_of_the_client_are_settings_of_the_consumer() {
        let config = ConsumerConfig::new("a:1").set("client.id", "me").unwrap();
        assert_eq!(&*config.client.client_id, "me");
        let config = config.set("auto.offset.reset", "by_duration:P1DT2M0.5S").unwrap();
        let duration = Duration::from_millis(86_520_500);
        assert_eq!(config.auto_offset_reset, OffsetReset::ByDuration(duration));
        let error = config.clone().set("auto.offset.rset", "earliest").unwrap_err();
        assert!(error.to_string().ends_with("auto.offset.reset was perhaps meant"), "{error}");
        for wrong in ["by_duration:", "by_duration:P", "by_duration:P1DT", "by_duration:P1X", "P1D"]
        {
            assert!(config.clone().set("auto.offset.reset", wrong).is_err(), "{wrong}");
        }
        assert!(config.check().is_ok());
    }

    #[test]
    fn what_cannot_work_is_refused_with_its_key() {
        let refused = |key: &str, value: &str| {
            let config = ConsumerConfig::new("a:1").set(key, value);
            config.and_then(|config| config.check()).unwrap_err().to_string()
        };
        assert!(refused("max.poll.records", "0").starts_with("max.poll.records: "));
        assert!(refused("heartbeat.interval.ms", "45000").starts_with("heartbeat.interval.ms: "));
        assert!(refused("fetch.max.wait.ms", "30000").starts_with("fetch.max.wait.ms: "));
        assert!(refused("group.protocol", "modern").contains("neither classic nor consumer"));
        assert!(refused("partition.assignment.strategy", "best").contains("roundrobin"));
    }
}
