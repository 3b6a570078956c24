//! Apache Kafka's own message classes are the oracle: every message, version by version, filled
//! by chance and written as bytes and as JSON (`tests/oracle/`). Ours must read the bytes, print
//! the same JSON and write the same bytes.

use std::collections::BTreeSet;

use milena_protocol::MESSAGES;
use serde_json::Value;

use crate::fixture;

/// Where `one` and `two` differ first, for people.
fn difference(path: &str, one: &Value, two: &Value) -> Option<String> {
    match (one, two) {
        (Value::Object(a), Value::Object(b)) => {
            a.keys().chain(b.keys()).find(|key| a.get(*key) != b.get(*key)).and_then(|key| {
                let missing = Value::String("(absent)".to_owned());
                let (one, two) = (a.get(key).unwrap_or(&missing), b.get(key).unwrap_or(&missing));
                difference(&format!("{path}.{key}"), one, two)
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let at = a.iter().zip(b).position(|(one, two)| one != two)?;
            difference(&format!("{path}[{at}]"), &a[at], &b[at])
        }
        _ if one == two => None,
        _ => Some(format!("{path}: ours {one}, Kafka's {two}")),
    }
}

#[test]
fn every_message_of_every_version_is_read_and_written_as_kafka_does() {
    let mut seen = BTreeSet::new();
    let mut flaws = Vec::new();
    for sample in fixture::samples() {
        let (name, version) = (sample.name.as_str(), sample.version);
        let Some(entry) = MESSAGES.iter().find(|entry| entry.name == name) else {
            flaws.push(format!("{name}: no such message"));
            continue;
        };
        seen.insert((entry.name, version));
        match (entry.read)(&sample.bytes, version) {
            Err(error) => flaws.push(error.to_string()),
            Ok(reading) => {
                if let Some(text) = difference(name, &reading.json, &sample.json) {
                    flaws.push(format!("v{version} {text}"));
                }
                if reading.encoded != sample.bytes {
                    flaws.push(format!("{name} v{version}: written otherwise"));
                }
                if reading.trailing != 0 {
                    flaws.push(format!("{name} v{version}: {} bytes left", reading.trailing));
                }
            }
        }
    }
    let ours: BTreeSet<_> = MESSAGES
        .iter()
        .flat_map(|entry| {
            (entry.version_min..=entry.version_max).map(|version| (entry.name, version))
        })
        .collect();
    for (name, version) in ours.difference(&seen) {
        flaws.push(format!("{name} v{version}: Kafka has no such message, or no sample of it"));
    }
    for (name, version) in seen.difference(&ours) {
        flaws.push(format!("{name} v{version}: we have no such version"));
    }
    assert!(seen.len() > 500, "only {} messages and versions were compared", seen.len());
    let first: Vec<_> = flaws.iter().take(40).collect();
    assert!(flaws.is_empty(), "{} flaws, the first: {first:#?}", flaws.len());
}
