//! Walks the batches of a segment file in order: headers alone, or whole batches with their
//! checksums.

use std::sync::Arc;

use milena_env::DiskFile;
use milena_protocol::{
    Offset,
    records::{BatchHeader, HEADER_LEN, LOG_OVERHEAD, LegacyMessage, checksum},
};

/// Bytes read at once. A batch that is larger is read into a buffer of its own size, which is
/// bounded by the file.
const WINDOW: usize = 256 * 1024;
/// Bytes read at once where only a header is wanted.
const PEEK: usize = 4096;
/// Bytes of an old message up to its checksummed part, and up to its timestamp.
const OLD_MAGIC_AT: usize = 16;
const OLD_TIMESTAMP_AT: usize = 18;
const OLD_LEN_MIN: usize = 26;

/// One batch as it lies in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scanned {
    pub position: u64,
    pub size: u64,
    pub last_offset: Offset,
    pub max_timestamp: i64,
    /// `None` for a message of the formats 0 and 1, of which no more is known without unpacking.
    pub header: Option<BatchHeader>,
}

impl Scanned {
    pub(crate) fn base_offset(&self) -> Offset {
        self.header.map_or(self.last_offset, |h| h.base_offset)
    }
}

/// Why a walk ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// At the end of what was to be walked, on a boundary.
    Whole,
    /// At something that is no valid batch.
    Invalid { position: u64, reason: &'static str },
}

/// A walk over `[position, end)` of a file.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    file: &'a Arc<dyn DiskFile>,
    position: u64,
    end: u64,
    check: bool,
    /// Where the next batch may begin at the earliest, if it is checked.
    reached: Offset,
    /// Bytes that the first read takes.
    first_read: usize,
    /// Size of the batch that `next` gave last.
    stride: u64,
    buffer: Vec<u8>,
    /// The position in the file of the buffer's first byte.
    buffered_from: u64,
}

impl<'a> Scanner<'a> {
    /// Reads headers and believes them.
    pub(crate) fn headers(file: &'a Arc<dyn DiskFile>, position: u64, end: u64) -> Self {
        Self {
            file,
            position,
            end,
            check: false,
            reached: Offset::ZERO,
            first_read: PEEK,
            stride: 0,
            buffer: Vec::new(),
            buffered_from: 0,
        }
    }

    /// Reads everything and checks it: each batch, and that their offsets rise.
    pub(crate) fn checked(file: &'a Arc<dyn DiskFile>, position: u64, end: u64) -> Self {
        Self { check: true, ..Self::headers(file, position, end) }
    }

    /// The walk begins where no batch may have offsets below this one.
    pub(crate) fn reaching(self, offset: Offset) -> Self {
        Self { reached: offset, ..self }
    }

    /// Reads one header and no more.
    pub(crate) fn glance(file: &'a Arc<dyn DiskFile>, position: u64, end: u64) -> Self {
        Self { first_read: HEADER_LEN, ..Self::headers(file, position, end) }
    }

    pub(crate) const fn position(&self) -> u64 {
        self.position
    }

    /// The offset behind what has been checked.
    pub(crate) const fn reached(&self) -> Offset {
        self.reached
    }

    /// The next batch, or how the walk ended.
    pub(crate) fn next(&mut self) -> std::io::Result<Result<Scanned, End>> {
        let left = self.end.saturating_sub(self.position);
        if left == 0 {
            return Ok(Err(End::Whole));
        }
        let position = self.position;
        let invalid = |reason| Ok(Err(End::Invalid { position, reason }));
        if left < OLD_LEN_MIN as u64 {
            return invalid("the file ends within a batch header");
        }
        let head = self.bytes((HEADER_LEN as u64).min(left) as usize)?;
        let Some(scanned) = read_header(head, position) else {
            return invalid("no batch header");
        };
        if scanned.size > left {
            return invalid("the file ends within a batch");
        }
        if self.check {
            // An old message does not say where it begins.
            if scanned.header.is_some() && scanned.base_offset() < self.reached {
                return invalid("offsets go backwards");
            }
            let batch = self.bytes(scanned.size as usize)?;
            let sound = match &scanned.header {
                Some(header) => header.crc == checksum(batch),
                None => LegacyMessage::read(batch).is_ok(),
            };
            if !sound {
                return invalid("the checksum does not fit");
            }
            self.reached = scanned.last_offset.next();
        }
        self.position += scanned.size;
        self.stride = scanned.size;
        Ok(Ok(scanned))
    }

    /// Walks on, and says how that ended.
    pub(crate) fn walk(&mut self) -> std::io::Result<End> {
        loop {
            if let Err(end) = self.next()? {
                return Ok(end);
            }
        }
    }

    /// The bytes of the batch that `next` has just given, where it reads everything.
    pub(crate) fn bytes_of(&self, batch: &Scanned) -> &[u8] {
        let from = batch.position.wrapping_sub(self.buffered_from) as usize;
        self.buffer.get(from..from + batch.size as usize).unwrap_or_default()
    }

    /// The next `len` bytes, which lie within the file.
    fn bytes(&mut self, len: usize) -> std::io::Result<&[u8]> {
        let from = self.position.wrapping_sub(self.buffered_from) as usize;
        if self.position < self.buffered_from || from + len > self.buffer.len() {
            let left = self.end - self.position;
            let window = match self.check {
                true => WINDOW,
                false if self.buffer.is_empty() => self.first_read,
                // The next header lies beyond: more would be read in vain.
                false if self.stride > PEEK as u64 => HEADER_LEN,
                false => PEEK,
            };
            let wanted = window.max(len).min(left as usize);
            self.buffer.resize(wanted, 0);
            self.file.read_exact_at(&mut self.buffer, self.position)?;
            self.buffered_from = self.position;
            return Ok(self.buffer.get(..len).unwrap_or_default());
        }
        Ok(self.buffer.get(from..from + len).unwrap_or_default())
    }
}

/// What the bytes at the start of a batch say of it.
fn read_header(bytes: &[u8], position: u64) -> Option<Scanned> {
    if let Ok(header) = BatchHeader::read(bytes) {
        // Believed, a batch that ends before it begins would be passed over in silence by whoever
        // looks for its offsets.
        let is_possible = header.base_offset.0 >= 0 && header.last_offset_delta >= 0;
        return is_possible.then(|| Scanned {
            position,
            size: header.size_in_bytes() as u64,
            last_offset: header.last_offset(),
            max_timestamp: header.max_timestamp,
            header: Some(header),
        });
    }
    let magic = *bytes.get(OLD_MAGIC_AT)?;
    let offset = i64::from_be_bytes(*bytes.first_chunk()?);
    let size = u32::from_be_bytes(*bytes.get(8..)?.first_chunk()?);
    let timestamp = i64::from_be_bytes(*bytes.get(OLD_TIMESTAMP_AT..)?.first_chunk()?);
    let smallest = if magic == 0 { 14 } else { 22 };
    (magic < 2 && size >= smallest && offset >= 0).then_some(Scanned {
        position,
        size: LOG_OVERHEAD as u64 + u64::from(size),
        last_offset: Offset(offset),
        max_timestamp: if magic == 0 { -1 } else { timestamp },
        header: None,
    })
}
