//! The broker: connections, Kafka's APIs, partitions.
//!
//! Start at [`Server::start`]. The way of a record: `network/connection` -> `api/produce` -> the
//! partition's log -> the journal -> `partition` (high watermark) -> `api/produce` answers; out by
//! `api/fetch` and `network/outgoing`. `ARCHITECTURE.md` walks it.
#![forbid(unsafe_code)]

mod api;
mod authorizer;
mod broker;
mod config_schema;
mod coordinator;
mod embedded;
mod error;
mod error_map;
mod features;
mod fetch;
mod housekeeping;
mod limits;
mod log_config;
mod log_directories;
mod metrics;
mod network;
mod partition;
mod producer_ids;
mod quotas;
mod server;
mod telemetry;
mod topics;
mod transactions;
mod unserved;

pub use embedded::{Embedded, EmbeddedBuilder, EmbeddedError, embedded};
pub use error::StartError;
pub use milena_storage::StorageError;
pub use server::{Outside, Server};
