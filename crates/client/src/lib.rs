//! A client for Apache Kafka and for Milena.
//!
#![doc = include_str!("../README.md")]
//!
//! ## For those who read on
//! `config` holds settings by Kafka's keys, `network` one connection, `cluster` the brokers and who
//! leads what. Producer, consumer and admin stand on these.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod admin;
mod cluster;
pub mod config;
pub mod consumer;
mod error;
mod network;
pub mod producer;
mod types;

pub use cluster::{Broker, Partition, Topic, View};
pub use config::ClientConfig;
pub use error::{Error, Remedy, Result};
pub use milena_protocol::{ErrorCode, LeaderEpoch, Uuid};
pub use types::{CommittedOffset, TopicPartition};
