//! The syntax of `server.properties`: Java's, with the line of every entry.
//!
//! What is not UTF-8 is read as Latin-1, which is what Java makes of any file.

use std::{borrow::Cow, fmt};

/// A key with its value, and who wrote it where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    pub value: String,
    pub origin: Origin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The line of the file on which the entry begins.
    Line(usize),
    /// An override on the command line, counted from 1.
    Override(usize),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Override(number) => write!(f, "override {number}"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    #[error("line {0}: \\u must be followed by four hexadecimal digits")]
    Escape(usize),
    #[error("override {0}: `{1}` must be key=value, as in log.dirs=/data")]
    Override(usize, String),
}

/// All entries of a file, in its order; a key may come twice, and the later one counts.
pub fn parse(bytes: &[u8]) -> Result<Vec<Entry>, SyntaxError> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    };
    let mut entries = Vec::new();
    // A line that ends with a backslash goes on with the next one.
    let mut logical = String::new();
    let mut begun = None;
    for (number, line) in (1..).zip(lines(&text)) {
        let line = line.trim_start_matches(is_blank);
        if begun.is_none() && matches!(line.chars().next(), None | Some('#' | '!')) {
            continue;
        }
        let first = *begun.get_or_insert(number);
        let backslashes = line.bytes().rev().take_while(|byte| *byte == b'\\').count();
        if backslashes % 2 == 1 {
            logical.push_str(line.strip_suffix('\\').unwrap_or(line));
            continue;
        }
        logical.push_str(line);
        entries.push(entry(&logical, first)?);
        logical.clear();
        begun = None;
    }
    if let Some(first) = begun.filter(|_| !logical.is_empty()) {
        entries.push(entry(&logical, first)?);
    }
    Ok(entries)
}

/// `key=value` as on a command line, where nothing is escaped.
pub fn parse_override(number: usize, text: &str) -> Result<Entry, SyntaxError> {
    let wrong = || SyntaxError::Override(number, text.to_owned());
    let (key, value) = text.split_once('=').ok_or_else(wrong)?;
    let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
    if key.is_empty() {
        return Err(wrong());
    }
    Ok(Entry { key, value, origin: Origin::Override(number) })
}

/// A line ends with LF, CR, or both.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0c')
}

/// The key ends at the first `=`, `:` or blank that is not escaped; blanks around one `=` or `:`
/// belong to neither side.
fn entry(line: &str, number: usize) -> Result<Entry, SyntaxError> {
    let mut is_escaped = false;
    let end = line.find(|c| {
        let ends = !is_escaped && (matches!(c, '=' | ':') || is_blank(c));
        is_escaped = !is_escaped && c == '\\';
        ends
    });
    let (key, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start_matches(is_blank);
    let value = rest.strip_prefix(['=', ':']).map(|value| value.trim_start_matches(is_blank));
    let origin = Origin::Line(number);
    let unescaped = |text| unescaped(text).ok_or(SyntaxError::Escape(number));
    Ok(Entry { key: unescaped(key)?, value: unescaped(value.unwrap_or(rest))?, origin })
}

/// Java's escapes; one that stands for nothing stands for itself. Nothing where `\u` lacks digits.
fn unescaped(text: &str) -> Option<String> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let c = match c {
            '\\' => rest.next().map(|escaped| match escaped {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                'f' => '\x0c',
                // Told apart from the letter below.
                'u' => '\0',
                other => other,
            }),
            other => Some(other),
        };
        match c {
            Some('\0') => {
                let digits = rest.as_str().get(..4)?;
                if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return None;
                }
                units.push(u16::from_str_radix(digits, 16).ok()?);
                rest = rest.as_str().get(4..)?.chars();
            }
            Some(c) => units.extend_from_slice(c.encode_utf16(&mut [0; 2])),
            None => {}
        }
    }
    Some(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &[u8]) -> Vec<(String, String, Origin)> {
        let entries = parse(text).unwrap().into_iter();
        entries.map(|entry| (entry.key, entry.value, entry.origin)).collect()
    }

    #[test]
    fn follows_javas_rules_and_knows_the_lines() {
        let text = b"! comment \\\n a\\:b\\ c : d \\\n   e=f\\u0041\\t\\x\r\n\n  # no\n\
                     empty\rkey  value \ncut\\";
        let expected =
            [("a:b c", "d e=fA\tx", 2), ("empty", "", 6), ("key", "value ", 7), ("cut", "", 8)];
        let expected = expected
            .map(|(key, value, line)| (key.to_owned(), value.to_owned(), Origin::Line(line)));
        assert_eq!(read(text), expected);
    }

    #[test]
    fn utf_8_is_read_as_such_and_anything_else_as_latin_1() {
        assert_eq!(read("a=\u{e4}".as_bytes())[0].1, "\u{e4}");
        assert_eq!(read(b"a=\xe4")[0].1, "\u{e4}");
        assert_eq!(read(b"a=\\ud83d\\ude00")[0].1, "\u{1f600}");
    }

    #[test]
    fn a_broken_escape_is_named_by_its_line() {
        let error = parse(b"a=1\n\nb=\\u12x4").unwrap_err();
        assert_eq!(error.to_string(), "line 3: \\u must be followed by four hexadecimal digits");
    }

    #[test]
    fn an_override_is_key_and_value() {
        let entry = parse_override(2, " num.partitions = 3=\\n").unwrap();
        assert_eq!((&*entry.key, &*entry.value), ("num.partitions", "3=\\n"));
        assert_eq!(entry.origin.to_string(), "override 2");
        let error = parse_override(1, "num.partitions").unwrap_err();
        let message = "override 1: `num.partitions` must be key=value, as in log.dirs=/data";
        assert_eq!(error.to_string(), message);
        assert!(parse_override(1, "=1").is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange_for_a_file(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }

        #[test]
        fn what_needs_no_escape_reads_back(key in "[a-z.]{1,20}", value in "[!-Z^-~]{0,20}") {
            let entries = parse(format!("{key}={value}").as_bytes()).unwrap();
            // One separator was ours; a value may begin with another.
            prop_assert_eq!((&entries[0].key, &entries[0].value), (&key, &value));
        }
    }
}
