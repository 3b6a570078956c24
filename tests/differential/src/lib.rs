//! Asks Milena and Apache Kafka the same questions and compares every field of their answers.
//!
//! [`script`] reads the questions, [`encode`] and [`records`] make bytes of them, [`run`] asks one
//! broker all of them over [`client`], and [`compare`] judges two runs. What a run says is a
//! transcript: one canonical answer an exchange, in which [`canon`] has hidden what differs from
//! run to run. Nothing here knows which of the two brokers it talks to.
#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a test talks to real brokers over real sockets and reads its own files, and of JSON \
              what is not there is null"
)]

pub mod canon;
pub mod client;
pub mod compare;
pub mod encode;
pub mod records;
pub mod run;
pub mod script;

use std::path::PathBuf;

/// Where the scripts, the rules and the transcript lie.
#[must_use]
pub fn home() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The objects of a file of one JSON object a line, each with the number of its line. Empty lines
/// and such that begin with `#` are for people.
pub fn read_lines(path: &std::path::Path) -> Result<Vec<(usize, serde_json::Value)>, String> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let mut values = Vec::new();
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if !line.is_empty() && !line.starts_with('#') {
            let value =
                serde_json::from_str(line).map_err(|error| format!("{name}:{number}: {error}"))?;
            values.push((number, value));
        }
    }
    Ok(values)
}
