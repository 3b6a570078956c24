//! The one parser of a record's framing, over whatever `source` reads from.
//!
//! It reads the small numbers, steps over keys, values and headers without touching them, and
//! insists that a record ends where its length says. It decides nothing about a record's worth.

use super::compression::CodecError;
use super::source::Source;
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
pub(super) fn walk_short(bytes: &[u8], at: usize) -> Option<Walked> {
    let rest = bytes.get(at..)?;
    let mut front = Front { word: u64::from_le_bytes(*rest.first_chunk()?), taken: 0 };
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
        (len >= 0).then_some(Span { start: at + start, end: at + end })
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
    Ok(Walked { timestamp_delta, offset_delta, key, value, header_count, headers_start, end })
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
        return if len == -1 { Ok(None) } else { Err(FramingError::NegativeLength(len).into()) };
    }
    let start = source.position();
    source.skip(len as usize)?;
    Ok(Some(Span { start, end: start + len as usize }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::source::InMemory;
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
