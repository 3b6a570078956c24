//! Feeds the readers of message sets of the formats v0 and v1.
#![no_main]

#[path = "../checks/legacy.rs"]
mod legacy;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| legacy::check(bytes));
