//! What the tests of the client run against: a broker inside the test, or the cluster that
//! `MILENA_TEST_BOOTSTRAP` names, which `run.sh` makes an Apache Kafka.
//!
//! A cluster may be shared, so every test works with names of its own.
#![forbid(unsafe_code)]

mod proxy;
mod script;
mod wire;

use milena_broker::{Embedded, EmbeddedError, embedded};
use milena_client::ClientConfig;
use milena_env::Random;

pub use proxy::{Proxy, Weather};
pub use script::{Request, Scripted};
pub use wire::{Stored, Wire};

/// Where the cluster is that somebody else has started.
const ELSEWHERE: &str = "MILENA_TEST_BOOTSTRAP";

/// A cluster for one test.
#[derive(Debug)]
pub struct Cluster {
    broker: Option<Embedded>,
    bootstrap: String,
    suffix: u64,
}

impl Cluster {
    /// Starts a broker, unless there is a cluster to use.
    pub fn start() -> Result<Self, EmbeddedError> {
        let suffix = Random::from_os().map_err(EmbeddedError::Random)?.next_u64();
        if let Ok(bootstrap) = std::env::var(ELSEWHERE) {
            return Ok(Self { broker: None, bootstrap, suffix });
        }
        let broker = embedded().start()?;
        let bootstrap = broker.bootstrap();
        Ok(Self { broker: Some(broker), bootstrap, suffix })
    }

    /// What clients take as `bootstrap.servers`.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Settings of a client that gives up soon enough for a test.
    #[must_use]
    pub fn config(&self) -> ClientConfig {
        ClientConfig::new(&self.bootstrap)
    }

    /// A name that no other test uses.
    #[must_use]
    pub fn name(&self, word: &str) -> String {
        format!("{word}-{:016x}", self.suffix)
    }

    /// Whether it is a broker inside the test, and so Milena for sure.
    #[must_use]
    pub const fn is_embedded(&self) -> bool {
        self.broker.is_some()
    }
}
