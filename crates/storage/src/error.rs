//! What can go wrong with a log directory, in words that name the file and what to do.

use std::{
    io,
    path::{Path, PathBuf},
};

/// A failure of the disk or of what lies on it.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("cannot {doing} {}: {source}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is corrupt at byte {position}: {reason}", path.display())]
    Corrupt { path: PathBuf, position: u64, reason: String },
    #[error(
        "log directory {} is in use by another process; stop it, or choose another log.dirs",
        .0.display()
    )]
    InUse(PathBuf),
    #[error("log directory {} {reason}", path.display())]
    Foreign { path: PathBuf, reason: String },
    #[error("log directory {} is offline: {reason}", path.display())]
    Offline { path: PathBuf, reason: String },
}

impl StorageError {
    /// Wraps an I/O error: `map_err(StorageError::io("open", path))`.
    pub fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }

    pub(crate) fn corrupt(path: &Path, position: u64, reason: impl Into<String>) -> Self {
        Self::Corrupt { path: path.to_owned(), position, reason: reason.into() }
    }

    /// Whether the disk is full, which passes, rather than broken, which does not.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull)
    }
}
