//! Feeds a whole broker.
#![no_main]

#[path = "../checks/broker.rs"]
mod broker;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| broker::check(bytes));
