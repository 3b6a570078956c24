//! Where records are read from, and how they are cut apart.

use std::{path::Path, sync::Arc};

use milena_env::{Disk, DiskFile, RealDisk, disk::Open};
use tokio::io::{AsyncReadExt, Stdin};

use crate::failure::{Exit, Failure, Result};

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

/// A file, or standard input.
pub(super) struct Input {
    name: String,
    source: Source,
}

enum Source {
    Stdin(Stdin),
    File { file: Arc<dyn DiskFile>, position: u64 },
}

impl Input {
    pub(super) fn stdin() -> Self {
        Self { name: "standard input".to_owned(), source: Source::Stdin(tokio::io::stdin()) }
    }

    pub(super) fn file(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let file = RealDisk
            .open(path, Open::Read)
            .map_err(|error| Failure::new(Exit::Refused, format!("cannot read {name}: {error}")))?;
        Ok(Self { name, source: Source::File { file, position: 0 } })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Reads some more behind what is there; false at the end.
    pub(super) async fn read(&mut self, into: &mut Vec<u8>) -> Result<bool> {
        let before = into.len();
        let read = match &mut self.source {
            Source::Stdin(stdin) => {
                into.reserve(CHUNK);
                stdin.read_buf(into).await
            }
            Source::File { file, position } => {
                into.resize(before + CHUNK, 0);
                let read = file.read_at(into.get_mut(before..).unwrap_or_default(), *position);
                into.truncate(before + read.as_ref().map_or(0, |read| *read));
                *position += read.as_ref().map_or(0, |read| *read as u64);
                read
            }
        };
        let failed =
            |error| Failure::new(Exit::Failed, format!("cannot read {}: {error}", self.name));
        Ok(read.map_err(failed)? > 0)
    }
}

/// Cuts bytes into lines, or takes all of them for one. What stands behind the last newline is a
/// line as well.
#[derive(Debug)]
pub(super) struct Lines {
    is_whole: bool,
    /// No record may be longer, so that a file without newlines does not fill the memory.
    longest: usize,
    bytes: Vec<u8>,
    /// Where the next line begins, and up to where there is no newline.
    from: usize,
    looked: usize,
}

impl Lines {
    pub(super) fn new(is_whole: bool, longest: usize) -> Self {
        Self { is_whole, longest, bytes: Vec::new(), from: 0, looked: 0 }
    }

    /// Where to put more bytes.
    pub(super) fn room(&mut self) -> &mut Vec<u8> {
        self.bytes.drain(..self.from);
        self.looked -= self.from;
        self.from = 0;
        &mut self.bytes
    }

    /// The next line, without its end. At the end of the input also the last one, which has none.
    pub(super) fn next(&mut self, is_end: bool) -> Option<Result<&[u8], String>> {
        let rest = self.bytes.get(self.looked..).unwrap_or_default();
        let newline = rest.iter().position(|byte| *byte == b'\n').filter(|_| !self.is_whole);
        let (from, to) = match newline {
            Some(at) => {
                let to = self.looked + at;
                self.looked = to + 1;
                (self.from, to)
            }
            None => {
                self.looked = self.bytes.len();
                let len = self.looked - self.from;
                if len > self.longest {
                    let longest = self.longest;
                    return Some(Err(format!("a record of more than {longest} bytes")));
                }
                if !is_end || len == 0 {
                    return None;
                }
                (self.from, self.looked)
            }
        };
        self.from = self.looked;
        let line = self.bytes.get(from..to).unwrap_or_default();
        let has_return = !self.is_whole && newline.is_some();
        Some(Ok(line.strip_suffix(b"\r").filter(|_| has_return).unwrap_or(line)))
    }
}

#[cfg(test)]
mod test {
    use super::*;

    /// The lines of a text that comes in pieces of this length.
    fn cut(text: &[u8], piece: usize, is_whole: bool) -> Vec<Vec<u8>> {
        let mut lines = Lines::new(is_whole, 1000);
        let mut all = Vec::new();
        for piece in text.chunks(piece) {
            lines.room().extend_from_slice(piece);
            while let Some(line) = lines.next(false) {
                all.push(line.unwrap().to_vec());
            }
        }
        lines.room();
        while let Some(line) = lines.next(true) {
            all.push(line.unwrap().to_vec());
        }
        all
    }

    #[test]
    fn an_input_that_ends_within_a_line_loses_nothing() {
        let text = b"one\n\ntwo\r\nthree";
        for piece in 1..=text.len() {
            assert_eq!(cut(text, piece, false), [&b"one"[..], b"", b"two", b"three"], "{piece}");
            assert_eq!(cut(b"one\n", piece, false), [b"one"], "{piece}");
            assert_eq!(cut(text, piece, true), [text], "{piece}");
        }
        assert!(cut(b"", 1, false).is_empty());
    }

    #[test]
    fn a_line_that_never_ends_is_refused() {
        let mut lines = Lines::new(false, 10);
        lines.room().extend_from_slice(&[b'x'; 11]);
        assert!(lines.next(false).unwrap().unwrap_err().contains("10 bytes"));
    }
}
