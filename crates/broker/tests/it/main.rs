//! A whole broker, spoken to over its sockets.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests, with sockets that block"
)]

mod client;
mod consumer;
mod embedded;
mod exactly_once;
mod faults;
mod fuzz;
mod groups;
mod hostile;
mod member;
mod metrics;
mod producer;
mod rig;
mod sessions;
mod story;
mod transactional;
