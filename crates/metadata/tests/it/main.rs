//! Metadata nodes as a broker uses them, on a disk that crashes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod crash;
mod rig;
mod snapshot;
mod story;
