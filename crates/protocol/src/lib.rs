//! Kafka's wire format: messages of every API and version, record batches, error codes.
//!
//! Pure: no socket, file, clock or thread. Decoding borrows from the frame and never allocates by
//! a number that came over the wire.
//!
//! The messages are generated from `schema/` when the crate is built: one module per folder of
//! the schema, one module inside it per file.
#![forbid(unsafe_code)]

mod error_code;
#[cfg(feature = "json")]
pub mod json;
pub mod records;
mod request;
pub mod types;
pub mod versions;
pub mod wire;

#[allow(missing_debug_implementations, clippy::all, clippy::indexing_slicing)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/messages.rs"));
}

pub use error_code::ErrorCode;
pub use generated::*;
pub use request::{OpenError, OpenedRequest, open_request};
pub use types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
pub use wire::{DecodeError, EncodeError, Message, Uuid};
