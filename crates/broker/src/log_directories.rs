//! The log directories of this broker: all of them opened before anything is served, and closed
//! again where that cannot begin. No record is looked at here.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use milena_config::ServerConfig;
use milena_env::Disk;
use milena_metadata::{METADATA_TOPIC, quorum::preview};
use milena_protocol::Offset;
use milena_storage::{
    DirectoryConfig, DirectoryIdentity, FirstLog, Log, LogDirectory, OpenOptions, StorageError,
    TopicPartition, Workers, check_directories,
};

use crate::{
    error::StartError,
    log_config::{log_config, topic_config},
    server::{Outside, new_uuid},
};

/// The log directories as they are after a start.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) directories: Vec<Arc<LogDirectory>>,
    /// Where those lie that could not be opened.
    pub(crate) closed: Vec<PathBuf>,
}

/// Where a directory of the settings lies, as Kafka tells it and wants to be told: its tools send
/// absolute paths alone. Links and `..` stay as they were written.
pub(crate) fn absolute(directory: &str) -> Result<PathBuf, StartError> {
    let path = std::path::absolute(directory).map_err(|source| {
        let path = PathBuf::from(directory);
        StorageError::Io { doing: "find", path, source }
    })?;
    // Without what ends in a slash.
    Ok(path.components().collect())
}

/// Opens all log directories. The first one holds the metadata and must open; of the others, one
/// whose disk fails stays offline, while one that is not ours is a mistake to be mended.
pub(crate) fn open(config: &ServerConfig, outside: &mut Outside) -> Result<Opened, StartError> {
    let paths = config.logs.directories.iter().map(|it| absolute(it));
    let paths: Vec<PathBuf> = paths.collect::<Result<_, StartError>>()?;
    let mut before = paths.iter().enumerate();
    if let Some((_, path)) = before.find(|(at, path)| paths.iter().take(*at).any(|it| it == *path))
    {
        return Err(StartError::NamedTwice(path.clone()));
    }
    let mut cluster_id = check_directories(&*outside.disk, &paths, config.node.id)?;
    metadata_first(&*outside.disk, &paths)?;
    let mut directories: Vec<Arc<LogDirectory>> = Vec::new();
    let mut closed = Vec::new();
    // After a crash a log that is not flushed at once has to be proven, and which those are the
    // metadata say; what else is set is put right once they are served.
    let image = OnceLock::new();
    let learn = |disk: &Arc<dyn Disk>, path: &Path, log: &Log| match preview(disk, path, log) {
        Ok(seen) => drop(image.set(seen)),
        Err(error) => tracing::warn!(%error, "logs are opened with the broker's own settings"),
    };
    let defaults = log_config(config, &config.topic_defaults);
    let settings = |topic: &str| match image.get() {
        _ if topic == METADATA_TOPIC => Arc::new(milena_metadata::quorum::log_config()),
        Some(image) => log_config(config, &topic_config(config, image, topic)),
        None => Arc::clone(&defaults),
    };
    for path in paths {
        let metadata_log = TopicPartition { topic: METADATA_TOPIC.into(), partition: 0 };
        let disk = Arc::clone(&outside.disk);
        if let Some(first) = directories.first()
            && image.get().is_none()
            && let Some(log) = first.log(&metadata_log)
        {
            learn(&disk, first.path(), &log);
        }
        let opened = LogDirectory::open(OpenOptions {
            disk: Arc::clone(&outside.disk),
            clock: Arc::clone(&outside.clock),
            path: path.clone(),
            identity: DirectoryIdentity {
                cluster_id: cluster_id.clone(),
                new_cluster_id: new_uuid(&mut outside.random).to_string(),
                node_id: config.node.id,
                new_directory_id: new_uuid(&mut outside.random),
            },
            config: DirectoryConfig {
                journal_bytes: config.logs.journal_bytes,
                ..DirectoryConfig::default()
            },
            new_ring_key: outside.random.uuid(),
            first: Some(FirstLog { name: metadata_log, opened: &|log| learn(&disk, &path, log) }),
            log_config: &settings,
            workers: Workers::Threads,
            threads: config.logs.recovery_threads_per_directory,
        });
        match opened {
            Ok(directory) => {
                cluster_id = Some(directory.meta().cluster_id.clone());
                directories.push(directory);
            }
            Err(error @ StorageError::Io { .. }) if !directories.is_empty() => {
                tracing::error!(%error, "log directory stays offline; its partitions are away");
                closed.push(path);
            }
            Err(error) => {
                close_again(&directories);
                return Err(error.into());
            }
        }
    }
    if let Err(error) = with_metadata(&directories) {
        close_again(&directories);
        return Err(error);
    }
    Ok(Opened { directories, closed })
}

/// The metadata are looked for in the first directory, and begun there if there are none: they must
/// not lie in another.
fn metadata_first(disk: &dyn Disk, paths: &[PathBuf]) -> Result<(), StartError> {
    let folder = format!("{METADATA_TOPIC}-0");
    let holder = paths.iter().position(|path| disk.metadata(&path.join(&folder)).is_ok());
    match holder.and_then(|at| paths.get(at)) {
        Some(path) if holder != Some(0) => Err(StartError::MetadataElsewhere(path.clone())),
        _ => Ok(()),
    }
}

/// A cluster without metadata knows no partition: all that there are would be set aside.
fn with_metadata(directories: &[Arc<LogDirectory>]) -> Result<(), StartError> {
    let metadata_log = TopicPartition { topic: METADATA_TOPIC.into(), partition: 0 };
    let metadata = directories.first().and_then(|first| first.log(&metadata_log));
    if metadata.is_some_and(|log| log.appended_end() > Offset::ZERO) {
        return Ok(());
    }
    for directory in directories {
        let logs = directory.logs();
        if let Some(log) = logs.iter().find(|log| *log.name().topic != *METADATA_TOPIC) {
            let (directory, partition) = (directory.path().to_owned(), log.name().clone());
            return Err(StartError::NoMetadata { directory, partition });
        }
    }
    Ok(())
}

/// After a start that failed: as they were, without a journal.
pub(crate) fn close_again(directories: &[Arc<LogDirectory>]) {
    for directory in directories.iter().filter(|directory| directory.offline().is_none()) {
        if let Err(error) = directory.close(directory.stopped_in().unwrap_or(-1)) {
            tracing::warn!(%error, "the next start replays the journal");
        }
    }
}

/// The epoch in which the broker was stopped cleanly; -1 unless all directories say the same.
pub(crate) fn previous_epoch(directories: &[Arc<LogDirectory>]) -> i64 {
    let mut epochs = directories.iter().map(|directory| directory.stopped_in());
    let first = epochs.next().flatten();
    first.filter(|_| epochs.all(|epoch| epoch == first)).unwrap_or(-1)
}
