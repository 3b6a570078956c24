//! Judges two runs: every field is compared, and what differs must stand in `differences.jsonl`
//! with the reason.

use std::{cell::Cell, collections::BTreeMap, io::Read, path::Path};

use serde_json::{Value, json};

use crate::run::Exchange;

type Result<T> = std::result::Result<T, String>;

/// A field that two brokers answer differently.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    pub exchange: String,
    pub field: String,
    pub kafka: Value,
    pub milena: Value,
}

/// A difference that is known, and why it may be.
#[derive(Debug)]
struct Known {
    exchange: String,
    field: String,
    kafka: Option<Value>,
    milena: Option<Value>,
    is_met: Cell<bool>,
}

/// The lines of `differences.jsonl`.
#[derive(Debug)]
pub struct KnownDifferences(Vec<Known>);

impl KnownDifferences {
    pub fn load() -> Result<Self> {
        let lines = crate::read_lines(&crate::home().join("differences.jsonl"))?;
        let known = |(number, line): (usize, Value)| {
            let text = |word: &str| {
                let missing = || format!("differences.jsonl:{number}: no {word}");
                line[word].as_str().map(str::to_owned).ok_or_else(missing)
            };
            text("why")?;
            Ok(Known {
                exchange: text("exchange")?,
                field: text("field")?,
                kafka: line.get("kafka").cloned(),
                milena: line.get("milena").cloned(),
                is_met: Cell::new(false),
            })
        };
        lines.into_iter().map(known).collect::<Result<_>>().map(Self)
    }

    fn names(&self, found: &Difference) -> bool {
        let is_it = |known: &&Known| {
            matches(&known.exchange, &found.exchange)
                && matches(&known.field, &found.field)
                && known.kafka.as_ref().is_none_or(|value| *value == found.kafka)
                && known.milena.as_ref().is_none_or(|value| *value == found.milena)
        };
        let known = self.0.iter().find(is_it);
        known.inspect(|known| known.is_met.set(true)).is_some()
    }

    /// Those that nothing differs by any more.
    fn unmet(&self) -> impl Iterator<Item = String> {
        let unmet = self.0.iter().filter(|known| !known.is_met.get());
        unmet.map(|known| format!("{} / {} differs no more", known.exchange, known.field))
    }
}

/// All that is wrong with Milena's run, one line each.
#[must_use]
pub fn judge(kafka: &[Exchange], milena: &[Exchange], known: &KnownDifferences) -> Vec<String> {
    let answers: BTreeMap<&str, &Value> =
        kafka.iter().map(|one| (one.name.as_str(), &one.answer)).collect();
    let mut complaints = Vec::new();
    for Exchange { name, answer } in milena {
        let Some(expected) = answers.get(name.as_str()) else {
            complaints.push(format!("{name}: Kafka was never asked; run run.sh"));
            continue;
        };
        let mut found = Vec::new();
        differences(name, "", expected, answer, &mut found);
        found.retain(|one| !known.names(one));
        complaints.extend(found.iter().map(|one| {
            format!(
                "{} / {}\n    Kafka:  {}\n    Milena: {}",
                name, one.field, one.kafka, one.milena
            )
        }));
    }
    complaints.extend(known.unmet());
    complaints
}

fn differences(
    exchange: &str,
    path: &str,
    kafka: &Value,
    milena: &Value,
    found: &mut Vec<Difference>,
) {
    let at = |part: &str| {
        if path.is_empty() { part.to_owned() } else { format!("{path}.{part}") }
    };
    match (kafka, milena) {
        (Value::Object(left), Value::Object(right)) => {
            let names = left.keys().chain(right.keys().filter(|name| !left.contains_key(*name)));
            for name in names {
                differences(exchange, &at(name), &kafka[name], &milena[name], found);
            }
        }
        // An API that is not served yet is not advertised.
        (Value::Array(left), Value::Array(right)) if path == "apiKeys" => {
            for one in right.iter().filter(|one| !left.contains(one)) {
                let key = one["apiKey"].to_string();
                let theirs = left.iter().find(|other| other["apiKey"] == one["apiKey"]);
                differences(exchange, &at(&key), theirs.unwrap_or(&Value::Null), one, found);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (number, (left, right)) in left.iter().zip(right).enumerate() {
                differences(exchange, &at(&number.to_string()), left, right, found);
            }
        }
        _ if kafka == milena => {}
        _ => found.push(Difference {
            exchange: exchange.to_owned(),
            field: path.to_owned(),
            kafka: kafka.clone(),
            milena: milena.clone(),
        }),
    }
}

/// Whether a text is what a pattern says, in which a star stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).any(|at| rest.get(at..).is_some_and(|rest| matches(after, rest)))
        }),
    }
}

/// Writes a transcript, one exchange a line.
pub fn write(path: &Path, exchanges: &[Exchange]) -> Result<()> {
    let mut text = String::new();
    for Exchange { name, answer } in exchanges {
        text += &json!({"exchange": name, "answer": answer}).to_string();
        text.push('\n');
    }
    let packed = zstd::encode_all(text.as_bytes(), 19).map_err(|error| error.to_string())?;
    std::fs::write(path, packed).map_err(|error| format!("{}: {error}", path.display()))
}

pub fn read(path: &Path) -> Result<Vec<Exchange>> {
    let wrong = |error: std::io::Error| format!("{}: {error}", path.display());
    let file = std::fs::File::open(path).map_err(wrong)?;
    let mut text = String::new();
    let mut reader = zstd::Decoder::new(file).map_err(wrong)?;
    reader.read_to_string(&mut text).map_err(wrong)?;
    let exchange = |line: &str| {
        let mut line: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let name = line["exchange"].as_str().unwrap_or_default().to_owned();
        Ok(Exchange { name, answer: line["answer"].take() })
    };
    text.lines().map(exchange).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(answer: Value) -> Vec<Exchange> {
        vec![Exchange { name: "fetch v4: it".to_owned(), answer }]
    }

    #[test]
    fn every_field_counts_unless_it_is_known_to_differ() {
        let kafka = exchange(json!({"a": [{"b": 1, "c": 2}], "d": null}));
        let milena = exchange(json!({"a": [{"b": 1, "c": 3}], "e": 1}));
        let nothing = KnownDifferences(Vec::new());
        assert_eq!(judge(&kafka, &kafka, &nothing), [""; 0]);
        assert_eq!(judge(&kafka, &milena, &nothing).len(), 2);
        let known = |milena: i64| Known {
            exchange: "fetch v*: it".to_owned(),
            field: "a.*.c".to_owned(),
            kafka: None,
            milena: Some(milena.into()),
            is_met: Cell::new(false),
        };
        assert_eq!(judge(&kafka, &milena, &KnownDifferences(vec![known(3)])).len(), 1);
        assert_eq!(judge(&kafka, &milena, &KnownDifferences(vec![known(4)])).len(), 3);
        assert_eq!(
            judge(&kafka, &kafka, &KnownDifferences(vec![known(3)])),
            ["fetch v*: it / a.*.c differs no more"]
        );
    }

    #[test]
    fn only_what_is_advertised_is_compared() {
        let kafka = exchange(json!({"apiKeys": [{"apiKey": 0, "max": 13}, {"apiKey": 1}]}));
        let milena = exchange(json!({"apiKeys": [{"apiKey": 0, "max": 12}]}));
        let found = judge(&kafka, &milena, &KnownDifferences(Vec::new()));
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("apiKeys.0.max"), "{found:?}");
    }
}
