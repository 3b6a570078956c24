//! The log from outside: what a broker may rely on.

mod compaction;
mod rig;
mod story;
