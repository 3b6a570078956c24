//! Message sets of the formats v0 and v1, which old data directories still hold: read only.
//!
//! A message is its own batch, unless it is a wrapper whose value is a compressed message set.
//! In v1 the messages in a wrapper have offsets relative to its first, and the wrapper has the
//! offset of its last.

use flate2::Crc;

use super::compression::{Budget, Codec, CodecError, Scratch};
use super::record::{Headers, Record};
use super::validate::NO_TIMESTAMP;
use crate::Offset;

/// Offset and size in front of every message.
const OVERHEAD: usize = 12;
/// CRC, magic, attributes and the lengths of key and value.
const SIZE_MIN: usize = 14;
const CODEC_MASK: u8 = 0x07;
const LOG_APPEND_TIME: u8 = 0x08;

/// Why bytes are not a message of an old format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LegacyError {
    #[error("{have} bytes of a message that has {need}")]
    Incomplete { have: usize, need: usize },
    #[error("message size {0} is below the smallest possible")]
    Size(i32),
    #[error("magic {0} is neither 0 nor 1")]
    Magic(i8),
    #[error("checksum is {actual:#010x} where the message says {declared:#010x}")]
    Crc { declared: u32, actual: u32 },
    #[error("its fields do not end where its size says")]
    Fields,
    #[error("a compressed message in a compressed message")]
    Nested,
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// One message as it lies in the log, perhaps a wrapper of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegacyMessage<'a> {
    /// The offset of the message, or of the last one in a wrapper.
    pub offset: Offset,
    pub magic: i8,
    /// Milliseconds since 1970; v0 has none.
    pub timestamp: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    attributes: u8,
    size_in_bytes: usize,
}

impl<'a> LegacyMessage<'a> {
    /// The message at the start of `bytes`, with its checksum proven.
    pub fn read(bytes: &'a [u8]) -> Result<Self, LegacyError> {
        let have = bytes.len();
        let mut fields = Fields(bytes);
        let need = LegacyError::Incomplete { have, need: OVERHEAD + SIZE_MIN };
        let offset = i64::from_be_bytes(fields.take().ok_or(need)?);
        let declared = i32::from_be_bytes(fields.take().ok_or(need)?);
        let size = usize::try_from(declared)
            .ok()
            .filter(|size| *size >= SIZE_MIN)
            .ok_or(LegacyError::Size(declared))?;
        let body =
            fields.0.get(..size).ok_or(LegacyError::Incomplete { have, need: OVERHEAD + size })?;
        Self::read_body(body, Offset(offset))
    }

    fn read_body(body: &'a [u8], offset: Offset) -> Result<Self, LegacyError> {
        let mut fields = Fields(body);
        let declared = u32::from_be_bytes(fields.take().ok_or(LegacyError::Fields)?);
        let covered = fields.0;
        let [magic, attributes] = fields.take().ok_or(LegacyError::Fields)?;
        if magic > 1 {
            return Err(LegacyError::Magic(magic as i8));
        }
        let mut crc = Crc::new();
        crc.update(covered);
        if crc.sum() != declared {
            return Err(LegacyError::Crc { declared, actual: crc.sum() });
        }
        let timestamp = match magic {
            0 => NO_TIMESTAMP,
            _ => i64::from_be_bytes(fields.take().ok_or(LegacyError::Fields)?),
        };
        let (key, value) = (fields.nullable()?, fields.nullable()?);
        if !fields.0.is_empty() {
            return Err(LegacyError::Fields);
        }
        let size_in_bytes = OVERHEAD + body.len();
        let magic = magic as i8;
        Ok(Self { offset, magic, timestamp, key, value, attributes, size_in_bytes })
    }

    #[must_use]
    pub const fn size_in_bytes(&self) -> usize {
        self.size_in_bytes
    }

    fn codec(&self) -> Result<Codec, LegacyError> {
        let id = i16::from(self.attributes & CODEC_MASK);
        Codec::from_id(id).ok_or(CodecError::Unknown(id).into())
    }

    /// The message itself, or the messages in it.
    pub fn records<'s>(
        &self,
        scratch: &'s mut Scratch,
        budget: Budget,
    ) -> Result<LegacyRecords<'s>, LegacyError>
    where
        'a: 's,
    {
        let codec = self.codec()?;
        if codec == Codec::None {
            return Ok(LegacyRecords { single: Some(self.record(self.offset)), inner: None });
        }
        let compressed = self.value.ok_or(LegacyError::Fields)?;
        // Clients of magic 0 counted the checksum of lz4's header wrongly.
        let bytes = scratch.decompress(codec, compressed, budget, self.magic > 0)?;
        let messages = LegacyMessages::new(bytes);
        let mut shift = 0;
        if self.magic > 0 {
            let last = messages.clone().last().transpose()?;
            let last = last.map_or(0, |message| message.offset.0);
            shift = self.offset.0.wrapping_sub(last);
        }
        let append_time = (self.attributes & LOG_APPEND_TIME != 0).then_some(self.timestamp);
        Ok(LegacyRecords { single: None, inner: Some(Inner { messages, shift, append_time }) })
    }

    const fn record(&self, offset: Offset) -> Record<'a> {
        let (timestamp, key, value) = (self.timestamp, self.key, self.value);
        Record { offset, timestamp, key, value, headers: Headers::NONE }
    }
}

/// The messages of a buffer, from its start. It ends after the first error; a last message that
/// is cut off is one.
#[derive(Clone, Debug)]
pub struct LegacyMessages<'a> {
    bytes: &'a [u8],
}

impl<'a> LegacyMessages<'a> {
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }
}

impl<'a> Iterator for LegacyMessages<'a> {
    type Item = Result<LegacyMessage<'a>, LegacyError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() {
            return None;
        }
        let message = LegacyMessage::read(self.bytes);
        self.bytes = match &message {
            Ok(message) => self.bytes.get(message.size_in_bytes..).unwrap_or_default(),
            Err(_) => &[],
        };
        Some(message)
    }
}

/// The records of one [`LegacyMessage`]. It ends after the first error.
#[derive(Clone, Debug)]
pub struct LegacyRecords<'a> {
    single: Option<Record<'a>>,
    inner: Option<Inner<'a>>,
}

#[derive(Clone, Debug)]
struct Inner<'a> {
    messages: LegacyMessages<'a>,
    /// What makes an inner offset absolute.
    shift: i64,
    /// Stands for every inner timestamp.
    append_time: Option<i64>,
}

impl<'a> Iterator for LegacyRecords<'a> {
    type Item = Result<Record<'a>, LegacyError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(record) = self.single.take() {
            return Some(Ok(record));
        }
        let inner = self.inner.as_mut()?;
        let record = inner.messages.next()?.and_then(|message| {
            if message.codec()? != Codec::None {
                return Err(LegacyError::Nested);
            }
            let mut record = message.record(Offset(message.offset.0.wrapping_add(inner.shift)));
            record.timestamp = inner.append_time.unwrap_or(record.timestamp);
            Ok(record)
        });
        if record.is_err() {
            self.inner = None;
        }
        Some(record)
    }
}

/// Takes fields off the front of a message.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    fn nullable(&mut self) -> Result<Option<&'a [u8]>, LegacyError> {
        let len = i32::from_be_bytes(self.take().ok_or(LegacyError::Fields)?);
        if len == -1 {
            return Ok(None);
        }
        let len = usize::try_from(len).map_err(|_| LegacyError::Fields)?;
        let (field, rest) = self.0.split_at_checked(len).ok_or(LegacyError::Fields)?;
        self.0 = rest;
        Ok(Some(field))
    }
}
