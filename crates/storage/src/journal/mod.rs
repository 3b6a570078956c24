//! The shared journal of a log directory: one sequential, durable write for everything
//! that came meanwhile (`docs/formats/journal.md`).
//!
//! `queue` -> `writer` -> `ring`, then `segments`; `checkpoint` lets the ring be reused; `replay`
//! puts a ring that a crash left behind into the segments.

pub(crate) mod checkpoint;
pub(crate) mod entry;
pub(crate) mod found;
pub(crate) mod queue;
pub(crate) mod replay;
pub(crate) mod ring;
pub(crate) mod round;
pub(crate) mod segments;
pub(crate) mod writer;
