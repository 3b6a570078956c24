//! Batches for tests.

use milena_protocol::{Offset, records::BatchBuilder};

/// A batch of `count` small records at `base_offset`.
pub(crate) fn batch(base_offset: i64, count: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Offset(base_offset));
    for index in 0..count {
        let value = format!("value {}", base_offset + index);
        builder.append(1_000 + index, None, Some(value.as_bytes()), []);
    }
    let mut bytes = Vec::new();
    builder.build(&mut bytes).unwrap();
    bytes
}
