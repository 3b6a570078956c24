//! Settings of every client, whatever it does.

use std::time::Duration;

use super::{Keys, settings, unknown_key};
use crate::error::{Error, Result};

settings! {
    /// How to reach a cluster, and how patient to be with it.
    pub struct ClientConfig {
        /// Where to begin: `host:port`, any brokers of the cluster.
        "bootstrap.servers" bootstrap_servers: Vec<String> = Vec::new();
        /// What brokers call this client in quotas and logs.
        "client.id" client_id: Box<str> = "milena-client".into();
        /// Where this client stands; brokers may serve it from a replica nearby.
        "client.rack" client_rack: Box<str> = "".into();
        /// How long one answer may take. The connection is given up then.
        "request.timeout.ms" request_timeout: Duration = Duration::from_secs(30);
        /// How long a call that may need several requests may take.
        "default.api.timeout.ms" default_api_timeout: Duration = Duration::from_secs(60);
        /// How long to wait before what failed is tried again; doubled each time.
        "retry.backoff.ms" retry_backoff: Duration = Duration::from_millis(100);
        /// The longest such wait.
        "retry.backoff.max.ms" retry_backoff_max: Duration = Duration::from_secs(1);
        /// How long to wait before a broker is connected to again; doubled each time.
        "reconnect.backoff.ms" reconnect_backoff: Duration = Duration::from_millis(50);
        /// The longest such wait.
        "reconnect.backoff.max.ms" reconnect_backoff_max: Duration = Duration::from_secs(1);
        /// How long it may take to connect.
        "socket.connection.setup.timeout.ms" connection_setup_timeout: Duration =
            Duration::from_secs(10);
        /// How long a connection is kept that nobody uses.
        "connections.max.idle.ms" connections_max_idle: Duration = Duration::from_secs(540);
        /// How old the picture of the cluster may become.
        "metadata.max.age.ms" metadata_max_age: Duration = Duration::from_secs(300);
        /// How long a topic stays in that picture that nobody asks for.
        "metadata.max.idle.ms" metadata_max_idle: Duration = Duration::from_secs(300);
        /// The longest answer that is accepted, in bytes.
        "receive.message.max.bytes" receive_message_max_bytes: usize = 100_000_000;
    }
}

impl ClientConfig {
    /// Kafka's defaults, with brokers to begin at: `host:port`, several with commas.
    #[must_use]
    pub fn new(bootstrap_servers: &str) -> Self {
        let mut config = Self::default();
        // A list of texts always can be read.
        let _ = config.try_set("bootstrap.servers", bootstrap_servers);
        config
    }

    /// Makes one setting by Kafka's key.
    pub fn set(mut self, key: &str, value: &str) -> Result<Self> {
        self.try_set(key, value).unwrap_or_else(|| Err(unknown_key(key, Self::keys())))?;
        Ok(self)
    }

    /// Refuses what cannot work, before anything is begun.
    pub(crate) fn check(&self) -> Result<()> {
        let key = "bootstrap.servers";
        if self.bootstrap_servers.is_empty() {
            return Err(Error::config(key, "name at least one broker, as in localhost:9092"));
        }
        for server in &self.bootstrap_servers {
            let port = server.rsplit_once(':').filter(|(host, _)| !host.is_empty());
            if !port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0)) {
                let problem = format!("\"{server}\" is not host:port, as in localhost:9092");
                return Err(Error::config(key, problem));
            }
        }
        Ok(())
    }
}
