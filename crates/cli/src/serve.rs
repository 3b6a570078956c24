//! `milena serve`: one broker, until a signal stops it.

use std::{
    io::Write,
    path::PathBuf,
    sync::{Arc, mpsc},
    time::Duration,
};

use milena_broker::{Outside, Server, StartError, StorageError};
use milena_config::{ConfigError, Entry, ServerConfig, properties};
use milena_env::{
    Clock, Disk, Random, RealClock, RealDisk, descriptors, memory, signals, spawn_thread,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};

use crate::logging;

/// As many segments as a log directory keeps open, and some thousand connections.
const DESCRIPTORS: u16 = 12_000;

/// Some requests of the usual size.
const MEMORY_KEPT: i32 = 8 << 20;
/// A request above that size, or one that only claims to be.
const MEMORY_ALONE: i32 = 1 << 20;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Settings as Kafka's server.properties has them.
    file: Option<PathBuf>,
    /// One setting, instead of what the file says.
    #[arg(long = "override", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot read {}: {source}; name a server.properties, or leave it out", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{0}")]
    Properties(String),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Stop(#[from] StorageError),
    #[error("the metadata log has failed: {0}; mend its disk and start again")]
    Metadata(String),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error(
        "start and stop were not finished within milena.shutdown.timeout.ms after the signal; the \
         next start replays the journal"
    )]
    TooLate,
}

/// `logs_json` asks for lines of JSON whatever the settings say.
pub(crate) fn run(arguments: &Arguments, logs_json: bool) -> Result<(), Error> {
    let clock: Arc<dyn Clock> = Arc::new(RealClock);
    let started = clock.monotonic();
    descriptors::reserve(DESCRIPTORS);
    memory::keep(MEMORY_KEPT, MEMORY_ALONE);
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let entries = read(&*disk, arguments)?;
    let (config, warnings) = ServerConfig::parse(&entries)?;
    logging::start(logs_json || config.node.logs_json);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let node_id = config.node.id;
    let data = config.logs.directories.join(",");
    let (stop, _running) = watch_signals(Duration::from_millis(config.node.shutdown_timeout_ms))?;
    let random = Random::from_os()?;
    let mut server = Server::start(config, Outside { disk, clock: Arc::clone(&clock), random })?;
    let took = (clock.monotonic() - started).as_millis();
    let address = server.addresses().first().map(ToString::to_string).unwrap_or_default();
    let cluster = server.cluster_id();
    let ready =
        format!("ready {address} node {node_id} cluster {cluster} data {data} in {took} ms\n");
    let mut out = std::io::stdout();
    out.write_all(ready.as_bytes())?;
    out.flush()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        tokio::select! {
            _ = stop => Ok(()),
            why = server.failed() => Err(Error::Metadata(why)),
        }
    })?;
    server.stop()?;
    tracing::info!("stopped");
    Ok(())
}

/// Tells of the first SIGTERM, Ctrl-C or SIGHUP (the terminal is gone; unless it was ignored from
/// the beginning, as under nohup), also while a start takes long or waits for a disk.
/// Whatever holds the stop up, the process ends in time, unless the second of these is
/// gone by then.
fn watch_signals(timeout: Duration) -> Result<(oneshot::Receiver<()>, mpsc::Sender<()>), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let guard = runtime.enter();
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let outlives_terminal = signals::is_hangup_ignored();
    let hangup = (!outlives_terminal).then(|| signal(SignalKind::hangup())).transpose()?;
    drop(guard);
    let (asked, stop) = oneshot::channel();
    let (running, ended) = mpsc::channel();
    spawn_thread("signals", move || {
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = first(hangup) => {}
            }
        });
        tracing::info!("stopping");
        let _ = asked.send(());
        if ended.recv_timeout(timeout) == Err(mpsc::RecvTimeoutError::Timeout) {
            // Where the terminal is gone nobody hears it, and it must end all the same.
            let _ = writeln!(std::io::stderr(), "milena: {}", Error::TooLate);
            std::process::exit(1);
        }
    })?;
    Ok((stop, running))
}

/// Until the signal comes; for ever where none is waited for.
async fn first(signal: Option<Signal>) {
    match signal {
        Some(mut signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// What the file and the command line say, in this order: the last one counts.
fn read(disk: &dyn Disk, arguments: &Arguments) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    if let Some(path) = &arguments.file {
        let bytes = disk.read(path).map_err(|source| Error::File { path: path.clone(), source })?;
        let of_file = properties::parse(&bytes)
            .map_err(|error| Error::Properties(format!("{}: {error}", path.display())))?;
        entries.extend(of_file);
    }
    for (number, text) in arguments.overrides.iter().enumerate() {
        let entry = properties::parse_override(number + 1, text);
        entries.push(entry.map_err(|error| Error::Properties(error.to_string()))?);
    }
    Ok(entries)
}
