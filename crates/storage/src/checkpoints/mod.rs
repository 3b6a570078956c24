//! Kafka's small text files: offset checkpoints, leader epochs, and the note of a clean stop.
//!
//! Forms are in `docs/formats/checkpoints.md`. Texts are made and understood without a disk; the
//! thin functions below load and store them. Storing replaces the file whole, so a crash at any
//! moment leaves the old or the new one (fault 18). A file that does not say what it should is an
//! error that names the file and the line.

mod clean_shutdown;
mod epochs;
mod offsets;
#[cfg(test)]
mod test;
mod text;

use std::{io, path::Path};

use milena_env::{Disk, disk::Open};

pub use clean_shutdown::{CleanShutdown, clean_shutdown, forget_clean_shutdown};
pub use epochs::{format_epochs, load_epochs, parse_epochs, store_epochs};
pub use offsets::{PartitionOffset, format_offsets, load_offsets, parse_offsets, store_offsets};
pub use text::TextError;
pub(crate) use text::{Line, lines};

use crate::error::StorageError;

/// No file of these is larger: one line for each of a million partitions fits.
const BYTES_MAX: u64 = 256 << 20;

/// The whole of a small text file; `None` where there is none.
pub(crate) fn load(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<u8>>, StorageError> {
    let file = match disk.open(path, Open::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StorageError::io("open", path)(error)),
    };
    let len = file.size().map_err(StorageError::io("look at", path))?;
    if len > BYTES_MAX {
        let reason = format!("{len} bytes, where {BYTES_MAX} are more than it can need");
        return Err(StorageError::corrupt(path, BYTES_MAX, reason));
    }
    let mut bytes = vec![0; len as usize];
    file.read_exact_at(&mut bytes, 0).map_err(StorageError::io("read", path))?;
    Ok(Some(bytes))
}

/// Loads a file and makes sense of it; `None` where there is none.
pub(crate) fn load_as<T>(
    disk: &dyn Disk,
    path: &Path,
    parse: impl FnOnce(&[u8]) -> Result<T, TextError>,
) -> Result<Option<T>, StorageError> {
    let Some(bytes) = load(disk, path)? else {
        return Ok(None);
    };
    let corrupt = |error: TextError| StorageError::corrupt(path, error.position, error.to_string());
    parse(&bytes).map(Some).map_err(corrupt)
}

/// Replaces a file; what stands there afterwards survives a power failure.
pub(crate) fn store(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), StorageError> {
    disk.replace(path, bytes).map_err(StorageError::io("replace", path))
}
