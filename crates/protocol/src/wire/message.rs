//! What every generated struct can do.

use super::error::{DecodeError, EncodeError, Flaw};
use super::reader::Reader;
use super::writer::Writer;

/// A struct of the schema: a message, or a part of one.
pub trait Struct<'a>: Sized {
    /// The fewest bytes that it takes in any version.
    const SIZE_MIN: usize;

    /// Reads the fields that the version has; the others get their defaults.
    fn read(reader: &mut Reader<'a>, version: i16) -> Self;

    /// Writes the fields that the version has, and leaves out the others without a word: so a
    /// broker answers an older client.
    fn write(&self, writer: &mut Writer, version: i16);
}

/// A message with its bytes taken apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decoded<M> {
    /// What the bytes say.
    pub message: M,
    /// How many bytes came behind the message. Kafka ignores them; they are worth a log line.
    pub trailing: usize,
}

impl<M> Decoded<M> {
    /// The same with the message turned into something else.
    pub fn map<N>(self, turn: impl FnOnce(M) -> N) -> Decoded<N> {
        Decoded { message: turn(self.message), trailing: self.trailing }
    }
}

/// A whole message: a request, a response, a header, or the key or value of a record.
pub trait Message<'a>: Struct<'a> {
    /// Kafka's name of the message.
    const NAME: &'static str;
    /// The lowest version that can be read and written.
    const VERSION_MIN: i16;
    /// The highest version that can be read and written.
    const VERSION_MAX: i16;
    /// The first version with compact lengths and tagged fields.
    const FLEXIBLE_FROM: Option<i16>;

    /// Reads the message from bytes that hold nothing else.
    fn decode(bytes: &'a [u8], version: i16) -> Result<Decoded<Self>, DecodeError> {
        let mut reader = Reader::new(bytes);
        let message = Self::decode_from(&mut reader, version)?;
        Ok(Decoded { message, trailing: reader.rest().len() })
    }

    /// Reads the message from where the reader stands.
    fn decode_from(reader: &mut Reader<'a>, version: i16) -> Result<Self, DecodeError> {
        let error = |field, position, flaw| DecodeError {
            message: Self::NAME,
            version,
            field,
            position,
            flaw,
        };
        if version < Self::VERSION_MIN || version > Self::VERSION_MAX {
            return Err(error("version", 0, Flaw::UnsupportedVersion));
        }
        let message = Self::read(reader, version);
        match reader.failure() {
            Some(failure) => Err(error(failure.field, failure.position, failure.flaw)),
            None => Ok(message),
        }
    }

    /// The same answer, telling its client to wait for so long, or for as long as it said before if
    /// that is longer; `None` where an answer has no place for that.
    fn throttled(&self, _ms: i32) -> Option<Self> {
        None
    }

    /// Appends the message to what the writer already holds.
    fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {
        if version < Self::VERSION_MIN || version > Self::VERSION_MAX {
            return Err(EncodeError::UnsupportedVersion { message: Self::NAME, version });
        }
        self.write(writer, version);
        writer.failure().map_or(Ok(()), Err)
    }
}
