//! Feeds the readers of uncompressed batches.
#![no_main]

#[path = "../checks/record_batch.rs"]
mod record_batch;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| record_batch::check(bytes));
