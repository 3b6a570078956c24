//! The client against Milena and Apache Kafka: one file for each of its parts.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod admin;
mod consume;
mod examples;
mod faults;
mod groups;
mod produce;
mod transactions;
