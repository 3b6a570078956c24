//! What the builder writes, the validator takes and the reader gives back, for every codec; and
//! no byte of it changes unseen.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use milena_protocol::records::{
    Batch, BatchBuilder, Batches, Budget, Codec, Header, Origin, Rules, Scratch, TimestampRule,
    recompress, validate,
};
use milena_protocol::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Plain {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..200),
        // Long and easy to compress, so that records span the codecs' blocks.
        (any::<u8>(), 0usize..200_000).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

fn record() -> impl Strategy<Value = Plain> {
    let headers = vec((vec(any::<u8>(), 0..20), option::of(vec(any::<u8>(), 0..20))), 0..4);
    (0i64..i64::MAX / 4, option::of(vec(any::<u8>(), 0..40)), option::of(bytes()), headers)
        .prop_map(|(timestamp, key, value, headers)| Plain { timestamp, key, value, headers })
}

fn rules() -> Rules {
    Rules {
        produce_version: 11,
        batch_bytes_max: usize::MAX,
        is_compacted: false,
        timestamps: TimestampRule::Create { before_max_ms: i64::MAX, after_max_ms: i64::MAX },
        now_ms: 0,
        origin: Origin::Client,
        budget: Budget::default(),
    }
}

fn build(records: &[Plain], codec: Codec) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Offset::ZERO).with_codec(codec, None).with_producer(
        ProducerId(7),
        ProducerEpoch(1),
        5,
    );
    for record in records {
        let headers =
            record.headers.iter().map(|(key, value)| Header { key, value: value.as_deref() });
        let headers: Vec<_> = headers.collect();
        builder.append(record.timestamp, record.key.as_deref(), record.value.as_deref(), headers);
    }
    let mut out = Vec::new();
    builder.build(&mut out).unwrap();
    assert_eq!(builder.finish().unwrap(), out, "where it lies or elsewhere, it is the same");
    out
}

fn read(batch: &[u8], base_offset: i64, scratch: &mut Scratch) -> Vec<Plain> {
    let batch = Batch::check(batch).unwrap();
    let records = batch.records(scratch, Budget::default()).unwrap();
    records
        .enumerate()
        .map(|(index, record)| {
            let record = record.unwrap();
            assert_eq!(record.offset, Offset(base_offset + index as i64));
            Plain {
                timestamp: record.timestamp,
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
                headers: record
                    .headers
                    .map(|header| (header.key.to_vec(), header.value.map(<[u8]>::to_vec)))
                    .collect(),
            }
        })
        .collect()
}

fn same(left: &[Plain], right: &[Plain]) -> bool {
    format!("{left:?}") == format!("{right:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn built_validated_placed_and_read(records in vec(record(), 1..40), id in 0i16..5) {
        let codec = Codec::from_id(id).unwrap();
        let mut scratch = Scratch::new();
        let mut batch = build(&records, codec);
        let validated = validate(&batch, &rules(), &mut scratch).unwrap();
        let largest = records.iter().map(|record| record.timestamp).max().unwrap();
        prop_assert_eq!(validated.max_timestamp, largest);
        validated.place(&mut batch, Offset(1_000), LeaderEpoch(3));
        prop_assert!(same(&read(&batch, 1_000, &mut scratch), &records));
    }

    #[test]
    fn recompressed_batches_hold_the_same(
        records in vec(record(), 1..20), from in 0i16..5, to in 0i16..5
    ) {
        let mut scratch = Scratch::new();
        let batch = build(&records, Codec::from_id(from).unwrap());
        let target = Codec::from_id(to).unwrap();
        let mut out = Vec::new();
        let read_batch = Batch::check(&batch).unwrap();
        recompress(&read_batch, target, None, Budget::default(), &mut scratch, &mut out).unwrap();
        let validated = validate(&out, &rules(), &mut scratch).unwrap();
        prop_assert_eq!(validated.codec, target);
        prop_assert!(same(&read(&out, 0, &mut scratch), &records));
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in vec(any::<u8>(), 0..400), magic in -1i8..4, codec in any::<u8>()
    ) {
        let mut bytes = bytes;
        let mut scratch = Scratch::new();
        let _ = validate(&bytes, &rules(), &mut scratch);
        if bytes.len() >= 61 {
            let length = (bytes.len() - 12) as i32;
            bytes[8..12].copy_from_slice(&length.to_be_bytes());
            bytes[16] = magic as u8;
            bytes[22] = codec;
            milena_protocol::records::refresh_crc(&mut bytes);
            let _ = validate(&bytes, &rules(), &mut scratch);
            if let Some(batch) = Batches::checking(&bytes).next()
                && let Ok(records) = batch.records(&mut scratch, Budget::default())
            {
                records.count();
            }
        }
    }
}

/// The first 21 bytes are outside of the checksum. Of these the validator minds base offset,
/// length, magic and the checksum itself; the leader epoch is the broker's to write.
#[test]
fn every_flipped_byte_is_refused_or_harmless() {
    let records: Vec<_> = (0..20)
        .map(|index| Plain {
            timestamp: 1_000 + index,
            key: Some(vec![index as u8; 5]),
            value: Some(vec![b'v'; 50]),
            headers: vec![(b"h".to_vec(), None)],
        })
        .collect();
    let mut scratch = Scratch::new();
    for codec in Codec::ALL {
        let batch = build(&records, codec);
        validate(&batch, &rules(), &mut scratch).unwrap();
        for at in 0..batch.len() {
            for mask in [0x01, 0x80, 0xff] {
                let mut harmed = batch.clone();
                harmed[at] ^= mask;
                let verdict = validate(&harmed, &rules(), &mut scratch);
                if (12..16).contains(&at) {
                    verdict.unwrap().place(&mut harmed, Offset::ZERO, LeaderEpoch::UNKNOWN);
                    assert_eq!(harmed, batch, "{codec:?}: the leader epoch is overwritten");
                } else {
                    assert!(verdict.is_err(), "{codec:?}: byte {at} with {mask:#x}");
                }
                if at >= 17 {
                    assert!(Batch::check(&harmed).is_err(), "{codec:?}: byte {at}");
                }
            }
        }
    }
}

#[test]
fn a_buffer_of_batches_is_walked_to_its_torn_end() {
    let one = |value: &[u8], base: i64| {
        let mut builder = BatchBuilder::new(Offset(base));
        builder.append(5, None, Some(value), []);
        let mut out = Vec::new();
        builder.build(&mut out).unwrap();
        out
    };
    let mut log: Vec<u8> = (0..3).flat_map(|base| one(b"abc", base)).collect();
    let whole = log.len();
    log.extend_from_slice(&one(b"torn", 3)[..50]);
    for mut batches in [Batches::new(&log), Batches::checking(&log)] {
        let offsets: Vec<_> = batches.by_ref().map(|batch| batch.header().base_offset.0).collect();
        assert_eq!(offsets, [0, 1, 2]);
        assert_eq!(batches.position(), whole);
        assert!(batches.stopped().unwrap().is_incomplete());
    }
    log[whole / 3 + 40] ^= 1;
    let mut batches = Batches::checking(&log);
    assert_eq!((batches.by_ref().count(), batches.position()), (1, whole / 3));
    assert!(!batches.stopped().unwrap().is_incomplete());
}
