//! Bad input, over every message and version: rows 7 to 11 of the list of hostile inputs. A
//! flaw is always an error, never a panic; what is not a flaw is passed over.

use milena_protocol::api::Request;
use milena_protocol::json::Reading;
use milena_protocol::wire::{Flaw, TAGGED_FIELDS_MAX};
use milena_protocol::{DecodeError, MESSAGES};
use serde_json::Value;

use crate::fixture::{Sample, samples};

impl Sample {
    fn is_flexible(&self) -> bool {
        let entry = MESSAGES.iter().find(|entry| entry.name == self.name).unwrap();
        entry.flexible_from.is_some_and(|from| self.version >= from)
    }

    fn read(&self, bytes: &[u8]) -> Result<Reading, DecodeError> {
        let entry = MESSAGES.iter().find(|entry| entry.name == self.name).unwrap();
        (entry.read)(bytes, self.version)
    }

    /// The bytes with the last one replaced.
    fn ending_in(&self, tail: &[u8]) -> Vec<u8> {
        let (_, head) = self.bytes.split_last().unwrap();
        [head, tail].concat()
    }
}

/// The samples that end in the count of no tagged fields: nearly all of a flexible version.
fn without_tags() -> impl Iterator<Item = Sample> {
    samples().into_iter().filter(|sample| {
        let uncounted = |error: DecodeError| error.field == "tagged fields";
        sample.is_flexible()
            && sample.bytes.ends_with(&[0])
            && sample.read(&sample.ending_in(&[])).is_err_and(uncounted)
    })
}

/// Every text of a sample that can be found in its bytes, with its place there.
fn texts(sample: &Sample) -> Vec<(usize, String)> {
    fn collect(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::String(text) if text.len() >= 4 => found.push(text.clone()),
            Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
            Value::Object(fields) => fields.values().for_each(|value| collect(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect(&sample.json, &mut found);
    let place = |text: &String| {
        let mut windows = sample.bytes.windows(text.len());
        let at = windows.position(|window| window == text.as_bytes())?;
        Some((at, text.clone()))
    };
    found.iter().filter_map(place).collect()
}

#[test]
fn hostile_07_truncated_body() {
    for sample in samples() {
        for length in 0..sample.bytes.len() {
            let refused = sample.read(&sample.bytes[..length]);
            let (name, version) = (&sample.name, sample.version);
            assert!(refused.is_err(), "{name} v{version}, {length} bytes: {refused:?}");
        }
    }
}

#[test]
fn hostile_07_trailing_garbage() {
    for sample in samples() {
        let bytes = [&sample.bytes[..], b"garbage"].concat();
        let reading = sample.read(&bytes).unwrap();
        assert_eq!((reading.trailing, reading.encoded), (7, sample.bytes));
    }
}

#[test]
fn hostile_08_array_count() {
    // Metadata's first field is the array of topics; not flexible up to version 8.
    let refused = |count: i32, version| {
        Request::decode(3, &count.to_be_bytes(), version).map(|_| ()).unwrap_err().flaw
    };
    assert_eq!(refused(i32::MAX, 1), Flaw::TooManyElements(i32::MAX as u64));
    assert_eq!(refused(1, 1), Flaw::TooManyElements(1));
    assert_eq!(refused(-2, 1), Flaw::NegativeLength(-2));
    // Null means all topics, but not yet in version 0.
    assert_eq!(refused(-1, 0), Flaw::Null);
    let flexible = [0xff, 0xff, 0xff, 0xff, 0x0f];
    let flaw = Request::decode(3, &flexible, 12).unwrap_err().flaw;
    assert_eq!(flaw, Flaw::TooManyElements(0xffff_fffe));
}

#[test]
fn hostile_08_more_elements_than_anybody_sends() {
    // 1,000,001 empty group ids of ListGroups' states filter.
    let mut bytes = vec![0xc2, 0x84, 0x3d];
    bytes.resize(bytes.len() + 1_000_002, 1);
    let flaw = Request::decode(16, &bytes, 4).unwrap_err().flaw;
    assert_eq!(flaw, Flaw::TooManyElements(1_000_001));
}

#[test]
fn hostile_09_text_that_is_not_utf8() {
    let mut broken = 0;
    for sample in samples() {
        for (at, _) in texts(&sample) {
            let mut bytes = sample.bytes.clone();
            bytes[at] = 0xff;
            let flaw = sample.read(&bytes).map_err(|error| error.flaw);
            // Some texts of the JSON stand in a field of bytes, which may hold anything.
            broken += usize::from(flaw == Err(Flaw::NotUtf8));
            assert!(matches!(flaw, Ok(_) | Err(Flaw::NotUtf8)), "{}: {flaw:?}", sample.name);
        }
    }
    assert!(broken > 5_000, "only {broken} texts were broken");
}

#[test]
fn hostile_09_length_beyond_the_end() {
    let mut broken = 0;
    for sample in samples() {
        for (at, text) in texts(&sample) {
            let (head, tail) = sample.bytes.split_at(at);
            let length = (text.len() as i16).to_be_bytes();
            let (prefix, huge): (_, [&[u8]; 2]) = if sample.is_flexible() {
                (1, [&[0xff, 0xff, 0x01], &[0xff, 0xff, 0xff, 0xff, 0x07]])
            } else {
                (2, [&[0x7f, 0xff], &[0xff, 0xfe]])
            };
            // Otherwise the text was found inside of a longer one.
            let own = if prefix == 1 { &[length[1] + 1][..] } else { &length[..] };
            if !head.ends_with(own) {
                continue;
            }
            for huge in huge {
                let bytes = [&head[..at - prefix], huge, tail].concat();
                let flaw = sample.read(&bytes).unwrap_err().flaw;
                assert!(
                    matches!(flaw, Flaw::Truncated | Flaw::NegativeLength(_)),
                    "{} v{}, byte {at}: {flaw:?}",
                    sample.name,
                    sample.version
                );
                broken += 1;
            }
        }
    }
    assert!(broken > 5_000, "only {broken} lengths were broken");
}

#[test]
fn hostile_10_varint_too_long() {
    let mut broken = 0;
    for sample in without_tags() {
        for tail in [[0xff, 0xff, 0xff, 0xff, 0xff, 0x00], [0xff, 0xff, 0xff, 0xff, 0x1f, 0x00]] {
            let flaw = sample.read(&sample.ending_in(&tail)).unwrap_err().flaw;
            assert_eq!(flaw, Flaw::VarintTooLong, "{}", sample.name);
        }
        broken += 1;
    }
    assert!(broken > 2_000, "only {broken} messages were broken");
}

#[test]
fn hostile_10_tagged_fields() {
    for sample in without_tags() {
        let flaw = |tail: &[u8]| sample.read(&sample.ending_in(tail)).unwrap_err().flaw;
        assert_eq!(flaw(&[2, 101, 0, 100, 0]), Flaw::TagOutOfOrder(100));
        assert_eq!(flaw(&[2, 100, 0, 100, 0]), Flaw::TagOutOfOrder(100));
        assert_eq!(flaw(&[1, 100, 3, 7, 7]), Flaw::Truncated);
        assert_eq!(flaw(&[0x91, 0x4e]), Flaw::TooManyTaggedFields(TAGGED_FIELDS_MAX + 1));
    }
}

#[test]
fn hostile_10_a_tag_of_another_size_than_it_says() {
    // Tag 0 of Fetch is a text: its three bytes say that one follows, which fills two.
    let mut sample = samples()
        .into_iter()
        .find(|sample| {
            sample.name == "FetchRequest" && sample.version == 12 && sample.bytes.ends_with(&[0])
        })
        .unwrap();
    let bytes = sample.ending_in(&[1, 0, 3, 2, b'c', b'd']);
    assert_eq!(sample.read(&bytes).unwrap_err().flaw, Flaw::TagSizeMismatch(0));
    sample.bytes = sample.ending_in(&[1, 0, 2, 2, b'c']);
    assert_eq!(sample.read(&sample.bytes).unwrap().json["clusterId"], "c");
}

#[test]
fn hostile_11_unknown_tagged_fields_are_skipped() {
    for sample in without_tags() {
        let tail = [2, 100, 3, b'n', b'e', b'w', 0x80, 0x80, 0x80, 0x80, 0x08, 0];
        let reading = sample.read(&sample.ending_in(&tail)).unwrap();
        assert_eq!((reading.json, reading.trailing), (sample.json, 0));
        assert_eq!(reading.encoded, sample.bytes);
    }
}
