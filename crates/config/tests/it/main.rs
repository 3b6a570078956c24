//! Our keys against the real Kafka's, and against what our own page says of them.
#![allow(clippy::unwrap_used, reason = "tests")]

mod describe;
mod documentation;
mod keys;
