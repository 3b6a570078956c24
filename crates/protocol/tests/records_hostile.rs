//! What hostile record bytes are answered with. Each test has the number of its case in its
//! name; the answer is Kafka's error code, which `kafka_code` spells out.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use milena_protocol::Offset;
use milena_protocol::records::{
    Attributes, Batch, BatchBuilder, Budget, Codec, FramingError, HEADER_LEN, LOG_OVERHEAD, Origin,
    REJECTED_RECORDS_MAX, RecordError, Rejection, Rules, Scratch, TimestampRule, Validated,
    compress, refresh_crc, validate,
};

const CORRUPT_MESSAGE: i16 = 2;
const MESSAGE_TOO_LARGE: i16 = 10;
const INVALID_TIMESTAMP: i16 = 32;
const UNSUPPORTED_COMPRESSION_TYPE: i16 = 76;
const INVALID_RECORD: i16 = 87;

const LENGTH_AT: usize = 8;
const MAGIC_AT: usize = 16;
const ATTRIBUTES_AT: usize = 21;
const LAST_DELTA_AT: usize = 23;
const PRODUCER_ID_AT: usize = 43;
const SEQUENCE_AT: usize = 53;
const COUNT_AT: usize = 57;

fn kafka_code(error: &RecordError) -> i16 {
    match error {
        RecordError::Length(_)
        | RecordError::Magic(_)
        | RecordError::Crc { .. }
        | RecordError::Codec { .. } => CORRUPT_MESSAGE,
        RecordError::TooLarge { .. } => MESSAGE_TOO_LARGE,
        RecordError::UnknownCodec(_) | RecordError::ZstdTooEarly => UNSUPPORTED_COMPRESSION_TYPE,
        RecordError::AppendTime => INVALID_TIMESTAMP,
        RecordError::Rejected(rejected) => match rejected.records[0].reason {
            Rejection::NullKey => INVALID_RECORD,
            Rejection::Timestamp { .. } => INVALID_TIMESTAMP,
        },
        _ => INVALID_RECORD,
    }
}

fn rules() -> Rules {
    Rules {
        produce_version: 11,
        batch_bytes_max: 1 << 20,
        is_compacted: false,
        timestamps: TimestampRule::Create { before_max_ms: i64::MAX, after_max_ms: 3_600_000 },
        now_ms: 1_700_000_000_000,
        origin: Origin::Client,
        budget: Budget::default(),
    }
}

fn judge(batch: &[u8]) -> Result<Validated, RecordError> {
    validate(batch, &rules(), &mut Scratch::new())
}

#[track_caller]
fn refused(batch: &[u8], code: i16) -> RecordError {
    let error = judge(batch).expect_err("a hostile batch");
    assert_eq!(kafka_code(&error), code, "{error}");
    error
}

/// Three small records.
fn good() -> Vec<u8> {
    let mut builder = BatchBuilder::new(Offset::ZERO);
    for index in 0..3 {
        builder.append(1_000 + index, Some(b"key"), Some(b"value"), []);
    }
    let mut batch = Vec::new();
    builder.build(&mut batch).unwrap();
    batch
}

/// A good batch with some of its bytes replaced and its checksum true again.
fn edited(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut batch = good();
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    refresh_crc(&mut batch);
    batch
}

/// A batch that says `count` records and holds `payload`, whatever that is.
fn sealed(codec_id: i16, count: i32, payload: &[u8]) -> Vec<u8> {
    let mut header = *Batch::read(&good()).unwrap().header();
    header.attributes = Attributes(0).with_codec_id(codec_id);
    header.record_count = count;
    header.last_offset_delta = count - 1;
    header.length = (HEADER_LEN - LOG_OVERHEAD + payload.len()) as i32;
    let mut batch = header.to_bytes().to_vec();
    batch.extend_from_slice(payload);
    refresh_crc(&mut batch);
    batch
}

/// `records` in every codec, each judged.
#[track_caller]
fn refused_in_every_codec(count: i32, records: &[u8], code: i16) {
    for codec in Codec::ALL {
        let mut payload = Vec::new();
        compress(codec, None, records, &mut payload).unwrap();
        let error = refused(&sealed(codec.id(), count, &payload), code);
        assert!(!matches!(error, RecordError::Codec { .. }), "{codec:?}: {error}");
    }
}

/// One record: length, attributes, timestamp delta, offset delta, key "k", value "v", no header.
const RECORD: [u8; 9] = [16, 0, 0, 0, 2, b'k', 2, b'v', 0];

#[test]
fn the_good_batch_is_good() {
    let validated = judge(&good()).unwrap();
    assert_eq!(validated.header.record_count, 3);
    assert_eq!(validated.max_timestamp, 1_002);
    for codec in Codec::ALL {
        let mut payload = Vec::new();
        compress(codec, None, &RECORD, &mut payload).unwrap();
        judge(&sealed(codec.id(), 1, &payload)).unwrap();
    }
}

#[test]
fn hostile_12_batch_length_and_magic() {
    for length in [i32::MIN, -1, 0, 13, 48] {
        refused(&edited(LENGTH_AT, &length.to_be_bytes()), CORRUPT_MESSAGE);
    }
    for magic in [3u8, 0x7f, 0x80, 0xff] {
        refused(&edited(MAGIC_AT, &[magic]), CORRUPT_MESSAGE);
    }
    let whole = good().len() as i32 - LOG_OVERHEAD as i32;
    for length in [whole + 1, i32::MAX] {
        refused(&edited(LENGTH_AT, &length.to_be_bytes()), INVALID_RECORD);
    }
    refused(&good()[..good().len() - 1], INVALID_RECORD);
}

#[test]
fn hostile_13_checksum() {
    for at in ATTRIBUTES_AT..good().len() {
        let mut batch = good();
        batch[at] ^= 0x10;
        let error = judge(&batch).unwrap_err();
        // What is asked before the checksum may be what is harmed.
        let code = if at == ATTRIBUTES_AT + 1 { [2, 76] } else { [2, 2] };
        assert!(code.contains(&kafka_code(&error)), "byte {at}: {error}");
    }
}

#[test]
fn hostile_14_record_count() {
    for count in [i32::MIN, -1, 0, 2, 4, i32::MAX] {
        refused(&edited(COUNT_AT, &count.to_be_bytes()), INVALID_RECORD);
    }
    for last_delta in [i32::MIN, -1, 1, 3, i32::MAX] {
        refused(&edited(LAST_DELTA_AT, &last_delta.to_be_bytes()), INVALID_RECORD);
    }
    // Both agree, and the records do not.
    refused_in_every_codec(2, &RECORD, INVALID_RECORD);
    refused_in_every_codec(i32::MAX, &RECORD, INVALID_RECORD);
    refused_in_every_codec(1, &[RECORD, RECORD].concat(), INVALID_RECORD);
    refused(&edited(0, &7i64.to_be_bytes()), INVALID_RECORD);
}

#[test]
fn hostile_15_record_framing() {
    let mut harmed: Vec<Vec<u8>> = Vec::new();
    let mut with = |at: usize, bytes: &[u8]| {
        harmed.push([&RECORD[..at], bytes, &RECORD[at + 1..]].concat());
    };
    // The record's length: 0, negative, short, long, 2^31 - 1.
    for length in [&[0][..], &[1], &[14], &[18], &[0xfe, 0xff, 0xff, 0xff, 0x0f]] {
        with(0, length);
    }
    // A number of six bytes, and one of 33 bits.
    with(3, &[0x80, 0x80, 0x80, 0x80, 0x80, 0]);
    with(3, &[0xff, 0xff, 0xff, 0xff, 0x1f]);
    // Keys and values of -2 bytes, of more than there are, of -2^31.
    for length in [&[3][..], &[200], &[0xff, 0xff, 0xff, 0xff, 0x0f]] {
        with(4, length);
        with(6, length);
    }
    // Headers: -1, one that is not there, 2^31 - 1.
    for count in [&[1][..], &[2], &[0xfe, 0xff, 0xff, 0xff, 0x0f]] {
        with(8, count);
    }
    // An offset delta that is not its place.
    with(3, &[2]);
    // A header whose key is null, and one whose value reaches beyond the record.
    harmed.push(vec![20, 0, 0, 0, 2, b'k', 2, b'v', 2, 1, 1]);
    harmed.push(vec![20, 0, 0, 0, 2, b'k', 2, b'v', 2, 0, 8]);
    // Nothing, and bytes behind the last record.
    harmed.push(Vec::new());
    harmed.push([&RECORD[..], &[0]].concat());
    for records in harmed {
        refused_in_every_codec(1, &records, INVALID_RECORD);
    }
    let error = refused(&sealed(0, 1, &[0; 9]), INVALID_RECORD);
    let framing = FramingError::Length { declared: 0 };
    assert_eq!(error, RecordError::Framing { index: 0, error: framing });
}

#[test]
fn hostile_16_not_exactly_one_batch() {
    refused(&[], INVALID_RECORD);
    refused(&good()[..16], INVALID_RECORD);
    refused(&[good(), good()].concat(), INVALID_RECORD);
    refused(&[&good()[..], b"stray"].concat(), INVALID_RECORD);
    for magic in [0, 1] {
        refused(&edited(MAGIC_AT, &[magic]), INVALID_RECORD);
    }
}

#[test]
fn hostile_17_control_batch() {
    let batch = edited(ATTRIBUTES_AT, &Attributes(0).with_control(true).0.to_be_bytes());
    assert_eq!(refused(&batch, INVALID_RECORD), RecordError::Control);
    let horizon = Attributes(0).with_delete_horizon(true).0.to_be_bytes();
    refused(&edited(ATTRIBUTES_AT, &horizon), INVALID_RECORD);
    let coordinator = Rules { origin: Origin::Coordinator, ..rules() };
    validate(&batch, &coordinator, &mut Scratch::new()).unwrap();
}

#[test]
fn hostile_18_negative_sequence() {
    for sequence in [-1, i32::MIN] {
        let mut batch = edited(PRODUCER_ID_AT, &9i64.to_be_bytes());
        batch[SEQUENCE_AT..SEQUENCE_AT + 4].copy_from_slice(&i32::to_be_bytes(sequence));
        refresh_crc(&mut batch);
        assert_eq!(refused(&batch, INVALID_RECORD), RecordError::Sequence(sequence));
    }
}

#[test]
fn hostile_19_codecs() {
    let mut payload = Vec::new();
    compress(Codec::Zstd, None, &RECORD, &mut payload).unwrap();
    let batch = sealed(Codec::Zstd.id(), 1, &payload);
    let mut scratch = Scratch::new();
    validate(&batch, &Rules { produce_version: 7, ..rules() }, &mut scratch).unwrap();
    let early = validate(&batch, &Rules { produce_version: 6, ..rules() }, &mut scratch);
    assert_eq!(kafka_code(&early.unwrap_err()), UNSUPPORTED_COMPRESSION_TYPE);
    for unknown in [5, 6, 7] {
        refused(&sealed(unknown, 1, &payload), UNSUPPORTED_COMPRESSION_TYPE);
    }
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        refused(&sealed(codec.id(), 1, b"this is no compressed stream"), CORRUPT_MESSAGE);
        refused(&sealed(codec.id(), 1, &[]), CORRUPT_MESSAGE);
        let mut whole = Vec::new();
        compress(codec, None, &RECORD.repeat(2), &mut whole).unwrap();
        // A stream that ends early is broken wherever it is cut.
        for len in 0..whole.len() {
            let error = judge(&sealed(codec.id(), 1, &whole[..len])).unwrap_err();
            let code = kafka_code(&error);
            assert!(matches!(code, CORRUPT_MESSAGE | INVALID_RECORD), "{codec:?} {len}: {error}");
        }
    }
}

#[test]
fn hostile_20_lying_claims() {
    let xerial = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
    let two_gib_varint = [0x80, 0x80, 0x80, 0x80, 0x08];
    let snappy_block = [&xerial[..], &[0, 0, 0, 5], &two_gib_varint].concat();
    let snappy_chunk = [&xerial[..], &[0x7f, 0xff, 0xff, 0xff, 1]].concat();
    for payload in [&two_gib_varint[..], &snappy_block, &snappy_chunk] {
        refused(&sealed(Codec::Snappy.id(), 1, payload), INVALID_RECORD);
    }
    // 60 MiB, which the budget has room for and seven bytes cannot hold.
    let liar = [0x80, 0x80, 0x80, 0x1e, 0, 0, 0];
    refused(&sealed(Codec::Snappy.id(), 1, &liar), CORRUPT_MESSAGE);

    let mut lz4 = Vec::new();
    compress(Codec::Lz4, None, &RECORD, &mut lz4).unwrap();
    lz4[7..11].copy_from_slice(&0x7fff_ffffu32.to_le_bytes());
    refused(&sealed(Codec::Lz4.id(), 1, &lz4), CORRUPT_MESSAGE);

    // A zstd frame that asks for a window of 2 GiB.
    let zstd = [0x28, 0xb5, 0x2f, 0xfd, 0, 0xa8, 0x43, 0, 0, 0];
    refused(&sealed(Codec::Zstd.id(), 1, &zstd), INVALID_RECORD);
}

#[test]
fn hostile_21_batch_too_large() {
    let batch = good();
    let mut scratch = Scratch::new();
    let fits = Rules { batch_bytes_max: batch.len(), ..rules() };
    validate(&batch, &fits, &mut scratch).unwrap();
    let tight = Rules { batch_bytes_max: batch.len() - 1, ..rules() };
    let error = validate(&batch, &tight, &mut scratch).unwrap_err();
    assert_eq!(kafka_code(&error), MESSAGE_TOO_LARGE);
}

#[test]
fn hostile_22_null_key_on_a_compacted_topic() {
    let rules = Rules { is_compacted: true, ..rules() };
    let mut scratch = Scratch::new();
    for codec in Codec::ALL {
        let mut builder = BatchBuilder::new(Offset::ZERO).with_codec(codec, None);
        for index in 0..3_000 {
            let key = (index % 2 == 0).then_some(&b"key"[..]);
            builder.append(5, key, None, []);
        }
        let mut batch = Vec::new();
        builder.build(&mut batch).unwrap();
        let RecordError::Rejected(rejected) = validate(&batch, &rules, &mut scratch).unwrap_err()
        else {
            panic!("{codec:?}: null keys are named one by one");
        };
        assert_eq!(rejected.count, 1_500);
        assert_eq!(rejected.records.len(), REJECTED_RECORDS_MAX, "the list is bounded");
        assert_eq!((rejected.records[0].index, rejected.records[1].index), (1, 3));
        assert!(rejected.records.iter().all(|record| record.reason == Rejection::NullKey));
    }
    validate(&good(), &rules, &mut scratch).unwrap();
}

#[test]
fn hostile_23_timestamps() {
    let now_ms = 1_700_000_000_000;
    let near = TimestampRule::Create { before_max_ms: 1_000, after_max_ms: 500 };
    let mut scratch = Scratch::new();
    let mut judge = |timestamp: i64, timestamps: TimestampRule| {
        let mut builder = BatchBuilder::new(Offset::ZERO);
        builder.append(now_ms, None, None, []);
        builder.append(timestamp, None, None, []);
        let mut batch = Vec::new();
        builder.build(&mut batch).unwrap();
        validate(&batch, &Rules { timestamps, now_ms, ..rules() }, &mut scratch)
    };
    for good in [now_ms - 1_000, now_ms + 500, -1] {
        judge(good, near).unwrap();
    }
    for bad in [now_ms - 1_001, now_ms + 501, 0, -2, i64::MAX, i64::MIN] {
        let error = judge(bad, near).unwrap_err();
        assert_eq!(kafka_code(&error), INVALID_TIMESTAMP, "{bad}: {error}");
        let RecordError::Rejected(rejected) = error else { panic!("the record is named") };
        assert_eq!((rejected.count, rejected.records[0].index), (1, 1));
        let validated = judge(bad, TimestampRule::Append).unwrap();
        assert_eq!(validated.max_timestamp, now_ms, "the broker's clock counts");
    }
    let stamped = Attributes(0).with_log_append_time(true).0.to_be_bytes();
    refused(&edited(ATTRIBUTES_AT, &stamped), INVALID_TIMESTAMP);
}

/// The broker's index must not believe the producer's header.
#[test]
fn a_lying_max_timestamp_is_corrected() {
    let mut batch = edited(35, &i64::MAX.to_be_bytes());
    let validated = judge(&batch).unwrap();
    assert_eq!(validated.max_timestamp, 1_002);
    validated.place(&mut batch, Offset(50), milena_protocol::LeaderEpoch(2));
    let placed = Batch::check(&batch).unwrap();
    assert_eq!(placed.header().max_timestamp, 1_002);
    assert_eq!(validated.offset_of_max_timestamp(Offset(50)), Offset(52));
}
