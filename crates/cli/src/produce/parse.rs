//! A line as a record. Pure.

use serde_json::Value;

use crate::output::from_json;

pub(super) type Headers = Vec<(String, Option<Vec<u8>>)>;

/// What lines mean.
#[derive(Debug, Default)]
pub(super) struct Parser {
    pub(super) is_json: bool,
    pub(super) key_separator: Option<String>,
    /// What all records have that do not say otherwise.
    pub(super) key: Option<Vec<u8>>,
    pub(super) headers: Headers,
    pub(super) partition: Option<i32>,
    /// What stands for nothing at all.
    pub(super) null: Option<Vec<u8>>,
}

/// What is to be sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Headers,
    pub(super) partition: Option<i32>,
    pub(super) timestamp: Option<i64>,
}

impl Parser {
    pub(super) fn parse(&self, line: &[u8]) -> Result<Line, String> {
        if self.is_json {
            return self.parse_json(line);
        }
        let (headers, partition) = (self.headers.clone(), self.partition);
        let bytes = |text: &[u8]| unless_null(text, self.null.as_deref());
        let (key, value) = match &self.key_separator {
            None => (self.key.clone(), line),
            Some(separator) => {
                let at = find(line, separator.as_bytes())
                    .ok_or_else(|| format!("there is no `{separator}` between key and value"))?;
                let (key, rest) = line.split_at(at);
                (bytes(key), rest.get(separator.len()..).unwrap_or_default())
            }
        };
        Ok(Line { key, value: bytes(value), headers, partition, timestamp: None })
    }

    fn parse_json(&self, line: &[u8]) -> Result<Line, String> {
        let value: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let Value::Object(mut fields) = value else {
            return Err("it is no JSON object".to_owned());
        };
        let mut bytes = |name: &str| match fields.remove(name) {
            None => Ok(None),
            Some(value) => from_json(&value).ok_or_else(|| format!("{name}: no hexadecimal text")),
        };
        let key = bytes("key")?.or_else(|| self.key.clone());
        let value = bytes("value")?;
        let mut number = |name: &str| match fields.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_i64() {
                Some(number) => Ok(Some(number)),
                None => Err(format!("{name} is no whole number")),
            },
        };
        let timestamp = number("timestamp")?.filter(|timestamp| *timestamp >= 0);
        let partition = match number("partition")? {
            None => self.partition,
            Some(number) => Some(i32::try_from(number).map_err(|_| "no such partition")?),
        };
        let mut headers = self.headers.clone();
        match fields.remove("headers") {
            None | Some(Value::Null) => {}
            Some(Value::Array(pairs)) => {
                for pair in &pairs {
                    headers.push(header(pair).ok_or("a header is no [name, value]")?);
                }
            }
            Some(_) => return Err("headers is no list of [name, value]".to_owned()),
        }
        // What `consume` prints can be produced again.
        for known in ["topic", "offset", "time"] {
            fields.remove(known);
        }
        if let Some((name, _)) = fields.iter().next() {
            return Err(format!("{name} is no part of a record"));
        }
        Ok(Line { key, value, headers, partition, timestamp })
    }
}

/// A text's bytes, or none if it stands for nothing.
pub(super) fn unless_null(text: &[u8], null: Option<&[u8]>) -> Option<Vec<u8>> {
    (null != Some(text)).then(|| text.to_vec())
}

fn header(pair: &Value) -> Option<(String, Option<Vec<u8>>)> {
    match pair.as_array()?.as_slice() {
        [Value::String(name), value] => Some((name.clone(), from_json(value)?)),
        _ => None,
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_line_is_split_at_the_first_separator() {
        let parser = Parser { key_separator: Some("::".to_owned()), ..Parser::default() };
        let line = parser.parse(b"a::b::c").unwrap();
        assert_eq!((line.key.unwrap(), line.value.unwrap()), (b"a".to_vec(), b"b::c".to_vec()));
        assert_eq!(parser.parse(b"::").unwrap().value, Some(Vec::new()));
        assert!(parser.parse(b"a:b").unwrap_err().contains("::"));
    }

    #[test]
    fn a_word_can_stand_for_nothing() {
        let null = Some(b"NULL".to_vec());
        let parser = Parser { key_separator: Some(":".to_owned()), null, ..Parser::default() };
        let line = parser.parse(b"k:NULL").unwrap();
        assert_eq!((line.key.as_deref(), line.value), (Some(&b"k"[..]), None));
        let line = parser.parse(b"NULL:NULLS").unwrap();
        assert_eq!((line.key, line.value.as_deref()), (None, Some(&b"NULLS"[..])));
        let parser = Parser { null: Some(Vec::new()), ..Parser::default() };
        assert_eq!(parser.parse(b"").unwrap().value, None, "an empty line may stand for it");
    }

    #[test]
    fn a_json_line_says_all_of_a_record() {
        let headers = vec![("of".to_owned(), Some(b"all".to_vec()))];
        let parser = Parser { is_json: true, headers, partition: Some(7), ..Parser::default() };
        let line = br#"{"key":{"hex":"ff00"},"value":{"a":1},"headers":[["h",null],["i","j"]],
            "timestamp":5,"offset":3,"topic":"t"}"#;
        let line = parser.parse(line).unwrap();
        assert_eq!(line.key, Some(vec![0xff, 0]));
        assert_eq!(line.value, Some(br#"{"a":1}"#.to_vec()));
        assert_eq!((line.partition, line.timestamp), (Some(7), Some(5)));
        let names: Vec<_> = line.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["of", "h", "i"]);
        assert_eq!(parser.parse(br#"{"value":null}"#).unwrap().value, None);
        for wrong in ["", "[]", r#"{"valeu":1}"#, r#"{"headers":[["a"]]}"#, r#"{"partition":"x"}"#]
        {
            assert!(parser.parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
