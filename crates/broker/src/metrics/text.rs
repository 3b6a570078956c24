//! Prometheus' text format, from numbers in any order. Whatever names and values strangers chose,
//! the text is one that is taken as a whole: no label comes twice, no number either, and it does
//! not grow without end.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
};

use super::otlp::{Kind, Number};
use crate::limits::{METRIC_NAME_BYTES_MAX, METRICS_TEXT_BYTES_MAX};

/// What a line costs beyond its own bytes, while it is collected.
const LINE_OVERHEAD: usize = 64;

/// Labels of one number, in the order of their names.
#[derive(Clone, Debug, Default)]
pub(super) struct Labels(BTreeMap<String, String>);

impl Labels {
    /// Adds a label; one that is there already stays as it is.
    pub(super) fn and(mut self, name: &str, value: &str) -> Self {
        let value = value.get(..value.floor_char_boundary(METRIC_NAME_BYTES_MAX));
        let mut name = sanitised(name, false);
        // Names that begin with two underscores are Prometheus' own.
        if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
            name.insert_str(0, "label_");
        }
        self.0.entry(name).or_insert_with(|| value.unwrap_or_default().to_owned());
        self
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (name, value)) in self.0.iter().enumerate() {
            f.write_str(if number == 0 { "{" } else { "," })?;
            write!(f, "{name}=\"")?;
            for character in value.chars() {
                match character {
                    '\\' => f.write_str("\\\\")?,
                    '"' => f.write_str("\\\"")?,
                    '\n' => f.write_str("\\n")?,
                    other => f.write_char(other)?,
                }
            }
            f.write_char('"')?;
        }
        f.write_str(if self.0.is_empty() { "" } else { "}" })
    }
}

/// A name as Prometheus allows it, and not too long.
fn sanitised(name: &str, with_colons: bool) -> String {
    let allowed = |c: &char| c.is_ascii_alphanumeric() || (with_colons && *c == ':');
    let characters = name.chars().take(METRIC_NAME_BYTES_MAX);
    characters.map(|c| if allowed(&c) { c } else { '_' }).collect()
}

/// The name of a metric.
pub(super) fn metric_name(name: &str) -> String {
    let mut name = sanitised(name, true);
    if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        name.insert(0, '_');
    }
    name
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(number) => write!(f, "{number}"),
            Self::Double(number) if number.is_infinite() => {
                f.write_str(if *number > 0.0 { "+Inf" } else { "-Inf" })
            }
            // In scientific notation, and so never long.
            Self::Double(number) => write!(f, "{number:?}"),
        }
    }
}

/// All numbers of one name.
#[derive(Debug)]
struct Family {
    /// None where not all say the same.
    kind: Option<Kind>,
    samples: BTreeMap<String, Number>,
}

/// What is to be exposed.
#[derive(Debug)]
pub(super) struct Text {
    families: BTreeMap<String, Family>,
    left: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self { families: BTreeMap::new(), left: METRICS_TEXT_BYTES_MAX }
    }
}

impl Text {
    /// Whether it is long enough; only few lines may follow.
    pub(super) fn is_full(&self) -> bool {
        self.left == 0
    }

    /// Adds a number under a name of [`metric_name`]. Of two with the same labels the first stays.
    pub(super) fn add(&mut self, name: &str, kind: Kind, labels: &Labels, number: Number) {
        let labels = labels.to_string();
        self.left = self.left.saturating_sub(2 * name.len() + labels.len() + LINE_OVERHEAD);
        let family = self
            .families
            .entry(name.to_owned())
            .or_insert_with(|| Family { kind: Some(kind), samples: BTreeMap::new() });
        family.kind = family.kind.filter(|known| *known == kind);
        family.samples.entry(labels).or_insert(number);
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, Family { kind, samples }) in &self.families {
            let kind = match kind {
                Some(Kind::Counter) => "counter",
                Some(Kind::Gauge) => "gauge",
                None => "untyped",
            };
            writeln!(f, "# TYPE {name} {kind}")?;
            for (labels, number) in samples {
                writeln!(f, "{name}{labels} {number}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn names_labels_and_numbers_are_as_prometheus_wants_them() {
        let mut text = Text::default();
        let labels = Labels::default()
            .and("client_instance_id", "mine")
            .and("client.instance.id", "another's")
            .and("__name__", "x")
            .and("1-ä", "a \"b\"\\\n");
        let name = metric_name("org.apache.kafka.time-ms");
        text.add(&name, Kind::Counter, &labels, Number::Whole(7));
        text.add(&name, Kind::Counter, &labels, Number::Whole(8));
        for (name, number) in [("1", f64::NAN), ("2", f64::NEG_INFINITY), ("", 1e300), ("ü", -0.5)]
        {
            let labels = Labels::default();
            text.add(&metric_name(name), Kind::Gauge, &labels, Number::Double(number));
        }
        text.add("_1", Kind::Counter, &Labels::default().and("a", ""), Number::Whole(-1));
        let expected = "# TYPE _ gauge\n_ 1e300\n\
            # TYPE _1 untyped\n_1 NaN\n_1{a=\"\"} -1\n\
            # TYPE _2 gauge\n_2 -Inf\n\
            # TYPE __ gauge\n__ -0.5\n\
            # TYPE org_apache_kafka_time_ms counter\n\
            org_apache_kafka_time_ms{client_instance_id=\"mine\",label_1__=\"a \\\"b\\\"\\\\\\n\",\
            label___name__=\"x\"} 7\n";
        assert_eq!(text.to_string(), expected);
    }

    #[test]
    fn it_ends_somewhere() {
        let mut text = Text::default();
        let long = "ü".repeat(1 << 20);
        let labels = Labels::default().and(&long, &long);
        for number in 0.. {
            if text.is_full() {
                break;
            }
            let name = metric_name(&format!("n{number}{long}"));
            text.add(&name, Kind::Gauge, &labels, Number::Whole(1));
        }
        let len = text.to_string().len();
        assert!(len <= METRICS_TEXT_BYTES_MAX && len > METRICS_TEXT_BYTES_MAX / 2, "{len}");
    }
}
