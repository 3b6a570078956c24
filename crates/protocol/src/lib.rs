//! Kafka's wire format: messages of every API and version, record batches, error codes.
//!
//! Pure: no socket, file, clock or thread. Decoding borrows from the frame and never allocates by
//! a number that came over the wire.
#![forbid(unsafe_code)]

pub mod records;
pub mod types;

pub use types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
