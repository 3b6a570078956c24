//! Lines and words, and the frame that Kafka's checkpoints share.

use std::str::FromStr;

/// Where a text does not say what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct TextError {
    /// Counted from 1.
    pub line: usize,
    /// Where that line begins.
    pub position: u64,
    pub reason: &'static str,
}

/// One line of a text, without its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    pub(crate) number: usize,
    position: usize,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Line<'a> {
    pub(crate) fn error(&self, reason: &'static str) -> TextError {
        TextError { line: self.number, position: self.position as u64, reason }
    }

    pub(crate) fn text(&self) -> Result<&'a str, TextError> {
        std::str::from_utf8(self.bytes).map_err(|_| self.error("is not UTF-8"))
    }

    /// Exactly `N` words.
    pub(crate) fn words<const N: usize>(
        &self,
        reason: &'static str,
    ) -> Result<[&'a str; N], TextError> {
        let mut words = self.text()?.split_ascii_whitespace();
        let mut found = [""; N];
        for slot in &mut found {
            *slot = words.next().ok_or_else(|| self.error(reason))?;
        }
        match words.next() {
            None => Ok(found),
            Some(_) => Err(self.error(reason)),
        }
    }

    pub(crate) fn number<T: FromStr>(
        &self,
        word: &str,
        reason: &'static str,
    ) -> Result<T, TextError> {
        word.parse().map_err(|_| self.error(reason))
    }
}

/// The lines of a text; a newline at its end begins no further one.
pub(crate) fn lines(bytes: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let mut position = 0;
    bytes.split_inclusive(|byte| *byte == b'\n').enumerate().map(move |(at, whole)| {
        let line = whole.strip_suffix(b"\n").unwrap_or(whole);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let start = position;
        position += whole.len();
        Line { number: at + 1, position: start, bytes: line }
    })
}

/// What a checkpoint of version 0 holds: one entry a line, as many as its second line says. A
/// text of nothing holds nothing, since Kafka creates these files empty.
pub(crate) fn parse_checkpoint<T>(
    bytes: &[u8],
    entry: impl Fn(Line<'_>) -> Result<T, TextError>,
) -> Result<Vec<T>, TextError> {
    let mut lines = lines(bytes);
    let Some(version) = lines.next() else {
        return Ok(Vec::new());
    };
    if version.words("is not a version")? != ["0"] {
        return Err(version.error("is a version other than 0"));
    }
    let Some(count_line) = lines.next() else {
        return Err(version.error("is the last one, where the number of entries should follow"));
    };
    let [word] = count_line.words("is not the number of entries")?;
    let count: usize = count_line.number(word, "is not the number of entries")?;
    let entries = lines.map(entry).collect::<Result<Vec<_>, _>>()?;
    if entries.len() != count {
        return Err(count_line.error("is not the number of the entries that follow"));
    }
    Ok(entries)
}

/// The text of a checkpoint with these lines, each with its end.
pub(crate) fn format_checkpoint(count: usize, lines: &str) -> Vec<u8> {
    format!("0\n{count}\n{lines}").into_bytes()
}
