//! Compaction: what stays, what goes and when, and that neither a crash nor a neighbour can make it
//! lose anything.

mod crash;
mod deletion;
mod log_start;
mod rivals;
mod stories;
mod world;
