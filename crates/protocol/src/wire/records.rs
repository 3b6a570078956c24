//! Record data inside a message: a slice of the frame when it came in, a list of parts held
//! elsewhere when it goes out, so that it is never copied into an answer.

use bytes::Bytes;

/// A piece of a frame that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Bytes that the network layer fetches itself when their turn comes, such as a range of a
    /// file. What the token means is between the network layer and whoever made the part.
    Range {
        /// Says which bytes.
        token: u64,
        /// How many bytes.
        length: u32,
    },
}

impl Part {
    /// How many bytes the part takes on the wire.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Range { length, .. } => *length as usize,
        }
    }

    /// Whether the part takes no bytes at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The record batches of a partition in a message.
#[derive(Clone, Debug)]
pub enum Records<'a> {
    /// A slice of the frame that the message was read from. Written out it is copied.
    Slice(&'a [u8]),
    /// Parts that are held elsewhere. Written out they are handed on, not copied.
    Parts(Vec<Part>),
}

impl<'a> Records<'a> {
    /// How many bytes the records take on the wire.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Slice(bytes) => bytes.len(),
            Self::Parts(parts) => parts.iter().map(Part::len).sum(),
        }
    }

    /// Whether there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of the frame, if the records came in.
    #[must_use]
    pub fn as_slice(&self) -> Option<&'a [u8]> {
        match self {
            Self::Slice(bytes) => Some(bytes),
            Self::Parts(_) => None,
        }
    }
}

impl Default for Records<'_> {
    fn default() -> Self {
        Self::Slice(&[])
    }
}

impl From<Bytes> for Records<'_> {
    fn from(bytes: Bytes) -> Self {
        Self::Parts(vec![Part::Bytes(bytes)])
    }
}

/// Equal is what puts the same bytes on the wire; ranges are equal when their tokens are.
impl PartialEq for Records<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Slice(one), Self::Slice(two)) => one == two,
            (Self::Parts(one), Self::Parts(two)) => one == two,
            (Self::Slice(slice), Self::Parts(parts)) | (Self::Parts(parts), Self::Slice(slice)) => {
                let mut rest = *slice;
                parts.iter().all(|part| match part {
                    Part::Bytes(bytes) => match rest.strip_prefix(bytes.as_ref()) {
                        Some(after) => {
                            rest = after;
                            true
                        }
                        None => false,
                    },
                    Part::Range { .. } => false,
                }) && rest.is_empty()
            }
        }
    }
}
