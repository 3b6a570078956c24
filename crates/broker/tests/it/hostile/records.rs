//! Malformed records cost their partition an error. The partition beside it, in the same request,
//! is written; nothing of the refused ones is.

use milena_protocol::{
    ErrorCode, Offset, ProducerEpoch, ProducerId,
    records::{BatchBuilder, Codec, HEADER_LEN, refresh_crc},
};

use super::Scene;
use crate::client::{batch, built, produce_request};

/// Where the fields of a batch lie.
const LENGTH: usize = 8;
const MAGIC: usize = 16;
const CRC: usize = 17;
const ATTRIBUTES: usize = 21;
const LAST_OFFSET_DELTA: usize = 23;
const BASE_SEQUENCE: usize = 53;
const COUNT: usize = 57;

impl Scene {
    /// These records are refused with one of these codes; a good batch for the other partition,
    /// in the same request, is not.
    fn refuses(&mut self, records: &[u8], expected: &[ErrorCode]) {
        let good = batch(&["good"]);
        let mut client = self.rig.client();
        let before = client.offset_at("t", 1, -1).unwrap();
        let request = produce_request("t", -1, &[(0, records), (1, &good)]);
        let produced = client.produced(&request).unwrap();
        assert!(expected.contains(&produced[0].code), "{produced:?}, not {expected:?}");
        assert_eq!((produced[1].code, produced[1].base_offset), (ErrorCode::None, before));
        assert_eq!(client.offset_at("t", 0, -1), Ok(0), "nothing of it was written");
        self.all_is_well();
    }
}

/// A good batch with these bytes at that place, and a checksum that agrees.
fn with(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut changed = batch(&["one", "two"]);
    changed[at..at + bytes.len()].copy_from_slice(bytes);
    refresh_crc(&mut changed);
    changed
}

/// A batch with these bytes for its only record, uncompressed or not.
fn with_record(record: &[u8], codec: Codec) -> Vec<u8> {
    let mut bytes = batch(&["x"]);
    bytes.truncate(HEADER_LEN);
    milena_protocol::records::compress(codec, None, record, &mut bytes).unwrap();
    bytes[ATTRIBUTES + 1] = codec as u8;
    finish(bytes)
}

/// Sets length and checksum to what they should be.
fn finish(mut bytes: Vec<u8>) -> Vec<u8> {
    let length = i32::try_from(bytes.len() - 12).unwrap();
    bytes[LENGTH..LENGTH + 4].copy_from_slice(&length.to_be_bytes());
    refresh_crc(&mut bytes);
    bytes
}

#[test]
fn hostile_12_a_batch_whose_length_or_magic_is_impossible() {
    use ErrorCode::{CorruptMessage, InvalidRecord};
    let mut scene = Scene::new();
    for length in [0, -1, 48, i32::MIN] {
        scene.refuses(&with(LENGTH, &i32::to_be_bytes(length)), &[CorruptMessage]);
    }
    for length in [1000, i32::MAX] {
        scene.refuses(&with(LENGTH, &i32::to_be_bytes(length)), &[InvalidRecord, CorruptMessage]);
    }
    for magic in [3, 0x7f, 0xff] {
        scene.refuses(&with(MAGIC, &[magic]), &[CorruptMessage]);
    }
    let whole = batch(&["one"]);
    for length in 1..whole.len() {
        scene.refuses(&whole[..length], &[CorruptMessage, InvalidRecord]);
    }
}

#[test]
fn hostile_13_a_checksum_that_is_wrong() {
    let mut scene = Scene::new();
    let whole = batch(&["one", "two"]);
    let mut wrong = whole.clone();
    wrong[CRC] ^= 1;
    scene.refuses(&wrong, &[ErrorCode::CorruptMessage]);
    for at in (ATTRIBUTES..whole.len()).step_by(7) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        scene.refuses(&flipped, &[ErrorCode::CorruptMessage]);
    }
}

#[test]
fn hostile_14_a_count_that_does_not_fit_the_offsets() {
    let mut scene = Scene::new();
    for count in [0, -1, 1, 3, i32::MAX, i32::MIN] {
        scene.refuses(&with(COUNT, &i32::to_be_bytes(count)), &[ErrorCode::InvalidRecord]);
    }
    for delta in [0, -1, 2, i32::MAX, i32::MIN] {
        scene.refuses(
            &with(LAST_OFFSET_DELTA, &i32::to_be_bytes(delta)),
            &[ErrorCode::InvalidRecord],
        );
    }
}

#[test]
fn hostile_15_a_record_with_impossible_lengths_compressed_or_not() {
    let mut scene = Scene::new();
    // Length, attributes, time and offset delta, key, value, headers, as zigzag varints.
    let good = [14, 0, 0, 0, 1, 2, b'x', 0];
    let records: [&[u8]; 9] = [
        &[0],                                     // no length at all
        &[13, 0, 0, 0, 1, 2, b'x', 0],            // a negative one
        &[4, 0, 0],                               // too short
        &[200, 1, 0, 0, 0, 1, 2, b'x', 0],        // beyond the end
        &[0xfe, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0], // 2^31 - 1
        &[14, 0, 0, 0, 3, 2, b'x', 0],            // a key of -2 bytes
        &[14, 0, 0, 0, 1, 60, b'x', 0],           // a value beyond the end
        &[14, 0, 0, 0, 1, 2, b'x', 1],            // -1 headers
        &[14, 0, 0, 0, 1, 2, b'x', 120],          // 60 headers in no bytes
    ];
    for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        for record in records {
            scene.refuses(&with_record(record, codec), &[ErrorCode::InvalidRecord]);
        }
        // Two records where one is announced.
        let twice = [good, good].concat();
        scene.refuses(&with_record(&twice, codec), &[ErrorCode::InvalidRecord]);
    }
    let mut client = scene.rig.client();
    let sound = client.produce("t", 0, &with_record(&good, Codec::None));
    assert_eq!(sound.code, ErrorCode::None, "the one they are made from");
}

#[test]
fn hostile_16_not_exactly_one_batch_of_the_format() {
    let mut scene = Scene::new();
    let one = batch(&["one"]);
    scene.refuses(&[], &[ErrorCode::InvalidRecord]);
    scene.refuses(&[&one[..], &one].concat(), &[ErrorCode::InvalidRecord]);
    for magic in [0, 1] {
        // A message of an old format, with its own checksum.
        let mut old = vec![0; 8];
        old.extend_from_slice(&[0, 0, 0, 22, 0, 0, 0, 0, magic, 0]);
        old.extend_from_slice(&[0; 8]);
        old.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0]);
        scene.refuses(&old, &[ErrorCode::InvalidRecord, ErrorCode::CorruptMessage]);
    }
}

#[test]
fn hostile_16_bytes_behind_the_batch_are_refused_or_never_stored() {
    let mut scene = Scene::new();
    let one = batch(&["one"]);
    let mut client = scene.rig.client();
    let produced = client.produce("t", 0, &[&one[..], &[1, 2, 3]].concat());
    let expected = match produced.code {
        ErrorCode::None => vec![(0, b"one".to_vec())],
        code => {
            assert_eq!(code, ErrorCode::InvalidRecord);
            Vec::new()
        }
    };
    assert_eq!(client.read_all("t", 0, 0).unwrap(), expected);
    scene.all_is_well();
}

#[test]
fn hostile_17_a_control_batch() {
    let mut scene = Scene::new();
    let control = built(BatchBuilder::new(Offset(0)).with_control(), &["commit"]);
    scene.refuses(&control, &[ErrorCode::InvalidRecord]);
    let marker = BatchBuilder::new(Offset(0)).with_control().with_transactional().with_producer(
        ProducerId(5),
        ProducerEpoch(0),
        -1,
    );
    // Who names no transactional id has no part of the request written.
    let (marker, good) = (built(marker, &["commit"]), batch(&["good"]));
    let request = produce_request("t", -1, &[(0, &marker), (1, &good)]);
    let produced = scene.rig.client().produced(&request).unwrap();
    let codes: Vec<_> = produced.iter().map(|it| it.code).collect();
    assert_eq!(codes, [ErrorCode::TransactionalIdAuthorizationFailed; 2]);
    scene.all_is_well();
}

#[test]
fn hostile_18_a_producer_without_a_sequence() {
    let mut scene = Scene::new();
    let producer = BatchBuilder::new(Offset(0)).with_producer(ProducerId(5), ProducerEpoch(0), 0);
    for sequence in [-1, -2, i32::MIN] {
        let mut bytes = built(producer.clone(), &["one"]);
        bytes[BASE_SEQUENCE..COUNT].copy_from_slice(&i32::to_be_bytes(sequence));
        refresh_crc(&mut bytes);
        scene.refuses(&bytes, &[ErrorCode::InvalidRecord]);
    }
}

#[test]
fn hostile_19_a_codec_that_nobody_knows_and_streams_that_are_none() {
    use ErrorCode::{CorruptMessage, UnsupportedCompressionType};
    let mut scene = Scene::new();
    for codec in [5, 6, 7] {
        scene.refuses(&with(ATTRIBUTES + 1, &[codec]), &[UnsupportedCompressionType]);
    }
    // What is said to be compressed and is not.
    for codec in [1, 2, 3, 4] {
        scene.refuses(&with(ATTRIBUTES + 1, &[codec]), &[CorruptMessage]);
    }
}

#[test]
fn hostile_20_streams_that_claim_what_they_do_not_hold() {
    use ErrorCode::{CorruptMessage, InvalidRecord};
    let mut scene = Scene::new();
    let stream = |codec: u8, stream: &[u8]| {
        let mut bytes = batch(&["x"]);
        bytes.truncate(HEADER_LEN);
        bytes.extend_from_slice(stream);
        bytes[ATTRIBUTES + 1] = codec;
        finish(bytes)
    };
    let two_gib = [0xff, 0xff, 0xff, 0xff, 0x07];
    // A snappy block, a chunk of snappy-java's that claims 500 MiB, a block of lz4 that claims
    // 2 GiB, a zstd frame whose window is 2^41 bytes.
    let java = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];
    for bytes in [
        stream(2, &[&two_gib[..], &[0; 20]].concat()),
        stream(2, &[&java[..], &(500_u32 << 20).to_be_bytes(), &[0; 20]].concat()),
        stream(3, &[0x04, 0x22, 0x4d, 0x18, 0x60, 0x70, 0x73, 0xff, 0xff, 0xff, 0x7f, 0, 0]),
        stream(4, &[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf8, 1, 0, 0]),
    ] {
        scene.refuses(&bytes, &[CorruptMessage, InvalidRecord]);
    }
}

#[test]
fn hostile_21_a_batch_above_the_limit() {
    let mut scene = Scene::new();
    scene.bystander.create_topic("small", 1, &[("max.message.bytes", "1000")]);
    scene.bystander.create_topic(
        "short",
        1,
        &[("max.message.bytes", "4000000"), ("segment.bytes", "1048576")],
    );
    let mut client = scene.rig.client();
    let large = batch(&[vec![7; 1000]]);
    assert_eq!(client.produce("small", 0, &large).code, ErrorCode::MessageTooLarge);
    assert_eq!(client.produce("small", 0, &batch(&["fits"])).base_offset, 0);
    let segment = batch(&[vec![7; 2 << 20]]);
    assert_eq!(client.produce("short", 0, &segment).code, ErrorCode::RecordListTooLarge);
    scene.all_is_well();
}

#[test]
fn hostile_22_no_key_on_a_compacted_topic() {
    let mut scene = Scene::new();
    scene.bystander.create_topic("compacted", 1, &[("cleanup.policy", "compact")]);
    let mut builder = BatchBuilder::new(Offset(0));
    builder.append(1, Some(b"key"), None, []);
    builder.append(2, None, Some(b"no key"), []);
    builder.append(3, None, Some(b"no key either"), []);
    let mut bytes = Vec::new();
    builder.build(&mut bytes).unwrap();
    let mut client = scene.rig.client();
    let produced = client.produce("compacted", 0, &bytes);
    assert_eq!(produced.code, ErrorCode::InvalidRecord);
    assert_eq!(produced.at_fault, [1, 2]);
    scene.all_is_well();
}

#[test]
fn hostile_23_a_time_too_far_away() {
    let mut scene = Scene::new();
    let config = [("message.timestamp.before.max.ms", "60000")];
    scene.bystander.create_topic("now", 1, &config);
    let mut client = scene.rig.client();
    // `batch` writes of 1970.
    let produced = client.produce("now", 0, &batch(&["old"]));
    assert_eq!(produced.code, ErrorCode::InvalidTimestamp);
    let mut far = BatchBuilder::new(Offset(0));
    far.append(i64::MAX / 2, None, Some(b"x"), []);
    let mut bytes = Vec::new();
    far.build(&mut bytes).unwrap();
    assert_eq!(client.produce("t", 0, &bytes).code, ErrorCode::InvalidTimestamp);
    scene.all_is_well();
}

#[test]
fn hostile_24_acks_that_nobody_knows() {
    let mut scene = Scene::new();
    let one = batch(&["one"]);
    for acks in [2, -2, i16::MAX] {
        let mut client = scene.rig.client();
        let produced = client.produced(&produce_request("t", acks, &[(0, &one)])).unwrap();
        assert_eq!(produced[0].code, ErrorCode::InvalidRequiredAcks);
    }
    assert_eq!(scene.bystander.offset_at("t", 0, -1), Ok(0));
    scene.all_is_well();
}

#[test]
fn hostile_25_an_error_with_acks_0_ends_the_connection() {
    let mut scene = Scene::new();
    let mut wrong = batch(&["one"]);
    wrong[CRC] ^= 1;
    let good = batch(&["good"]);
    for (topic, records) in [("t", &wrong), ("nowhere", &good)] {
        let request = produce_request(topic, 0, &[(0, records)]);
        scene.closes(&crate::client::frame(milena_protocol::api::ApiKey::Produce, 12, 1, &request));
    }
}
