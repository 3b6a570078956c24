//! `meta.properties`: which cluster, node and directory a log directory belongs to.
//!
//! A directory whose ids are not the expected ones is never used: it is another's disk, or an old
//! backup (fault 19). This module says what is written there; the caller judges.

use std::{collections::BTreeMap, path::Path};

use milena_env::Disk;
use milena_protocol::Uuid;

use crate::{
    checkpoints::{TextError, lines, load_as, store},
    error::StorageError,
};

/// Whose directory it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    pub cluster_id: String,
    pub node_id: i32,
    /// Missing in what Kafka wrote before 3.7.
    pub directory_id: Option<Uuid>,
}

impl MetaProperties {
    /// Understands version 1, and version 0 where it names cluster and broker.
    pub fn parse(bytes: &[u8]) -> Result<Self, TextError> {
        let properties = parse_properties(bytes);
        let missing = |reason| TextError { line: 1, position: 0, reason };
        let find = |key: &str| properties.get(key).map(String::as_str);
        let node_key = match find("version").unwrap_or("0") {
            "0" => "broker.id",
            "1" => "node.id",
            _ => return Err(missing("the version is neither 0 nor 1")),
        };
        let node_id = find(node_key).ok_or_else(|| missing("the node's id is missing"))?;
        let cluster_id = find("cluster.id").ok_or_else(|| missing("cluster.id is missing"))?;
        let directory_id = find("directory.id").map(str::parse).transpose();
        Ok(Self {
            cluster_id: cluster_id.to_owned(),
            node_id: node_id.parse().map_err(|_| missing("the node's id is no number"))?,
            directory_id: directory_id.map_err(|_| missing("directory.id is no id"))?,
        })
    }

    /// Version 1.
    #[must_use]
    pub fn format(&self) -> Vec<u8> {
        let mut text = format!("#\ncluster.id={}\n", escaped(&self.cluster_id));
        if let Some(id) = self.directory_id {
            text += &format!("directory.id={id}\n");
        }
        text += &format!("node.id={}\nversion=1\n", self.node_id);
        text.into_bytes()
    }

    /// What is written at `path`; `None` where there is no such file.
    pub fn load(disk: &dyn Disk, path: &Path) -> Result<Option<Self>, StorageError> {
        load_as(disk, path, Self::parse)
    }

    pub fn store(&self, disk: &dyn Disk, path: &Path) -> Result<(), StorageError> {
        store(disk, path, &self.format())
    }
}

/// A Java properties file, read by Java's rules, of which none is ever broken.
fn parse_properties(bytes: &[u8]) -> BTreeMap<String, String> {
    let mut properties = BTreeMap::new();
    let mut logical: Vec<u8> = Vec::new();
    let mut is_continued = false;
    for line in lines(bytes) {
        let start = line.bytes.iter().position(|byte| !is_blank(*byte));
        let text = line.bytes.get(start.unwrap_or(line.bytes.len())..).unwrap_or_default();
        if !is_continued && matches!(text.first(), None | Some(b'#' | b'!')) {
            continue;
        }
        logical.extend_from_slice(text);
        let slashes = text.iter().rev().take_while(|byte| **byte == b'\\').count();
        is_continued = slashes % 2 == 1;
        if is_continued {
            logical.pop();
        } else {
            let (key, value) = key_and_value(&logical);
            properties.insert(key, value);
            logical.clear();
        }
    }
    if !logical.is_empty() {
        let (key, value) = key_and_value(&logical);
        properties.insert(key, value);
    }
    properties
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0c)
}

/// The key ends at the first `=`, `:` or blank that is not escaped; blanks around one `=` or `:`
/// belong to neither side.
fn key_and_value(line: &[u8]) -> (String, String) {
    let mut end = line.len();
    let mut is_escaped = false;
    for (at, byte) in line.iter().enumerate() {
        if !is_escaped && (matches!(byte, b'=' | b':') || is_blank(*byte)) {
            end = at;
            break;
        }
        is_escaped = !is_escaped && *byte == b'\\';
    }
    let (key, rest) = line.split_at_checked(end).unwrap_or((line, &[]));
    let skip_blanks = |rest: &[u8]| rest.iter().take_while(|byte| is_blank(**byte)).count();
    let mut value = rest.get(skip_blanks(rest)..).unwrap_or_default();
    if let [b'=' | b':', after @ ..] = value {
        value = after.get(skip_blanks(after)..).unwrap_or_default();
    }
    (unescaped(key), unescaped(value))
}

/// ISO-8859-1 with Java's escapes. An escape that stands for nothing stands for itself.
fn unescaped(bytes: &[u8]) -> String {
    let mut units: Vec<u16> = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'\\' {
            units.push(u16::from(*first));
            continue;
        }
        let [escaped, after @ ..] = rest else {
            break;
        };
        rest = after;
        let hex = || {
            let digits = std::str::from_utf8(after.get(..4)?).ok()?;
            digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then_some(digits)
        };
        match (*escaped, hex()) {
            (b'u', Some(digits)) => {
                units.push(u16::from_str_radix(digits, 16).unwrap_or_default());
                rest = after.get(4..).unwrap_or_default();
            }
            (b'n', _) => units.push(u16::from(b'\n')),
            (b't', _) => units.push(u16::from(b'\t')),
            (b'r', _) => units.push(u16::from(b'\r')),
            (b'f', _) => units.push(0x0c),
            (other, _) => units.push(u16::from(other)),
        }
    }
    String::from_utf16_lossy(&units)
}

/// A value as Java's reader understands it, in ASCII.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for unit in value.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte @ (b'\\' | b'=' | b':' | b'#' | b'!' | b' ')) => {
                text.push('\\');
                text.push(char::from(byte));
            }
            Ok(byte) if byte.is_ascii_graphic() => text.push(char::from(byte)),
            _ => text += &format!("\\u{unit:04X}"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_kafka_wrote() {
        let text = "#\n#Sat Nov 21 10:43:48 UTC 2026\nnode.id=1\n\
                    directory.id=ASNFZ4mrze_-3LqYdlQyEA\nversion=1\n\
                    cluster.id=MkU3OEVBNTcwNTJENDM2Qg\n";
        let expected = MetaProperties {
            cluster_id: "MkU3OEVBNTcwNTJENDM2Qg".to_owned(),
            node_id: 1,
            directory_id: Some(Uuid::from_u128(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210)),
        };
        assert_eq!(MetaProperties::parse(text.as_bytes()), Ok(expected.clone()));
        let ours = "#\ncluster.id=MkU3OEVBNTcwNTJENDM2Qg\ndirectory.id=ASNFZ4mrze_-3LqYdlQyEA\n\
                    node.id=1\nversion=1\n";
        assert_eq!(expected.format(), ours.as_bytes());
        let old = MetaProperties::parse(b"broker.id=3\ncluster.id=abc").unwrap();
        assert_eq!((old.node_id, old.directory_id), (3, None));
    }

    #[test]
    fn follows_javas_rules() {
        let text = b"! comment \\\n a\\:b\\ c : d \\\n   e=f\\u0041\\t\\x\\u00zz\n\n\
                     empty\nkey  value \ncut\\";
        let found = parse_properties(text);
        let pairs: Vec<_> = found.iter().map(|(key, value)| (&**key, &**value)).collect();
        assert_eq!(
            pairs,
            [("a:b c", "d e=fA\txu00zz"), ("cut", ""), ("empty", ""), ("key", "value ")]
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        for (text, reason) in [
            ("", "the node's id is missing"),
            ("version=2\nnode.id=1\ncluster.id=a", "the version is neither 0 nor 1"),
            ("version=1\nbroker.id=1\ncluster.id=a", "the node's id is missing"),
            ("version=1\nnode.id=1", "cluster.id is missing"),
            ("version=1\nnode.id=one\ncluster.id=a", "the node's id is no number"),
            ("version=1\nnode.id=1\ncluster.id=a\ndirectory.id=b", "directory.id is no id"),
        ] {
            assert_eq!(MetaProperties::parse(text.as_bytes()).unwrap_err().reason, reason);
        }
    }

    proptest! {
        #[test]
        fn reads_what_it_wrote(cluster_id: String, node_id: i32, directory: Option<u128>) {
            let directory_id = directory.map(Uuid::from_u128);
            let properties = MetaProperties { cluster_id, node_id, directory_id };
            prop_assert_eq!(MetaProperties::parse(&properties.format()), Ok(properties));
        }

        #[test]
        fn no_text_is_too_strange(text: Vec<u8>) {
            let _ = MetaProperties::parse(&text);
        }
    }
}
