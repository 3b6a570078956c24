//! What must hold for any bytes that claim to be an uncompressed batch: no panic, and a batch
//! that is accepted is read to the same records by everyone.

use milena_protocol::records::{
    Batch, BatchBuilder, Batches, Budget, HEADER_LEN, LOG_OVERHEAD, Origin, Rules, Scratch,
    TimestampRule, refresh_crc, validate,
};
use milena_protocol::{LeaderEpoch, Offset};

/// The first byte's lowest bit chooses whether the rest is taken as it is, or given the length,
/// magic and checksum of a whole uncompressed batch.
pub(crate) fn check(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else {
        return;
    };
    let mut batch = rest.to_vec();
    if choice & 1 == 0 && batch.len() >= HEADER_LEN {
        batch[..8].fill(0);
        let length = (batch.len() - LOG_OVERHEAD) as i32;
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        batch[16] = 2;
        batch[22] &= !7;
        refresh_crc(&mut batch);
    }
    let mut scratch = Scratch::new();
    for found in Batches::new(&batch).chain(Batches::checking(&batch)) {
        if let Ok(records) = found.records(&mut scratch, Budget::bytes(1 << 20)) {
            records.for_each(|record| {
                let _ = record.map(|record| record.headers.count());
            });
        }
    }
    let rules = Rules {
        produce_version: 11,
        batch_bytes_max: 1 << 20,
        is_compacted: choice & 2 != 0,
        timestamps: match choice & 4 {
            0 => TimestampRule::Create { before_max_ms: i64::MAX, after_max_ms: i64::MAX },
            _ => TimestampRule::Append,
        },
        now_ms: 1_700_000_000_000,
        origin: if choice & 8 == 0 { Origin::Client } else { Origin::Coordinator },
        budget: Budget::bytes(1 << 20),
    };
    let Ok(validated) = validate(&batch, &rules, &mut scratch) else {
        return;
    };
    validated.place(&mut batch, Offset(1_000), LeaderEpoch(7));
    let placed = Batch::check(&batch).expect("what is placed is whole");
    let records = placed.records(&mut scratch, rules.budget).expect("what is valid decompresses");
    let records: Vec<_> = records.map(|record| record.expect("what is valid is read")).collect();
    assert_eq!(records.len(), validated.header.record_count as usize);
    let mut builder = BatchBuilder::in_place_of(placed.header());
    for (index, record) in records.iter().enumerate() {
        assert_eq!(record.offset, Offset(1_000 + index as i64));
        builder.append_record(record).expect("its offset is in the batch");
    }
    let mut again = Vec::new();
    builder.build(&mut again).expect("it was built before");
    let again = Batch::check(&again).expect("what is built is whole");
    let mut scratch = Scratch::new();
    let reread = again.records(&mut scratch, rules.budget).expect("what is built decompresses");
    let reread: Vec<_> = reread.map(|record| record.expect("what is built is read")).collect();
    assert_eq!(reread, records);
}
