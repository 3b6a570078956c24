//! `partition.metadata`: which topic a partition's folder belongs to. A topic that was deleted and
//! created again has the same name, but another id.

use std::path::Path;

use milena_env::Disk;
use milena_protocol::Uuid;

use crate::{
    checkpoints::{Line, TextError, lines, load_as, store},
    error::StorageError,
};

pub fn parse(bytes: &[u8]) -> Result<Uuid, TextError> {
    let end = TextError { line: 1, position: 0, reason: "ends before the topic id" };
    let mut lines = lines(bytes);
    let version = lines.next().ok_or_else(|| end.clone())?;
    if value(&version, "version")? != "0" {
        return Err(version.error("is a version other than 0"));
    }
    let line = lines.next().ok_or(end)?;
    let id: Uuid = line.number(value(&line, "topic_id")?, "is not a topic id")?;
    if id == Uuid::ZERO {
        return Err(line.error("has the id of no topic"));
    }
    match lines.next() {
        None => Ok(id),
        Some(more) => Err(more.error("should not be there")),
    }
}

fn value<'a>(line: &Line<'a>, key: &str) -> Result<&'a str, TextError> {
    match line.text()?.split_once(':') {
        Some((found, value)) if found.trim() == key => Ok(value.trim()),
        _ => Err(line.error("does not have the key that is due")),
    }
}

#[must_use]
pub fn format(topic_id: Uuid) -> Vec<u8> {
    format!("version: 0\ntopic_id: {topic_id}").into_bytes()
}

/// The topic id in the file at `path`; `None` where there is no such file.
pub fn load(disk: &dyn Disk, path: &Path) -> Result<Option<Uuid>, StorageError> {
    load_as(disk, path, parse)
}

pub fn store_topic_id(disk: &dyn Disk, path: &Path, topic_id: Uuid) -> Result<(), StorageError> {
    store(disk, path, &format(topic_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_kafkas() {
        let id = Uuid::from_u128(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210);
        let text = b"version: 0\ntopic_id: ASNFZ4mrze_-3LqYdlQyEA";
        assert_eq!(format(id), text);
        assert_eq!(parse(text), Ok(id));
        assert_eq!(parse(b"version:0\r\ntopic_id :ASNFZ4mrze_-3LqYdlQyEA\r\n"), Ok(id));
    }

    #[test]
    fn what_is_no_topic_id_names_its_line() {
        for (text, line) in [
            ("", 1),
            ("version: 0", 1),
            ("version: 1\ntopic_id: ASNFZ4mrze_-3LqYdlQyEA", 1),
            ("topic_id: ASNFZ4mrze_-3LqYdlQyEA", 1),
            ("version: 0\n\n", 2),
            ("version: 0\ntopic_id: ASNFZ4mrze_-3LqYdlQyE", 2),
            ("version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA", 2),
            ("version: 0\ntopic_id: ASNFZ4mrze_-3LqYdlQyEA\nmore", 3),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().line, line, "{text}");
        }
    }
}
