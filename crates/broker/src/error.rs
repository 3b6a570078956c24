//! Why a broker does not start, in words that say what to do.

use std::io;

use milena_storage::StorageError;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Metadata(#[from] milena_metadata::StartError),
    #[error(
        "cannot listen on {address}: {source}; stop what uses it, or choose another port with \
         --override listeners=PLAINTEXT://127.0.0.1:PORT"
    )]
    Port { address: String, source: io::Error },
    #[error("{key}: {why}")]
    NotServed { key: &'static str, why: &'static str },
    #[error("log.dirs names no directory")]
    NoDirectory,
    #[error("cannot start: {0}")]
    Io(#[from] io::Error),
}
