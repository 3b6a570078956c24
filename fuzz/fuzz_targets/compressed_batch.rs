//! Feeds the readers of compressed payloads.
#![no_main]

#[path = "../checks/compressed_batch.rs"]
mod compressed_batch;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| compressed_batch::check(bytes));
