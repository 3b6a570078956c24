//! The log of one partition and the directory that holds many, in Kafka's own on-disk formats.
//!
//! Start at [`LogDirectory::open`] and [`Log`]. The way of a record: `log/append` ->
//! `journal/queue` -> `journal/writer` (acknowledged here) -> `journal/segments` ->
//! `journal/checkpoint`; back by `log/read`. `ARCHITECTURE.md` walks it.
#![forbid(unsafe_code)]

pub mod checkpoints;
mod clean_stop;
mod compaction;
pub mod config;
mod directory;
pub mod epochs;
mod error;
mod fields;
pub mod index;
pub mod inspect;
mod journal;
mod log;
pub mod meta_properties;
pub mod names;
mod pace;
pub mod partition_metadata;
pub mod producers;
mod segment;
#[cfg(test)]
mod testing;

pub use compaction::{Cleaner, CleanerOptions, Cleaning};
pub use config::{DirectoryConfig, LogConfig};
pub use directory::{
    DirectoryIdentity, FirstLog, LogDirectory, OpenOptions, Relocation, Workers, check_directories,
};
pub use error::StorageError;
pub use log::{
    AppendError, Appended, BadBatch, Limit, Listener, Log, Piece, ReadError, ReadPlan,
    TimestampedOffset, TopicPartition,
};
pub use pace::Pace;
