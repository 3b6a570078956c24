//! The generated messages against Apache Kafka's own.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod fixture;
mod oracle;
