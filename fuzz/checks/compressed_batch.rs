//! What must hold for any bytes that claim to be a compressed payload: no panic, no more memory
//! than the budget, and a codec in between changes no verdict about the records.

use milena_protocol::records::{
    Attributes, Batch, BatchHeader, Budget, Codec, HEADER_LEN, LOG_OVERHEAD, Origin, RecordError,
    Rules, Scratch, TimestampRule, Validated, compress, refresh_crc, validate,
};
use milena_protocol::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

const BUDGET: Budget = Budget::bytes(1 << 20);

/// The first byte chooses codec and whether the rest is its stream or plain records, the second
/// the number of records.
pub(crate) fn check(bytes: &[u8]) {
    let [choice, count, payload @ ..] = bytes else {
        return;
    };
    let codec = Codec::ALL[1 + usize::from(choice & 3)];
    let count = i32::from(*count) + 1;
    let mut scratch = Scratch::new();
    if choice & 4 == 0 {
        let batch = sealed(codec, count, payload);
        let is_valid = judge(&batch, &mut scratch).is_ok();
        let batch = Batch::check(&batch).expect("it was just sealed");
        match batch.records(&mut scratch, BUDGET) {
            Ok(records) => {
                let whole = records.filter(Result::is_ok).count();
                assert!(!is_valid || whole == count as usize, "the stream and the whole differ");
            }
            Err(_) => assert!(!is_valid, "the stream was read and the whole cannot be"),
        }
        return;
    }
    let plain = judge(&sealed(Codec::None, count, payload), &mut scratch);
    let mut stream = Vec::new();
    compress(codec, None, payload, &mut stream).expect("any bytes compress");
    let packed = judge(&sealed(codec, count, &stream), &mut scratch);
    match (plain, packed) {
        (Ok(plain), Ok(packed)) => assert_eq!(plain.max_timestamp, packed.max_timestamp),
        (plain, packed) => {
            let is_codecs_fault =
                matches!(packed, Err(RecordError::Codec { .. } | RecordError::OverBudget { .. }));
            // Which record is at fault may differ in words where a number is cut off.
            let is_same = plain.is_err() && packed.is_err() && !is_codecs_fault;
            assert!(is_same, "plain {plain:?}, {codec:?} {packed:?}");
        }
    }
}

fn judge(batch: &[u8], scratch: &mut Scratch) -> Result<Validated, RecordError> {
    let rules = Rules {
        produce_version: 11,
        batch_bytes_max: 1 << 20,
        is_compacted: false,
        timestamps: TimestampRule::Create { before_max_ms: i64::MAX, after_max_ms: i64::MAX },
        now_ms: 1_700_000_000_000,
        origin: Origin::Client,
        budget: BUDGET,
    };
    validate(batch, &rules, scratch)
}

fn sealed(codec: Codec, count: i32, payload: &[u8]) -> Vec<u8> {
    let header = BatchHeader {
        base_offset: Offset::ZERO,
        length: (HEADER_LEN - LOG_OVERHEAD + payload.len()) as i32,
        leader_epoch: LeaderEpoch::UNKNOWN,
        crc: 0,
        attributes: Attributes(0).with_codec_id(codec.id()),
        last_offset_delta: count - 1,
        base_timestamp: 1_000,
        max_timestamp: 1_000,
        producer_id: ProducerId::NONE,
        producer_epoch: ProducerEpoch::NONE,
        base_sequence: -1,
        record_count: count,
    };
    let mut batch = header.to_bytes().to_vec();
    batch.extend_from_slice(payload);
    refresh_crc(&mut batch);
    batch
}
