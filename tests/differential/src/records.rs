//! Record batches as scripts write them and as transcripts show them.
//!
//! A script writes bytes as text, as `{"hex": "00ff"}`, or as a list of batches: `{"records":
//! [[timestamp, key, value, {header: value}]], "codec": "lz4", "producer": [id, epoch, sequence],
//! "baseOffset", "transactional", "control", "appendTime", "fill": [count, bytes], "patch":
//! {"at": "hex"}, "checksum": true, "cut": bytes}`. A patch comes after the checksum, unless
//! `checksum` asks for another one behind it; a cut takes bytes off the end.

use milena_protocol::{
    Offset, ProducerEpoch, ProducerId,
    records::{Batch, BatchBuilder, Budget, Codec, Header, Scratch, refresh_crc},
};
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, String>;

/// Longer values are shown by their size: the batch's checksum covers what is in them.
const SHOWN_BYTES: usize = 40;

/// What a script means by a field of bytes or records.
pub fn bytes(value: &Value) -> Result<Vec<u8>> {
    match value {
        Value::String(text) => Ok(text.clone().into_bytes()),
        Value::Array(batches) => {
            Ok(batches.iter().map(batch).collect::<Result<Vec<_>>>()?.concat())
        }
        value => match value.get("hex").and_then(Value::as_str) {
            Some(digits) => hex(digits),
            None => Err(format!("{value} are no bytes")),
        },
    }
}

fn hex(digits: &str) -> Result<Vec<u8>> {
    let digit = |letter: u8| char::from(letter).to_digit(16).map(|digit| digit as u8);
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    let letters: Vec<u8> = digits.bytes().filter(|letter| *letter != b' ').collect();
    letters.chunks(2).map(byte).collect::<Option<_>>().ok_or_else(|| format!("{digits} is no hex"))
}

const WORDS: [&str; 11] = [
    "records",
    "codec",
    "producer",
    "baseOffset",
    "transactional",
    "control",
    "appendTime",
    "fill",
    "patch",
    "checksum",
    "cut",
];

fn batch(json: &Value) -> Result<Vec<u8>> {
    let object = json.as_object().ok_or("a batch is an object")?;
    if let Some(unknown) = object.keys().find(|key| !WORDS.contains(&key.as_str())) {
        return Err(format!("a batch has no {unknown}"));
    }
    let mut builder = BatchBuilder::new(Offset(json["baseOffset"].as_i64().unwrap_or(0)));
    let name = json["codec"].as_str().unwrap_or("none");
    let codec = Codec::ALL.into_iter().find(|codec| format!("{codec:?}").to_lowercase() == name);
    builder = builder.with_codec(codec.ok_or_else(|| format!("no codec {name}"))?, None);
    if let Value::Array(producer) = &json["producer"] {
        let number = |at: usize| producer.get(at).and_then(Value::as_i64).unwrap_or(-1);
        let epoch = ProducerEpoch(number(1) as i16);
        builder = builder.with_producer(ProducerId(number(0)), epoch, number(2) as i32);
    }
    if json["transactional"] == true {
        builder = builder.with_transactional();
    }
    if json["control"] == true {
        builder = builder.with_control();
    }
    if let Some(time) = json["appendTime"].as_i64() {
        builder = builder.with_append_time(time);
    }
    for record in json["records"].as_array().unwrap_or(&Vec::new()) {
        let text = |at: usize| record[at].as_str().map(str::as_bytes);
        let empty = serde_json::Map::new();
        let headers = record[3].as_object().unwrap_or(&empty);
        let headers = headers.iter().map(|(key, value)| Header {
            key: key.as_bytes(),
            value: value.as_str().map(str::as_bytes),
        });
        let time = record[0].as_i64().ok_or("a record begins with its timestamp")?;
        builder.append(time, text(1), text(2), headers);
    }
    if let Value::Array(fill) = &json["fill"] {
        let number = |at: usize| fill.get(at).and_then(Value::as_u64).unwrap_or(1);
        let value = vec![b'x'; number(1) as usize];
        for time in 0..number(0) {
            builder.append(time as i64, None, Some(&value), []);
        }
    }
    let mut out = Vec::new();
    builder.build(&mut out).map_err(|error| error.to_string())?;
    for (at, digits) in json["patch"].as_object().into_iter().flatten() {
        let at: usize = at.parse().map_err(|_| "a patch begins at a byte")?;
        let new = hex(digits.as_str().unwrap_or_default())?;
        let old = out.get_mut(at..at + new.len()).ok_or("a patch lies in the batch")?;
        old.copy_from_slice(&new);
    }
    if json["checksum"] == true {
        refresh_crc(&mut out);
    }
    let cut = json["cut"].as_u64().unwrap_or(0) as usize;
    out.truncate(out.len().saturating_sub(cut));
    Ok(out)
}

/// Shows what is in the records of an answer, in their place.
pub fn reveal(answer: &mut Value) -> Result<()> {
    match answer {
        Value::Array(items) => items.iter_mut().try_for_each(reveal),
        Value::Object(fields) => fields.iter_mut().try_for_each(|(name, value)| match value {
            Value::String(text) if name == "records" => {
                *value = show(&base64(text)?);
                Ok(())
            }
            value => reveal(value),
        }),
        _ => Ok(()),
    }
}

fn show(bytes: &[u8]) -> Value {
    let mut rest = bytes;
    let mut batches = Vec::new();
    let mut scratch = Scratch::default();
    while !rest.is_empty() {
        let Ok(batch) = Batch::read(rest) else {
            batches.push(json!({"cutAfter": rest.len()}));
            break;
        };
        rest = rest.get(batch.bytes().len()..).unwrap_or_default();
        batches.push(show_batch(&batch, &mut scratch));
    }
    batches.into()
}

fn show_batch(batch: &Batch<'_>, scratch: &mut Scratch) -> Value {
    let header = batch.header();
    // Markers have the time at which the broker wrote them.
    let attributes = header.attributes;
    let is_own_time = attributes.is_log_append_time() || attributes.is_control();
    let text = |bytes: Option<&[u8]>| match bytes {
        None => Value::Null,
        Some(bytes) if bytes.len() > SHOWN_BYTES => json!(format!("{} bytes", bytes.len())),
        Some(bytes) => String::from_utf8_lossy(bytes).into(),
    };
    let time = |time: i64| if is_own_time { "*".into() } else { Value::from(time) };
    let records: Value = match batch.records(scratch, Budget::bytes(16 << 20)) {
        Err(error) => error.to_string().into(),
        Ok(records) => records
            .map(|record| match record {
                Err(error) => error.to_string().into(),
                Ok(record) => {
                    let headers = record.headers.map(|h| json!([text(Some(h.key)), text(h.value)]));
                    json!([
                        record.offset.0,
                        time(record.timestamp),
                        text(record.key),
                        text(record.value),
                        headers.collect::<Vec<_>>()
                    ])
                }
            })
            .collect(),
    };
    let base_time =
        if attributes.is_control() { time(0) } else { Value::from(header.base_timestamp) };
    json!({
        "baseOffset": header.base_offset.0,
        "bytes": batch.bytes().len(),
        "leaderEpoch": header.leader_epoch.0,
        "crc": if is_own_time { "*".into() } else { Value::from(header.crc) },
        "attributes": header.attributes.0,
        "lastOffsetDelta": header.last_offset_delta,
        "baseTimestamp": base_time,
        "maxTimestamp": time(header.max_timestamp),
        "producer": [header.producer_id.0, header.producer_epoch.0, header.base_sequence],
        "records": records,
    })
}

fn base64(text: &str) -> Result<Vec<u8>> {
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => Some(letter - b'A'),
        b'a'..=b'z' => Some(letter - b'a' + 26),
        b'0'..=b'9' => Some(letter - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let letters: Vec<u8> = text.bytes().filter(|letter| *letter != b'=').collect();
    let mut bytes = Vec::with_capacity(letters.len() * 3 / 4);
    for four in letters.chunks(4) {
        let mut bits = 0_u32;
        for letter in four {
            bits = bits << 6 | u32::from(value(*letter).ok_or("no base64")?);
        }
        bits <<= 6 * (4 - four.len());
        bytes.extend(bits.to_be_bytes().iter().skip(1).take(four.len() - 1));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read() {
        assert_eq!(base64("").unwrap(), b"");
        assert_eq!(base64("TWlsZQ==").unwrap(), b"Mile");
        assert_eq!(base64("TWlsZW5h").unwrap(), b"Milena");
    }

    #[test]
    fn what_a_script_writes_is_what_a_transcript_shows() {
        let json = json!([{"codec": "zstd", "producer": [7, 1, 0],
            "records": [[5, "k", null, {"h": "v"}]]}]);
        let shown = show(&bytes(&json).unwrap());
        assert_eq!(shown[0]["records"], json!([[0, 5, "k", null, [["h", "v"]]]]));
        assert_eq!(shown[0]["producer"], json!([7, 1, 0]));
        let cut = json!([{"records": [[5, "k", "v"]], "cut": 1, "patch": {"17": "00"}}]);
        assert_eq!(show(&bytes(&cut).unwrap()), json!([{"cutAfter": 69}]));
    }
}
