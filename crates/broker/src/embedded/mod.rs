//! A broker inside a test: on a free port, with data in a temporary folder that goes with it.
//!
//! It is the broker that `milena serve` runs, on the machine's disk and clock. Only what it is set
//! to differs, since a test is small and does not want to wait, and that it does not sync what
//! nobody will look for after a power failure.

mod unsynced;

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process,
    sync::Arc,
};

use milena_config::{ConfigError, ServerConfig, properties};
use milena_env::{Clock, Disk, Random, RealClock, RealDisk, spawn_thread};
use milena_storage::StorageError;

use self::unsynced::UnsyncedDisk;
use crate::{
    error::StartError,
    server::{Outside, Server},
};

/// What a test wants otherwise than a machine that serves: the smallest journal, one I/O thread, no
/// wait for more members of a group, and a stop that does not wait long for who still asks.
const SETTINGS: [(&str, &str); 5] = [
    ("group.initial.rebalance.delay.ms", "0"),
    ("listeners", "PLAINTEXT://127.0.0.1:0"),
    ("milena.journal.bytes", "4194304"),
    ("milena.shutdown.timeout.ms", "1000"),
    ("num.network.threads", "1"),
];

/// A broker inside this process, not yet started.
///
/// ```
/// let broker = milena_broker::embedded().set("num.partitions", "3").start()?;
/// println!("clients begin at {}", broker.bootstrap());
/// broker.stop()?;
/// # Ok::<(), milena_broker::EmbeddedError>(())
/// ```
#[must_use]
pub fn embedded() -> EmbeddedBuilder {
    let settings = SETTINGS.map(|(key, value)| (key.to_owned(), value.to_owned()));
    EmbeddedBuilder { settings: settings.into(), directory: None }
}

/// What an embedded broker shall be. [`embedded`] makes one.
#[derive(Clone, Debug)]
pub struct EmbeddedBuilder {
    settings: Vec<(String, String)>,
    directory: Option<PathBuf>,
}

/// Why an embedded broker does not start or stop.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("`{0}` must be key=value")]
    Setting(String),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("no temporary folder at {}: {source}", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("no random numbers: {0}")]
    Random(io::Error),
    #[error("no thread to start or stop on: {0}")]
    Thread(io::Error),
    #[error(transparent)]
    Stop(#[from] StorageError),
}

/// A running broker. Dropping it stops it and removes its folder.
#[derive(Debug)]
pub struct Embedded {
    server: Option<Server>,
    address: SocketAddr,
    data: Data,
}

/// Where the data are, and whether they go with the broker.
#[derive(Debug)]
struct Data {
    path: PathBuf,
    is_temporary: bool,
}

impl EmbeddedBuilder {
    /// Makes one setting, by its key in `server.properties`.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Keeps the data in this folder, which stays and is synced as `milena serve` does it; so a
    /// test can start a broker on it again.
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(path.into());
        self
    }

    /// Starts the broker. It accepts connections when this returns.
    pub fn start(self) -> Result<Embedded, EmbeddedError> {
        let mut random = Random::from_os().map_err(EmbeddedError::Random)?;
        let (data, disk): (_, Arc<dyn Disk>) = match self.directory {
            Some(path) => (Data { path, is_temporary: false }, Arc::new(RealDisk)),
            None => (Data::temporary(&mut random)?, Arc::new(UnsyncedDisk)),
        };
        let folder = data.path.display().to_string();
        let settings = self.settings.into_iter().chain([("log.dirs".to_owned(), folder)]);
        let entries = (1..).zip(settings).map(|(number, (key, value))| {
            let text = format!("{key}={value}");
            properties::parse_override(number, &text).map_err(|_| EmbeddedError::Setting(text))
        });
        let (config, _) = ServerConfig::parse(&entries.collect::<Result<Vec<_>, _>>()?)?;
        let clock: Arc<dyn Clock> = Arc::new(RealClock);
        let server = apart(move || Server::start(config, Outside { disk, clock, random }))??;
        let address = server.addresses().first().copied();
        let address = address.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
        Ok(Embedded { server: Some(server), address, data })
    }
}

impl Embedded {
    /// What clients take as `bootstrap.servers`.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.address.to_string()
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its data are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.data.path
    }

    /// Stops as a served broker does, and says if that failed; dropping it does not say.
    pub fn stop(mut self) -> Result<(), EmbeddedError> {
        match self.server.take() {
            Some(server) => Ok(apart(move || server.stop())??),
            None => Ok(()),
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        let Some(server) = self.server.take() else { return };
        match apart(move || server.stop()) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "an embedded broker has not stopped in order"),
            Err(error) => tracing::warn!(%error, "an embedded broker has not stopped"),
        }
    }
}

/// Runs on a thread of its own and waits: a test may be asynchronous, and whoever drives a runtime
/// cannot drive another one meanwhile.
fn apart<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> Result<T, EmbeddedError> {
    let thread = spawn_thread("embedded", run).map_err(EmbeddedError::Thread)?;
    thread.join().or_else(|panic| std::panic::resume_unwind(panic))
}

impl Data {
    fn temporary(random: &mut Random) -> Result<Self, EmbeddedError> {
        let name = format!("milena-{}-{:016x}", process::id(), random.next_u64());
        let path = std::env::temp_dir().join(name);
        let made = RealDisk.create_dir_all(&path);
        made.map_err(|source| EmbeddedError::Folder { path: path.clone(), source })?;
        Ok(Self { path, is_temporary: true })
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        if self.is_temporary
            && let Err(error) = RealDisk.remove_dir_all(&self.path)
        {
            tracing::warn!(%error, path = %self.path.display(), "a temporary folder stays");
        }
    }
}
