//! Frames: a length of four bytes, then so many bytes of one request or response.

use bytes::{Buf, Bytes, BytesMut};

use super::records::Part;

/// How many bytes the length in front of a frame takes.
pub const LENGTH_PREFIX: usize = 4;

/// Why the bytes of a connection are no frame. The connection is closed without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// No length at all: often a client that speaks something else.
    #[error("a frame cannot have the length {0}")]
    NegativeLength(i32),
    /// Longer than is accepted: often a client that speaks TLS or HTTP.
    #[error("a frame of {length} bytes is longer than the {limit} that are accepted")]
    TooLong {
        /// What the frame announced.
        length: usize,
        /// What is accepted.
        limit: usize,
    },
}

/// Takes the next whole frame off the bytes that came in; none if more bytes must come first.
///
/// Nothing is reserved: the caller lets its buffer grow as bytes arrive, whatever length they
/// announce.
pub fn split_frame(incoming: &mut BytesMut, limit: usize) -> Result<Option<Bytes>, FrameError> {
    let Some(prefix) = incoming.first_chunk::<LENGTH_PREFIX>() else {
        return Ok(None);
    };
    let announced = i32::from_be_bytes(*prefix);
    let Ok(length) = usize::try_from(announced) else {
        return Err(FrameError::NegativeLength(announced));
    };
    if length > limit {
        return Err(FrameError::TooLong { length, limit });
    }
    if incoming.len() - LENGTH_PREFIX < length {
        return Ok(None);
    }
    incoming.advance(LENGTH_PREFIX);
    Ok(Some(incoming.split_to(length).freeze()))
}

/// A finished frame, ready for a vectored write: its own bytes, and between them the record data
/// that is held elsewhere.
#[derive(Clone, Debug)]
pub struct Frame {
    head: Bytes,
    parts: Vec<(usize, Part)>,
    length: usize,
}

impl Frame {
    pub(crate) fn new(head: Vec<u8>, parts: Vec<(usize, Part)>, length: usize) -> Self {
        Self { head: head.into(), parts, length }
    }

    /// How many bytes stand behind the length prefix.
    #[must_use]
    pub fn body_length(&self) -> usize {
        self.length
    }

    /// The pieces in the order in which they go out, the length prefix first.
    pub fn into_parts(self) -> impl Iterator<Item = Part> {
        let Self { mut head, parts, .. } = self;
        let mut written = 0;
        let mut parts = parts.into_iter().peekable();
        std::iter::from_fn(move || {
            // What is left of the head before the next part, then the part.
            let next_at = parts.peek().map_or(written + head.len(), |(at, _)| *at);
            if next_at > written {
                let own = head.split_to(next_at - written);
                written = next_at;
                return Some(Part::Bytes(own));
            }
            parts.next().map(|(_, part)| part)
        })
    }

    /// The body in one piece, for tests and small messages.
    ///
    /// None if the frame holds ranges, whose bytes are not in memory.
    #[must_use]
    pub fn into_body(self) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(LENGTH_PREFIX + self.length);
        for part in self.into_parts() {
            match part {
                Part::Bytes(piece) => bytes.extend_from_slice(&piece),
                Part::Range { .. } => return None,
            }
        }
        Some(bytes.split_off(LENGTH_PREFIX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_taken_when_it_is_whole() {
        let mut incoming = BytesMut::from(&[0, 0, 0, 2, 7][..]);
        assert_eq!(split_frame(&mut incoming, 10), Ok(None));
        incoming.extend_from_slice(&[8, 9]);
        assert_eq!(split_frame(&mut incoming, 10), Ok(Some(Bytes::from_static(&[7, 8]))));
        assert_eq!(&incoming[..], [9]);
    }

    #[test]
    fn hostile_01_negative_length() {
        let mut incoming = BytesMut::from(&[0xff, 0xff, 0xff, 0xff][..]);
        assert_eq!(split_frame(&mut incoming, 10), Err(FrameError::NegativeLength(-1)));
    }

    #[test]
    fn hostile_02_length_beyond_the_limit() {
        for start in [b"GET ", &[0x16, 3, 1, 0]] {
            let mut incoming = BytesMut::from(&start[..]);
            let refused = split_frame(&mut incoming, 100 << 20);
            assert!(matches!(refused, Err(FrameError::TooLong { .. })), "{refused:?}");
            assert!(incoming.capacity() < 1024);
        }
    }

    #[test]
    fn parts_stand_where_they_were_written() {
        let one = Part::Bytes(Bytes::from_static(b"xyz"));
        let two = Part::Range { token: 1, length: 5 };
        let head = vec![0, 0, 0, 10, 1, 2];
        let frame = Frame::new(head, vec![(5, one.clone()), (5, two.clone())], 10);
        let own = |bytes: &'static [u8]| Part::Bytes(Bytes::from_static(bytes));
        let parts: Vec<Part> = frame.into_parts().collect();
        assert_eq!(parts, [own(&[0, 0, 0, 10, 1]), one, two, own(&[2])]);
    }
}
