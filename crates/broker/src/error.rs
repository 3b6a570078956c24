//! Why a broker does not start, in words that say what to do.

use std::{
    io::{self, ErrorKind},
    path::PathBuf,
};

use milena_storage::{StorageError, TopicPartition};

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{error}{advice}", error = .0, advice = mending(.0))]
    Storage(#[from] StorageError),
    #[error("{error}{advice}", error = .0, advice = mending_metadata(.0))]
    Metadata(#[from] milena_metadata::StartError),
    #[error(
        "log directory {} holds {partition} but no metadata that could know it; put \
         __cluster_metadata-0 back, or choose another log.dirs", directory.display()
    )]
    NoMetadata { directory: PathBuf, partition: TopicPartition },
    #[error(
        "log directory {} holds the cluster's metadata, which are looked for in the first of \
         log.dirs alone; name it first", .0.display()
    )]
    MetadataElsewhere(PathBuf),
    #[error("cannot listen on {address}: {source}; {}", another(.source))]
    Port { address: String, source: io::Error },
    #[error(
        "cannot open milena.metrics.listener={address}: {source}; choose another port or address, \
         or leave the key out"
    )]
    MetricsPort { address: String, source: io::Error },
    #[error(
        "listeners: {listener}://:{port} names no host, and this machine's own name, {name}, is \
         not known to it; set advertised.listeners={listener}://HOST:{port} to what clients reach"
    )]
    NoHost { listener: String, port: u16, name: String },
    #[error("{key}: {why}")]
    NotServed { key: &'static str, why: &'static str },
    #[error("log.dirs names {} twice; name it once", .0.display())]
    NamedTwice(PathBuf),
    #[error("log.dirs names no directory")]
    NoDirectory,
    #[error("cannot start {threads} network threads: {source}; lower num.network.threads")]
    Threads { threads: usize, source: io::Error },
    #[error("cannot start: {0}")]
    Io(#[from] io::Error),
}

/// What to do where a port cannot be opened.
fn another(source: &io::Error) -> &'static str {
    match source.kind() {
        ErrorKind::AddrInUse => {
            "stop what uses it, or choose another port with --override \
             listeners=PLAINTEXT://127.0.0.1:PORT"
        }
        ErrorKind::PermissionDenied => "choose a port from 1024 up in listeners",
        _ => {
            "it is no address of this machine: name one of its own in listeners, or none to listen \
             on all, and in advertised.listeners the one that clients reach"
        }
    }
}

/// What to do where the metadata cannot be read; other errors say it themselves.
fn mending_metadata(error: &milena_metadata::StartError) -> &'static str {
    match error {
        milena_metadata::StartError::Quorum(_) => {
            "; put a good copy of __cluster_metadata-0 in its place (in the first of log.dirs)"
        }
        _ => "",
    }
}

/// What to do where a file or folder cannot be used; other errors say it themselves.
fn mending(error: &StorageError) -> &'static str {
    let source = match error {
        StorageError::Io { source, .. } => source,
        StorageError::Corrupt { .. } => {
            return "; put a good copy in its place, or choose another log.dirs (`milena log \
                    verify` says what is whole)";
        }
        _ => return "",
    };
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "; make room there and start again",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "; let this user write there, or choose another log.dirs"
        }
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            "; choose a log.dirs that is a folder, or can be made one"
        }
        _ => "; look after the disk, or choose another log.dirs",
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn whatever_a_disk_refuses_is_told_with_what_to_do() {
        for (kind, advice) in [
            (ErrorKind::StorageFull, "make room"),
            (ErrorKind::PermissionDenied, "let this user write there"),
            (ErrorKind::NotADirectory, "choose a log.dirs"),
            (ErrorKind::Other, "look after the disk"),
        ] {
            let (path, source) = ("/data".into(), io::Error::from(kind));
            let error = StartError::from(StorageError::Io { doing: "open", path, source });
            assert!(error.to_string().starts_with("cannot open /data: "), "{error}");
            assert!(error.to_string().contains(advice), "{error}");
        }
    }
}
