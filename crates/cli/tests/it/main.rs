//! The binary as people run it: real processes, real files, real signals.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests, with processes, files and sockets of their own"
)]

#[allow(dead_code, reason = "the broker's own tests use the rest of it")]
#[path = "../../../broker/tests/it/client.rs"]
mod client;
mod commands;
#[allow(dead_code, reason = "the broker's own tests use the rest of it")]
#[path = "../../../broker/tests/it/exactly_once/mod.rs"]
mod exactly_once;
mod faults;
mod group;
mod hostile;
mod invariants;
mod load;
#[allow(dead_code, reason = "the broker's own tests use the rest of it")]
#[path = "../../../broker/tests/it/member.rs"]
mod member;
mod process;
#[allow(dead_code, reason = "the broker's own tests use the rest of it")]
#[path = "../../../broker/tests/it/producer.rs"]
mod producer;
mod session;
mod start;
