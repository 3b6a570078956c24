//! The one parser of a record's framing, over bytes in memory or bytes as a codec yields them.
//!
//! It reads the small numbers, steps over keys, values and headers without touching them, and
//! insists that a record ends where its length says. It decides nothing about a record's worth.

use super::compression::{CodecError, Payload};
use super::varint;

/// What is wrong with the framing of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    #[error("the records end in the middle of a record")]
    Truncated,
    #[error("a number is cut off or too long")]
    Varint,
    #[error("a length of {0} is negative")]
    NegativeLength(i32),
    #[error("the record says {declared} bytes but its fields end elsewhere")]
    Length { declared: i32 },
    #[error("{0} headers cannot be in this record")]
    HeaderCount(i32),
}

/// Why a walk over records stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalkError {
    #[error(transparent)]
    Framing(#[from] FramingError),
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// Where a field lies in the bytes of [`InMemory`]; in a stream only whether it is there counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The numbers of one record and the places of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Walked {
    pub(super) timestamp_delta: i64,
    pub(super) offset_delta: i32,
    pub(super) key: Option<Span>,
    pub(super) value: Option<Span>,
    pub(super) header_count: i32,
    /// The first header, behind the count.
    pub(super) headers_start: usize,
    pub(super) end: usize,
}

/// Bytes of records, read once from front to back.
pub(super) trait Source {
    type Error: From<FramingError>;
    fn byte(&mut self) -> Result<u8, Self::Error>;
    fn varint(&mut self) -> Result<i32, Self::Error>;
    fn varlong(&mut self) -> Result<i64, Self::Error>;
    fn skip(&mut self, len: usize) -> Result<(), Self::Error>;
    fn position(&self) -> usize;
    /// [`walk_short`], where the source has the whole record at hand.
    fn walk_short(&mut self) -> Option<Walked>;
    fn is_at_end(&mut self) -> Result<bool, Self::Error>;
}

/// The numbers at a record's front, out of one load: where each is read by a load of its own, the
/// walk mostly waits for the one before.
struct Front {
    word: u64,
    taken: usize,
}

impl Front {
    /// The next number, if it has one byte or two.
    #[inline(always)]
    fn take(&mut self) -> Option<i32> {
        let pair = self.word as u32;
        let (raw, len) = if pair & 0x80 == 0 {
            (pair & 0x7f, 1)
        } else if pair & 0x8000 == 0 {
            (pair & 0x7f | pair >> 1 & 0x3f80, 2)
        } else {
            return None;
        };
        self.skip(len);
        Some(varint::unzigzag32(raw))
    }

    #[inline(always)]
    fn skip(&mut self, len: usize) {
        self.word >>= 8 * len;
        self.taken += len;
    }
}

/// Walks the record at `at` if it is as nearly all are: short numbers, no headers, and nothing
/// wrong with it. Any other is left to [`walk_slowly`], which knows what is wrong.
#[inline(always)]
fn walk_short(bytes: &[u8], at: usize) -> Option<Walked> {
    let rest = bytes.get(at..)?;
    let mut front = Front {
        word: u64::from_le_bytes(*rest.first_chunk()?),
        taken: 0,
    };
    let len = usize::try_from(front.take()?).ok()?;
    let record = rest.get(..front.taken + len)?;
    front.skip(1);
    let timestamp_delta = i64::from(front.take()?);
    let offset_delta = front.take()?;
    let key_len = front.take()?;
    let key_end = front.taken + key_len.max(0) as usize;
    let (value_len, value_start) = varint::read_i32(record, key_end)?;
    let value_end = value_start + value_len.max(0) as usize;
    // Beyond eight bytes the front had zeros in place of what was there.
    if front.taken > 8 || key_len < -1 || value_len < -1 || record.get(value_end..)? != [0] {
        return None;
    }
    let span = |len: i32, start: usize, end: usize| {
        (len >= 0).then_some(Span {
            start: at + start,
            end: at + end,
        })
    };
    let end = at + record.len();
    Some(Walked {
        timestamp_delta,
        offset_delta,
        key: span(key_len, front.taken, key_end),
        value: span(value_len, value_start, value_end),
        header_count: 0,
        headers_start: end,
        end,
    })
}

/// Walks one record.
#[inline(always)]
pub(super) fn walk_record<S: Source>(source: &mut S) -> Result<Walked, S::Error> {
    match source.walk_short() {
        Some(walked) => Ok(walked),
        None => walk_slowly(source),
    }
}

#[inline(never)]
fn walk_slowly<S: Source>(source: &mut S) -> Result<Walked, S::Error> {
    let declared = source.varint()?;
    let len = usize::try_from(declared).map_err(|_| FramingError::NegativeLength(declared))?;
    let end = source.position() + len;
    // The attributes of a record are unused.
    source.byte()?;
    let timestamp_delta = source.varlong()?;
    let offset_delta = source.varint()?;
    let key = nullable(source)?;
    let value = nullable(source)?;
    let header_count = source.varint()?;
    let headers_start = source.position();
    if header_count != 0 {
        walk_headers(source, header_count, end)?;
    }
    if source.position() != end {
        return Err(FramingError::Length { declared }.into());
    }
    Ok(Walked {
        timestamp_delta,
        offset_delta,
        key,
        value,
        header_count,
        headers_start,
        end,
    })
}

fn walk_headers<S: Source>(source: &mut S, count: i32, end: usize) -> Result<(), S::Error> {
    // The smallest header is two bytes: an empty key and a null value.
    let possible = end.saturating_sub(source.position()) / 2;
    if usize::try_from(count).map_or(true, |count| count > possible) {
        return Err(FramingError::HeaderCount(count).into());
    }
    for _ in 0..count {
        if nullable(source)?.is_none() {
            return Err(FramingError::NegativeLength(-1).into());
        }
        nullable(source)?;
    }
    Ok(())
}

/// Steps over a key or value; -1 stands for null.
#[inline(always)]
pub(super) fn nullable<S: Source>(source: &mut S) -> Result<Option<Span>, S::Error> {
    let len = source.varint()?;
    if len < 0 {
        return if len == -1 {
            Ok(None)
        } else {
            Err(FramingError::NegativeLength(len).into())
        };
    }
    let start = source.position();
    source.skip(len as usize)?;
    Ok(Some(Span {
        start,
        end: start + len as usize,
    }))
}

/// Records that lie in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct InMemory<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> InMemory<'a> {
    pub(super) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }
}

impl Source for InMemory<'_> {
    type Error = FramingError;

    #[inline(always)]
    fn byte(&mut self) -> Result<u8, FramingError> {
        let byte = *self.bytes.get(self.at).ok_or(FramingError::Truncated)?;
        self.at += 1;
        Ok(byte)
    }
    #[inline(always)]
    fn varint(&mut self) -> Result<i32, FramingError> {
        let (value, at) = varint::read_i32(self.bytes, self.at).ok_or(FramingError::Varint)?;
        self.at = at;
        Ok(value)
    }
    #[inline(always)]
    fn varlong(&mut self) -> Result<i64, FramingError> {
        let (value, at) = varint::read_i64(self.bytes, self.at).ok_or(FramingError::Varint)?;
        self.at = at;
        Ok(value)
    }
    #[inline(always)]
    fn skip(&mut self, len: usize) -> Result<(), FramingError> {
        if len > self.bytes.len() - self.at {
            return Err(FramingError::Truncated);
        }
        self.at += len;
        Ok(())
    }
    #[inline(always)]
    fn position(&self) -> usize {
        self.at
    }
    #[inline(always)]
    fn walk_short(&mut self) -> Option<Walked> {
        let walked = walk_short(self.bytes, self.at)?;
        self.at = walked.end;
        Some(walked)
    }
    fn is_at_end(&mut self) -> Result<bool, FramingError> {
        Ok(self.at >= self.bytes.len())
    }
}

/// Records that a codec yields chunk by chunk; a chunk is forgotten when the next one comes.
#[derive(Debug)]
pub(super) struct Streamed<'s> {
    payload: Payload<'s>,
    /// Where the next byte lies in the chunk, and how many bytes came in chunks before it.
    at: usize,
    passed: usize,
}

impl<'s> Streamed<'s> {
    pub(super) const fn new(payload: Payload<'s>) -> Self {
        Self {
            payload,
            at: 0,
            passed: 0,
        }
    }

    /// Brings the next chunk; false at the end.
    fn refill(&mut self) -> Result<bool, WalkError> {
        self.passed += self.payload.chunk().len();
        self.at = 0;
        Ok(self.payload.advance()?)
    }

    /// A number that may lie across two chunks.
    #[cold]
    fn split_number(&mut self) -> Result<([u8; varint::VARLONG_LEN_MAX], usize), WalkError> {
        let mut bytes = [0; varint::VARLONG_LEN_MAX];
        for (index, slot) in bytes.iter_mut().enumerate() {
            *slot = self.byte()?;
            if *slot < 0x80 {
                return Ok((bytes, index + 1));
            }
        }
        Err(FramingError::Varint.into())
    }
}

impl Source for Streamed<'_> {
    type Error = WalkError;

    #[inline]
    fn byte(&mut self) -> Result<u8, WalkError> {
        loop {
            if let Some(byte) = self.payload.chunk().get(self.at) {
                self.at += 1;
                return Ok(*byte);
            }
            if !self.refill()? {
                return Err(FramingError::Truncated.into());
            }
        }
    }
    #[inline]
    fn varint(&mut self) -> Result<i32, WalkError> {
        if let Some((value, at)) = varint::read_i32(self.payload.chunk(), self.at) {
            self.at = at;
            return Ok(value);
        }
        let (bytes, len) = self.split_number()?;
        let number = bytes
            .get(..len)
            .and_then(|number| varint::read_i32(number, 0));
        Ok(number.ok_or(FramingError::Varint)?.0)
    }
    #[inline]
    fn varlong(&mut self) -> Result<i64, WalkError> {
        if let Some((value, at)) = varint::read_i64(self.payload.chunk(), self.at) {
            self.at = at;
            return Ok(value);
        }
        let (bytes, len) = self.split_number()?;
        let number = bytes
            .get(..len)
            .and_then(|number| varint::read_i64(number, 0));
        Ok(number.ok_or(FramingError::Varint)?.0)
    }
    #[inline]
    fn skip(&mut self, mut len: usize) -> Result<(), WalkError> {
        loop {
            let here = self.payload.chunk().len() - self.at;
            if len <= here {
                self.at += len;
                return Ok(());
            }
            len -= here;
            if !self.refill()? {
                return Err(FramingError::Truncated.into());
            }
        }
    }
    #[inline]
    fn position(&self) -> usize {
        self.passed + self.at
    }
    #[inline(always)]
    fn walk_short(&mut self) -> Option<Walked> {
        let walked = walk_short(self.payload.chunk(), self.at)?;
        self.at = walked.end;
        Some(walked)
    }
    fn is_at_end(&mut self) -> Result<bool, WalkError> {
        while self.at >= self.payload.chunk().len() {
            if !self.refill()? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::varint::{write_i32, write_i64};
    use super::*;

    proptest! {
        /// Whatever the quick walk takes, the careful one takes for the same; and it does take
        /// plain records.
        #[test]
        fn the_quick_walk_is_the_careful_one(
            timestamp_delta in prop_oneof![-70i64..70, any::<i64>()],
            offset_delta in prop_oneof![0i32..200, any::<i32>()],
            key_len in -3i32..70,
            value_len in -3i32..300,
            header_count in -1i32..2,
            length_off in prop_oneof![4 => Just(0i32), 1 => -3i32..3],
            at in 0usize..3,
            behind in 0usize..20,
        ) {
            let mut body = vec![0];
            write_i64(&mut body, timestamp_delta);
            write_i32(&mut body, offset_delta);
            for len in [key_len, value_len] {
                write_i32(&mut body, len);
                body.resize(body.len() + len.max(0) as usize, 7);
            }
            write_i32(&mut body, header_count);
            let mut bytes = vec![9; at];
            write_i32(&mut bytes, body.len() as i32 + length_off);
            bytes.extend_from_slice(&body);
            bytes.resize(bytes.len() + behind, 0);
            let quick = walk_short(&bytes, at);
            let careful = walk_slowly(&mut InMemory::new(&bytes, at));
            let is_plain = (-64..64).contains(&timestamp_delta)
                && (0..64).contains(&offset_delta)
                && (-1..=63).contains(&key_len)
                && value_len >= -1
                && (header_count, length_off) == (0, 0)
                && bytes.len() - at >= 8;
            match (quick, careful) {
                (Some(quick), Ok(careful)) => prop_assert_eq!(quick, careful),
                (Some(quick), Err(error)) => prop_assert!(false, "{quick:?} and {error}"),
                (None, _) => prop_assert!(!is_plain, "a plain record is left to the careful walk"),
            }
        }
    }
}
