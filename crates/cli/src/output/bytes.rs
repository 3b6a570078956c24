//! Keys and values, which are any bytes: text where they are text, hexadecimal where not.

use std::fmt::Write;

use serde_json::{Value, json};

/// For people, on one line.
pub(crate) fn shown(bytes: Option<&[u8]>) -> String {
    let Some(bytes) = bytes else { return "null".to_owned() };
    match std::str::from_utf8(bytes) {
        Ok(text) => text.chars().flat_map(escaped).collect(),
        Err(_) => format!("0x{}", hex(bytes)),
    }
}

fn escaped(c: char) -> impl Iterator<Item = char> {
    let (plain, escaped) = if c.is_control() || c == '\\' {
        (None, Some(c.escape_default()))
    } else {
        (Some(c), None)
    };
    plain.into_iter().chain(escaped.into_iter().flatten())
}

/// For programs: a text, or `{"hex": "..."}`, or null.
pub(crate) fn in_json(bytes: Option<&[u8]>) -> Value {
    let Some(bytes) = bytes else { return Value::Null };
    std::str::from_utf8(bytes).map_or_else(|_| json!({ "hex": hex(bytes) }), Into::into)
}

/// The bytes that such a value stands for. What is no text and no bytes is its own JSON.
pub(crate) fn from_json(value: &Value) -> Option<Option<Vec<u8>>> {
    match value {
        Value::Null => Some(None),
        Value::String(text) => Some(Some(text.clone().into_bytes())),
        Value::Object(fields) if fields.len() == 1 => match fields.get("hex") {
            Some(Value::String(text)) => from_hex(text).map(Some),
            _ => Some(Some(value.to_string().into_bytes())),
        },
        other => Some(Some(other.to_string().into_bytes())),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // A string takes all that is written to it.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |[high, low]: &[u8; 2]| Some((digit(*high)? * 16 + digit(*low)?) as u8);
    rest.is_empty().then(|| pairs.iter().map(byte).collect()).flatten()
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn bytes_come_back_from_json_as_they_were() {
        for bytes in [None, Some(&b""[..]), Some(b"text\n"), Some(b"\xff\x00"), Some(b"{\"a\":1}")]
        {
            assert_eq!(from_json(&in_json(bytes)), Some(bytes.map(<[u8]>::to_vec)));
        }
        assert_eq!(from_json(&json!({ "a": 1 })), Some(Some(b"{\"a\":1}".to_vec())));
        assert_eq!(from_json(&json!(7)), Some(Some(b"7".to_vec())));
        assert_eq!(from_json(&json!({ "hex": "0g" })), None);
        assert_eq!(from_json(&json!({ "hex": "012" })), None);
    }

    #[test]
    fn what_is_shown_is_one_line_and_harmless() {
        assert_eq!(shown(Some(b"a\n\x1b[2J\\")), "a\\n\\u{1b}[2J\\\\");
        assert_eq!(shown(Some(b"\xff\x01")), "0xff01");
        assert_eq!(shown(Some("Zoë".as_bytes())), "Zoë");
        assert_eq!(shown(None), "null");
    }
}
