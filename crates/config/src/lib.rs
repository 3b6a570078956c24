//! Kafka's configuration keys: what each means and allows, and what a process, a topic or a group
//! is set to.
//!
//! Pure: bytes and texts come in, typed values and answers go out; no file, clock or thread.
//! Start at [`ServerConfig::parse`] for a process, [`TopicConfig`] for a topic, [`Scope`] for the
//! keys themselves.
#![forbid(unsafe_code)]

pub mod change;
pub mod definition;
pub mod describe;
mod error;
mod keys;
mod layers;
pub mod properties;
pub mod server;
mod topic;
mod value;

pub use change::ChangeError;
pub use definition::Definition;
pub use error::{Problem, ValueError};
pub use keys::Scope;
pub use layers::{Entries, Layers};
pub use properties::Entry;
pub use server::{ConfigError, ServerConfig, Warning};
pub use topic::{CompressionType, TopicConfig};
pub use value::duration_ms;
