//! How records are shown.

use std::io::{self, Write};

use clap::ValueEnum;
use milena_client::consumer::Record;
use serde_json::json;

use crate::{
    failure::{Failure, Result},
    output::{format_ms, hex, in_json},
};

#[derive(Debug, clap::Args)]
pub(super) struct Shape {
    /// How to show a record.
    #[arg(long, short = 'o', default_value = "text")]
    output: Output,
    /// Show a record by a text with {topic}, {partition}, {offset}, {timestamp}, {time}, {key},
    /// {value}, {headers}, \n and \t in it. It gets no newline of its own.
    #[arg(long, short = 'T', value_name = "TEXT")]
    template: Option<String>,
    /// What text and templates show for a key or value that is null; nothing if it is not said.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    null: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Its value, and nothing else
    Text,
    /// One JSON object a line, which `produce --json-lines` takes
    Json,
    /// Key and value in hexadecimal digits
    Hex,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// The value, or what stands for null.
    Text(String),
    Json,
    Hex,
    /// The same with what stands for null.
    Template(Vec<Piece>, String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(String),
    Topic,
    Partition,
    Offset,
    Timestamp,
    Time,
    Key,
    Value,
    Headers,
}

impl Shape {
    pub(super) fn format(&self, json: bool) -> Result<Format> {
        let null = self.null.clone();
        Ok(match (&self.template, self.output) {
            (Some(template), _) => Format::Template(pieces(template)?, null),
            (None, Output::Hex) => Format::Hex,
            (None, Output::Json) => Format::Json,
            (None, Output::Text) if json => Format::Json,
            (None, Output::Text) => Format::Text(null),
        })
    }
}

impl Format {
    pub(super) fn write(&self, record: &Record<'_>, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Text(null) => {
                out.write_all(record.value.unwrap_or(null.as_bytes()))?;
                out.write_all(b"\n")
            }
            Self::Hex => {
                let (key, value) = (record.key.map(hex), record.value.map(hex));
                let (key, value) = (key.as_deref(), value.as_deref());
                writeln!(out, "{} {}", key.unwrap_or("-"), value.unwrap_or("-"))
            }
            Self::Json => {
                let headers = record.headers().map(|header| {
                    json!([String::from_utf8_lossy(header.key), in_json(header.value)])
                });
                let object = json!({
                    "topic": &*record.partition.topic,
                    "partition": record.partition.partition,
                    "offset": record.offset,
                    "timestamp": record.timestamp,
                    "key": in_json(record.key),
                    "value": in_json(record.value),
                    "headers": headers.collect::<Vec<_>>(),
                });
                writeln!(out, "{object}")
            }
            Self::Template(pieces, null) => {
                pieces.iter().try_for_each(|piece| piece.write(record, null.as_bytes(), out))
            }
        }
    }
}

impl Piece {
    fn write(&self, record: &Record<'_>, null: &[u8], out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Literal(text) => out.write_all(text.as_bytes()),
            Self::Topic => out.write_all(record.partition.topic.as_bytes()),
            Self::Partition => write!(out, "{}", record.partition.partition),
            Self::Offset => write!(out, "{}", record.offset),
            Self::Timestamp => write!(out, "{}", record.timestamp),
            Self::Time => out.write_all(format_ms(record.timestamp).as_bytes()),
            Self::Key => out.write_all(record.key.unwrap_or(null)),
            Self::Value => out.write_all(record.value.unwrap_or(null)),
            Self::Headers => {
                for (number, header) in record.headers().enumerate() {
                    out.write_all(if number > 0 { b"," } else { b"" })?;
                    out.write_all(header.key)?;
                    out.write_all(b"=")?;
                    out.write_all(header.value.unwrap_or(null))?;
                }
                Ok(())
            }
        }
    }
}

fn pieces(template: &str) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut chars = template.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => literal.push('\n'),
                Some('t') => literal.push('\t'),
                Some(other) => literal.push(other),
                None => literal.push('\\'),
            },
            '{' => {
                let name: String = chars.by_ref().take_while(|c| *c != '}').collect();
                let piece = match name.as_str() {
                    "topic" => Piece::Topic,
                    "partition" => Piece::Partition,
                    "offset" => Piece::Offset,
                    "timestamp" => Piece::Timestamp,
                    "time" => Piece::Time,
                    "key" => Piece::Key,
                    "value" => Piece::Value,
                    "headers" => Piece::Headers,
                    _ => {
                        let what = format!("--template knows no {{{name}}}");
                        return Err(Failure::usage(what).hint("\\{ is a brace of its own"));
                    }
                };
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(piece);
            }
            other => literal.push(other),
        }
    }
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_template_is_read_and_wrong_ones_are_refused() {
        let literal = |text: &str| Piece::Literal(text.to_owned());
        assert_eq!(
            pieces("{key}:\\t{value}\\n\\{x}").unwrap(),
            [Piece::Key, literal(":\t"), Piece::Value, literal("\n{x}")]
        );
        assert!(pieces("{kye}").unwrap_err().to_string().contains("{kye}"));
        assert!(pieces("{key").is_ok(), "the end closes it");
        assert!(pieces("").unwrap().is_empty());
    }
}
