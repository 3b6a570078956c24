//! Messages in the shape in which Kafka's own tools print them, for tests and tools.

use serde_json::Value;

use crate::wire::{DecodeError, Message, Records, Uuid, Writer};

/// What Kafka's tools can print.
pub trait Json {
    /// The value as it looks in a version of its message.
    fn json(&self, version: i16) -> Value;
}

macro_rules! plain {
    ($($type:ty)*) => { $(
        impl Json for $type {
            fn json(&self, _: i16) -> Value {
                (*self).into()
            }
        }
    )* };
}

plain!(bool i8 i16 u16 i32 i64 f64 &str);

impl Json for Uuid {
    fn json(&self, _: i16) -> Value {
        self.to_string().into()
    }
}

impl Json for &[u8] {
    fn json(&self, _: i16) -> Value {
        base64(self).into()
    }
}

impl Json for Records<'_> {
    fn json(&self, version: i16) -> Value {
        self.as_slice().unwrap_or_default().json(version)
    }
}

impl<T: Json> Json for Vec<T> {
    fn json(&self, version: i16) -> Value {
        self.iter().map(|one| one.json(version)).collect()
    }
}

impl<T: Json> Json for Option<T> {
    fn json(&self, version: i16) -> Value {
        self.as_ref().map_or(Value::Null, |one| one.json(version))
    }
}

/// A message that can be worked with by name.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Kafka's name of the message.
    pub name: &'static str,
    /// The lowest version.
    pub version_min: i16,
    /// The highest version.
    pub version_max: i16,
    /// The first version with compact lengths and tagged fields.
    pub flexible_from: Option<i16>,
    /// Reads a message of that name.
    pub read: fn(&[u8], i16) -> Result<Reading, DecodeError>,
}

/// What a message's bytes say.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The message in the shape in which Kafka's tools print it.
    pub json: Value,
    /// The message as this crate writes it.
    pub encoded: Vec<u8>,
    /// How many bytes came behind it.
    pub trailing: usize,
}

pub(crate) fn read<'a, M: Message<'a> + Json>(
    bytes: &'a [u8],
    version: i16,
) -> Result<Reading, DecodeError> {
    let decoded = M::decode(bytes, version)?;
    let mut writer = Writer::with_capacity(bytes.len());
    decoded.message.write(&mut writer, version);
    // What could be read can be written, and what came in holds no ranges.
    let encoded = writer.finish().ok().and_then(|frame| frame.into_body()).unwrap_or_default();
    Ok(Reading { json: decoded.message.json(version), encoded, trailing: decoded.trailing })
}

/// Bytes in base64 with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - three.len()));
        for place in 0..4 {
            let six = (bits >> (18 - 6 * place)) & 63;
            let letter = ALPHABET.get(six as usize).copied().unwrap_or_default();
            text.push(if place > three.len() { '=' } else { char::from(letter) });
        }
    }
    text
}
