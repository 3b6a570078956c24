//! The generated messages against Apache Kafka's own, and against whoever means them harm.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod corpus;
mod family;
mod fixture;
mod hostile;
mod memory;
mod oracle;
mod schema;
