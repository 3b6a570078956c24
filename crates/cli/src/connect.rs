//! How commands reach a cluster.

use std::future::Future;

use milena_client::{ClientConfig, admin::Admin};

use crate::{
    failure::{Exit, Failure, Result},
    output::Screen,
};

/// Apart from what each command has of its own.
const HEADING: &str = "Options of all commands";

/// What all commands that ask a cluster understand.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Cluster {
    /// Brokers to begin at, with commas.
    #[arg(
        long,
        short,
        global = true,
        env = "MILENA_BOOTSTRAP",
        default_value = "127.0.0.1:9092",
        value_name = "HOST:PORT",
        help_heading = HEADING
    )]
    bootstrap: String,
    /// How long to wait for an answer, in seconds.
    #[arg(
        long,
        global = true,
        default_value_t = 15.0,
        value_name = "SECONDS",
        help_heading = HEADING
    )]
    timeout: f64,
    /// A setting of the client, by Kafka's key.
    #[arg(
        long = "client-config",
        short = 'X',
        global = true,
        value_name = "KEY=VALUE",
        help_heading = HEADING
    )]
    client_settings: Vec<String>,
    /// Print JSON.
    #[arg(long, global = true, help_heading = HEADING)]
    pub(crate) json: bool,
}

impl Cluster {
    pub(crate) fn screen(&self) -> Screen {
        Screen::new(self.json)
    }

    pub(crate) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    pub(crate) fn timeout_ms(&self) -> Result<u64> {
        if !self.timeout.is_finite() || self.timeout <= 0.0 || self.timeout > 1e6 {
            return Err(Failure::usage("--timeout takes seconds, as in --timeout 15"));
        }
        Ok((self.timeout * 1000.0).ceil() as u64)
    }

    /// The settings that were given beside the ones that have options of their own.
    pub(crate) fn settings(&self) -> Result<Vec<(&str, &str)>> {
        self.client_settings.iter().map(|text| key_value(text, "--client-config")).collect()
    }

    fn config(&self) -> Result<ClientConfig> {
        let mut config = self.usual_config()?;
        for (key, value) in self.settings()? {
            config = config.set(key, value)?;
        }
        Ok(config)
    }

    fn usual_config(&self) -> Result<ClientConfig> {
        let config = ClientConfig::new(&self.bootstrap)
            .set("client.id", "milena")?
            .set("default.api.timeout.ms", &self.timeout_ms()?.to_string())?;
        Ok(config)
    }

    pub(crate) fn admin(&self) -> Result<Admin> {
        Ok(Admin::connect(&self.config()?)?)
    }

    /// An admin client beside a producer or consumer, whose own settings it does not know.
    pub(crate) fn admin_beside(&self) -> Result<Admin> {
        let mut config = self.usual_config()?;
        for (key, value) in self.settings()? {
            if let Ok(better) = config.clone().set(key, value) {
                config = better;
            }
        }
        Ok(Admin::connect(&config)?)
    }

    /// Runs a command on a runtime of its own, until it is done or interrupted.
    pub(crate) fn run<T>(&self, command: impl Future<Output = Result<T>>) -> Result<T> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(command)
    }

    /// The same with an admin client.
    pub(crate) fn administer<T, F: Future<Output = Result<T>>>(
        &self,
        command: impl FnOnce(Admin) -> F,
    ) -> Result<T> {
        self.run(async { command(self.admin()?).await })
    }
}

/// `key=value` as an option takes it.
pub(crate) fn key_value<'t>(text: &'t str, option: &str) -> Result<(&'t str, &'t str)> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    pair.ok_or_else(|| Failure::usage(format!("{option} takes key=value, not `{text}`")))
}

/// `TOPIC-PARTITION` or `TOPIC:PARTITION`.
pub(crate) fn partition(text: &str) -> Result<(&str, i32)> {
    let parts = text.rsplit_once([':', '-']).filter(|(topic, _)| !topic.is_empty());
    let parts = parts.and_then(|(topic, number)| Some((topic, number.parse().ok()?)));
    parts.filter(|(_, number)| *number >= 0).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("`{text}` is not TOPIC-PARTITION, as in orders-0"))
    })
}
