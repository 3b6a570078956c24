//! Kafka's wire format: messages of every API and version, record batches, error codes.
//!
//! Pure: no socket, file, clock or thread. Decoding borrows from the frame and never allocates by
//! a number that came over the wire.
//!
//! The messages are generated from `schema/` when the crate is built: one module per folder of
//! the schema, one module inside it per file.
//!
//! # The way of a record through this crate
//! ```
//! use bytes::{Bytes, BytesMut};
//! use milena_protocol::api::produce::response::{PartitionProduceResponse, TopicProduceResponse};
//! use milena_protocol::api::{ProduceRequest, ProduceResponse};
//! use milena_protocol::header::ResponseHeader;
//! use milena_protocol::wire::{Part, Writer, split_frame};
//! use milena_protocol::{Message, open_request};
//!
//! # fn serve(incoming: &mut BytesMut) -> Result<Vec<Part>, Box<dyn std::error::Error>> {
//! // What came over the wire is cut into frames, and a frame into header and body.
//! let frame: Bytes = split_frame(incoming, 100 << 20)?.ok_or("more bytes must come first")?;
//! let opened = open_request(&frame)?;
//! let version = opened.header.request_api_version;
//!
//! // Reading borrows: the records are a slice of the frame, and become a handle on it for free.
//! let request = ProduceRequest::decode(opened.body, version)?.message;
//! let mut answer = ProduceResponse::default();
//! for topic in &request.topic_data {
//!     let mut stored = TopicProduceResponse { name: topic.name, ..Default::default() };
//!     for partition in &topic.partition_data {
//!         let records = partition.records.as_ref().and_then(|records| records.as_slice());
//!         let _batches: Bytes = frame.slice_ref(records.unwrap_or_default());
//!         let stands = PartitionProduceResponse { index: partition.index, ..Default::default() };
//!         stored.partition_responses.push(stands);
//!     }
//!     answer.responses.push(stored);
//! }
//!
//! // The answer is parts for a vectored write: its own bytes, and records held elsewhere.
//! let mut writer = Writer::with_capacity(256);
//! let header = ResponseHeader { correlation_id: opened.header.correlation_id };
//! header.encode(&mut writer, opened.api.api().response_header_version(version))?;
//! answer.encode(&mut writer, version)?;
//! Ok(writer.finish()?.into_parts().collect())
//! # }
//! # let request = b"\0\0\0\x1d\0\0\0\x03\0\0\0\x07\xff\xff\xff\xff\xff\xff\0\0\0\x1e\0\0\0\x01\
//! #     \0\x01t\0\0\0\0";
//! # let parts = serve(&mut BytesMut::from(&request[..])).unwrap();
//! # assert_eq!(parts.iter().map(Part::len).sum::<usize>(), 4 + 4 + 4 + 3 + 4 + 4);
//! ```
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
