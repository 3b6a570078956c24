//! The log from outside: what a broker may rely on.

mod compaction;
mod kafka_data;
mod rig;
mod story;
