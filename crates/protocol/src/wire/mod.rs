//! The primitives of Kafka's wire format: how numbers, texts, arrays, records and tagged fields
//! are read from a frame and written to one.
//!
//! Nothing here knows a message. Reading borrows from the frame and reserves no more memory than
//! the bytes that are really there could need; writing copies everything but record data.

mod error;
mod frame;
mod message;
mod reader;
mod records;
mod uuid;
mod writer;

pub use error::{DecodeError, EncodeError, Flaw};
pub use frame::{Frame, FrameError, LENGTH_PREFIX, split_frame};
pub use message::{Decoded, Message, Struct};
pub use reader::{ARRAY_LENGTH_MAX, Reader, TAGGED_FIELDS_MAX};
pub use records::{Part, Records};
pub use uuid::{Uuid, UuidError};
pub use writer::Writer;
