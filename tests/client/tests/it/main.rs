//! The client against Milena and Apache Kafka: one file for each of its parts.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod admin;
mod cancel;
mod committed;
mod consume;
mod elsewhere;
mod examples;
mod faults;
mod groups;
mod hostile;
mod members;
mod memory;
mod produce;
mod rules;
mod transactions;
