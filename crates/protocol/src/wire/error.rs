//! What can be wrong with bytes that should be a message, and with a message that should be bytes.

use std::fmt;

/// Why bytes are not the message that they should be. Whoever sent them gets the connection
/// closed; the text is for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} v{version}, field {field}, byte {position}: {flaw}")]
pub struct DecodeError {
    /// Kafka's name of the message.
    pub message: &'static str,
    /// The version that it was read as.
    pub version: i16,
    /// The field in whose bytes the flaw was found.
    pub field: &'static str,
    /// Where that was, counted from the beginning of the message.
    pub position: usize,
    /// What was wrong.
    pub flaw: Flaw,
}

impl DecodeError {
    /// No message of this family has the number.
    pub(crate) fn unknown_kind(family: &'static str, number: i16, version: i16) -> Self {
        let flaw = Flaw::UnknownKind(number);
        Self { message: family, version, field: "number", position: 0, flaw }
    }
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The bytes end before the field does.
    Truncated,
    /// A length below zero that does not mean null.
    NegativeLength(i64),
    /// A text longer than any text can be.
    TextTooLong(usize),
    /// Null where the version of the message does not allow it.
    Null,
    /// An array of more elements than the rest of the bytes can hold, or than is ever accepted.
    TooManyElements(u64),
    /// A text that is not UTF-8.
    NotUtf8,
    /// A variable-length number that does not end, or does not fit.
    VarintTooLong,
    /// More tagged fields than are ever accepted.
    TooManyTaggedFields(u32),
    /// A tag that is not greater than the one before it.
    TagOutOfOrder(u32),
    /// A tagged field whose announced size is not the size of its value.
    TagSizeMismatch(u32),
    /// A version that this side does not speak.
    UnsupportedVersion,
    /// A kind of message or record that this side does not know.
    UnknownKind(i16),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the bytes end too early"),
            Self::NegativeLength(length) => write!(f, "length {length} is negative"),
            Self::TextTooLong(length) => write!(f, "a text of {length} bytes is too long"),
            Self::Null => f.write_str("is null but must not be"),
            Self::TooManyElements(count) => write!(f, "{count} elements cannot be there"),
            Self::NotUtf8 => f.write_str("is not UTF-8"),
            Self::VarintTooLong => f.write_str("the variable-length number is too long"),
            Self::TooManyTaggedFields(count) => write!(f, "{count} tagged fields are too many"),
            Self::TagOutOfOrder(tag) => write!(f, "tag {tag} is out of order"),
            Self::TagSizeMismatch(tag) => write!(f, "tag {tag} has another size than it says"),
            Self::UnsupportedVersion => f.write_str("the version is not supported"),
            Self::UnknownKind(kind) => write!(f, "kind {kind} is not known"),
        }
    }
}

/// Why a message cannot be written: a fault of the program, not of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The version has no way to say that the field is null.
    #[error("{field} must not be null in this version")]
    Null {
        /// The field that is null.
        field: &'static str,
    },
    /// The field is longer than its length prefix can say.
    #[error("{field} is too long: {length}")]
    TooLong {
        /// The field that is too long.
        field: &'static str,
        /// Its length, in bytes or elements.
        length: usize,
    },
    /// The message has no such version.
    #[error("{message} has no version {version}")]
    UnsupportedVersion {
        /// Kafka's name of the message.
        message: &'static str,
        /// The version that was asked for.
        version: i16,
    },
}
