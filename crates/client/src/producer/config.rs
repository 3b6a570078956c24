//! Settings of a producer, by Kafka's keys.

use std::time::Duration;

use milena_protocol::records::{Codec, Level};

use crate::{
    config::{ClientConfig, Keys, Value, settings, unknown_key},
    error::{Error, Result},
};

/// Whose word it takes for a record to be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// Nobody's: what was sent is taken for delivered.
    None,
    /// The leader's alone.
    Leader,
    /// That of all replicas that are in sync.
    All,
}

impl Acks {
    pub(super) const fn number(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

impl Value for Acks {
    fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "0" => Ok(Self::None),
            "1" => Ok(Self::Leader),
            "all" | "-1" => Ok(Self::All),
            _ => Err(format!("\"{text}\" is none of 0, 1, all")),
        }
    }
}

/// How batches are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Compression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Compression {
    const ALL: [(Self, Codec); 5] = [
        (Self::None, Codec::None),
        (Self::Gzip, Codec::Gzip),
        (Self::Snappy, Codec::Snappy),
        (Self::Lz4, Codec::Lz4),
        (Self::Zstd, Codec::Zstd),
    ];

    pub(super) fn codec(self) -> Codec {
        let found = Self::ALL.iter().find(|(compression, _)| *compression == self);
        found.map_or(Codec::None, |(_, codec)| *codec)
    }
}

impl Value for Compression {
    fn parse(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, codec)| codec.name() == text.trim());
        found
            .map(|(compression, _)| *compression)
            .ok_or_else(|| format!("\"{text}\" is none of none, gzip, snappy, lz4, zstd"))
    }
}

settings! {
    /// How a producer gathers and sends.
    pub struct ProducerConfig {
        with client: ClientConfig;
        /// Whose word it takes for a record to be delivered.
        "acks" acks: Acks = Acks::All;
        /// How long a batch waits for more records.
        "linger.ms" linger: Duration = Duration::from_millis(5);
        /// How large a batch becomes, as it is sent: compressed, by how well its topic's last
        /// batches were. A larger record gets one of its own.
        "batch.size" batch_size: usize = 16_384;
        /// How much memory records may take that are not delivered yet.
        "buffer.memory" buffer_memory: usize = 32 << 20;
        /// How long `send` waits for memory, or to learn of a topic.
        "max.block.ms" max_block: Duration = Duration::from_secs(60);
        /// How large a request becomes, and so a record can be, before compression.
        "max.request.size" max_request_size: usize = 1 << 20;
        /// How long a record may take from `send` to its delivery, all retries included.
        "delivery.timeout.ms" delivery_timeout: Duration = Duration::from_secs(120);
        /// How many requests are under way to one broker.
        "max.in.flight.requests.per.connection" max_in_flight: usize = 5;
        /// How often a batch is sent again; `delivery.timeout.ms` is the better limit.
        "retries" retries: u32 = i32::MAX as u32;
        /// How batches are compressed.
        "compression.type" compression: Compression = Compression::None;
        /// How hard gzip tries, 1 to 9; -1 is its own choice.
        "compression.gzip.level" gzip_level: i32 = -1;
        /// How hard zstd tries, 1 to 22.
        "compression.zstd.level" zstd_level: i32 = 3;
        /// Whether brokers tell retries from new records, so that none is stored twice.
        "enable.idempotence" enable_idempotence: bool = true;
        /// Whether records are spread as if they had no keys.
        "partitioner.ignore.keys" ignore_keys: bool = false;
        /// Whether records without keys go rather to partitions of which less waits to be sent.
        "partitioner.adaptive.partitioning.enable" adaptive_partitioning: bool = true;
        /// How long a transaction may take before the broker aborts it.
        "transaction.timeout.ms" transaction_timeout: Duration = Duration::from_secs(60);
        names {
            /// The name under which transactions are made; none for a producer without.
            "transactional.id" transactional_id;
        }
    }
}

/// More than this many under way, and a broker cannot tell a retry from a gap.
const IDEMPOTENT_IN_FLIGHT_MAX: usize = 5;

impl ProducerConfig {
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

    /// Refuses what cannot work, before anything is begun.
    pub(super) fn check(&self) -> Result<()> {
        self.client.check()?;
        let refuse = |key, problem: &str| Err(Error::config(key, problem));
        if self.delivery_timeout < self.linger + self.client.request_timeout {
            return refuse(
                "delivery.timeout.ms",
                "must not be less than linger.ms and request.timeout.ms together",
            );
        }
        if self.max_in_flight == 0 {
            return refuse("max.in.flight.requests.per.connection", "must be at least 1");
        }
        if self.enable_idempotence {
            let fix = "or set enable.idempotence=false";
            if self.acks != Acks::All {
                return refuse("acks", &format!("idempotence needs acks=all; set it, {fix}"));
            }
            if self.max_in_flight > IDEMPOTENT_IN_FLIGHT_MAX {
                let key = "max.in.flight.requests.per.connection";
                return refuse(key, &format!("idempotence allows at most 5; set that, {fix}"));
            }
            if self.retries == 0 {
                return refuse("retries", &format!("idempotence needs some; set more, {fix}"));
            }
        } else if self.transactional_id.is_some() {
            return refuse("enable.idempotence", "transactions need it; set it to true");
        }
        if !(self.gzip_level == -1 || (1..=9).contains(&self.gzip_level)) {
            return refuse("compression.gzip.level", "must be -1, or 1 to 9");
        }
        if !(-131_072..=22).contains(&self.zstd_level) {
            return refuse("compression.zstd.level", "must be -131072 to 22");
        }
        Ok(())
    }

    pub(super) fn level(&self) -> Level {
        match self.compression {
            Compression::Gzip => Some(self.gzip_level).filter(|level| *level > 0),
            Compression::Zstd => Some(self.zstd_level),
            _ => None,
        }
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn what_cannot_work_together_names_the_key_and_the_fix() {
        let config = || ProducerConfig::new("localhost:9092");
        let told = |config: ProducerConfig| config.check().unwrap_err().to_string();
        assert!(config().check().is_ok());
        let wrong = config().set("delivery.timeout.ms", "30004").unwrap();
        assert!(told(wrong).starts_with("delivery.timeout.ms: must not be less than linger.ms"));
        let wrong = config().set("acks", "1").unwrap();
        assert!(told(wrong.clone()).starts_with("acks: idempotence needs acks=all"));
        assert!(wrong.set("enable.idempotence", "false").unwrap().check().is_ok());
        let wrong = config().max_in_flight(6_usize);
        assert!(told(wrong).starts_with("max.in.flight.requests.per.connection: idempotence"));
        assert!(told(config().retries(0_u32)).starts_with("retries: idempotence needs some"));
        let wrong = config().enable_idempotence(false).transactional_id("t");
        assert!(told(wrong).starts_with("enable.idempotence: transactions need it"));
        let wrong = config().set("client.id", "me").unwrap().set("compression.type", "lz5");
        assert_eq!(
            wrong.unwrap_err().to_string(),
            "compression.type: \"lz5\" is none of none, gzip, snappy, lz4, zstd"
        );
    }
}
