//! Groups' records as bytes: the key is its type's number and its fields, the value its version and
//! its fields. Byte for byte Kafka's.

use milena_protocol::{
    DecodeError, EncodeError, Offset,
    group::{Key, Value},
    wire::Writer,
};

use super::super::{Scene, TooLarge, WriteError, scene::RECORD_OVERHEAD_BYTES};

/// The only version that keys have.
const KEY_VERSION: i16 = 0;

/// A record as it will lie in the log.
#[derive(Clone, Debug)]
pub(crate) struct Encoded {
    pub(super) key: Vec<u8>,
    pub(super) value: Option<Vec<u8>>,
}

impl Encoded {
    /// The room that it takes in a batch, at most.
    pub(crate) fn size(&self) -> usize {
        RECORD_OVERHEAD_BYTES + self.key.len() + self.value.as_ref().map_or(0, Vec::len)
    }

    pub(crate) fn push(&self, scene: &mut Scene<'_>) -> Result<Offset, TooLarge> {
        scene.effects.push(scene.now.wall_ms, &self.key, self.value.as_deref())
    }
}

/// A record, or the key's end where there is no value.
pub(crate) fn encode(key: &Key<'_>, value: Option<&Value<'_>>) -> Result<Encoded, EncodeError> {
    let key = prefixed(key.number(), |writer| key.encode(writer, KEY_VERSION))?;
    let value = value.map(|value| {
        let version = value_version(value);
        prefixed(version, |writer| value.encode(writer, version))
    });
    Ok(Encoded { key, value: value.transpose()? })
}

/// Has a record appended, or the key's end where there is no value, and says where it will lie. The
/// caller applies it.
pub(crate) fn push(
    scene: &mut Scene<'_>,
    key: &Key<'_>,
    value: Option<&Value<'_>>,
) -> Result<Offset, WriteError> {
    Ok(encode(key, value)?.push(scene)?)
}

/// A message behind the number that says how to read it.
fn prefixed(
    number: i16,
    encode: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
) -> Result<Vec<u8>, EncodeError> {
    let mut writer = Writer::with_capacity(64);
    encode(&mut writer)?;
    let body = writer.finish()?.into_body().unwrap_or_default();
    Ok([&number.to_be_bytes()[..], &body].concat())
}

/// The version in which Kafka 4.3 writes a value.
const fn value_version(value: &Value<'_>) -> i16 {
    match value {
        // The only one that has the field.
        Value::OffsetCommit(it) if it.expire_timestamp != -1 => 1,
        Value::OffsetCommit(_) => 4,
        Value::GroupMetadata(_) => 3,
        _ => 0,
    }
}

/// Reads a key; `None` for a type that only a newer Kafka knows, which is skipped.
pub(super) fn read_key(bytes: &[u8]) -> Result<Option<Key<'_>>, DecodeError> {
    let Some(([a, b], body)) = bytes.split_first_chunk() else { return Ok(None) };
    match i16::from_be_bytes([*a, *b]) {
        // The first two are one and the same message of two versions.
        kind @ 0..=23 if !matches!(kind, 9 | 18) => {
            Key::decode(kind, body, KEY_VERSION).map(|decoded| Some(decoded.message))
        }
        _ => Ok(None),
    }
}

/// Reads the value that belongs to `key`.
pub(super) fn read_value<'a>(key: &Key<'_>, bytes: &'a [u8]) -> Result<Value<'a>, DecodeError> {
    let (version, body) = match bytes.split_first_chunk() {
        Some(([a, b], body)) => (i16::from_be_bytes([*a, *b]), body),
        None => (-1, bytes),
    };
    Value::decode(key.number(), body, version).map(|decoded| decoded.message)
}
