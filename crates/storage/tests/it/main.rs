//! The log from outside: what a broker may rely on.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod after_a_kill;
mod compaction;
mod faults;
mod follower;
mod kafka_data;
mod large_batches;
mod model;
mod relocate;
mod resume;
mod rig;
mod rolls;
mod story;
mod stray;
mod threads;
