//! The messages that Apache Kafka's own classes wrote, from `fixtures/messages.jsonl.zst`.

use std::io::{BufRead, BufReader};

use serde_json::Value;

/// One message in one version.
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) version: i16,
    pub(crate) bytes: Vec<u8>,
    pub(crate) json: Value,
}

pub(crate) fn samples() -> Vec<Sample> {
    let packed = include_bytes!("../fixtures/messages.jsonl.zst");
    let lines = BufReader::new(zstd::stream::read::Decoder::new(&packed[..]).unwrap()).lines();
    lines.map(|line| sample(&line.unwrap())).collect()
}

fn sample(line: &str) -> Sample {
    let mut value: Value = serde_json::from_str(line).unwrap();
    let hex = value["hex"].as_str().unwrap();
    let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16));
    Sample {
        name: value["name"].as_str().unwrap().to_owned(),
        version: value["version"].as_i64().unwrap() as i16,
        bytes: bytes.collect::<Result<_, _>>().unwrap(),
        json: value["json"].take(),
    }
}
