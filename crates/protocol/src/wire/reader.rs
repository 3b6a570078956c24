//! Reads Kafka's primitives from a frame, borrowing from it.
//!
//! The first flaw sticks: from then on there is nothing left to read, every further read yields
//! nothing, and the caller learns of it once, at the end. So the generated decoders are straight
//! lines without an early return, which keeps them small and fast.

use super::error::Flaw;
use super::message::Struct;
use super::records::Records;
use super::uuid::Uuid;

/// Arrays of more elements are refused, as Kafka 4.4 does.
pub const ARRAY_LENGTH_MAX: u64 = 1_000_000;
/// Longer texts are refused even where their length prefix could say more, as Kafka does.
const TEXT_LENGTH_MAX: usize = i16::MAX as usize;
/// Structs of more tagged fields are refused, as Kafka 4.4 does.
pub const TAGGED_FIELDS_MAX: u32 = 10_000;
/// An announced count reserves at most this many elements; beyond it the memory grows with the
/// elements that are really there.
const RESERVED_ELEMENTS_MAX: usize = 1024;

/// A place in a frame, and the first flaw that was found on the way to it.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    whole: &'a [u8],
    failure: Option<Failure>,
}

/// The first flaw and where it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    pub(crate) field: &'static str,
    pub(crate) position: usize,
    pub(crate) flaw: Flaw,
}

/// The tagged fields of one struct while they are walked.
#[derive(Debug)]
pub(crate) struct Tags<'a> {
    left: u32,
    lowest: u32,
    tag: u32,
    after: &'a [u8],
}

/// A number, or an id, of as many bytes in every message.
pub(crate) trait Fixed: Sized {
    const SIZE: usize;
    fn read(reader: &mut Reader<'_>, field: &'static str) -> Self;
}

macro_rules! fixed {
    ($($name:ident: $type:ty;)*) => {
        impl Reader<'_> { $(
            #[inline]
            pub(crate) fn $name(&mut self, field: &'static str) -> $type {
                match self.rest.split_first_chunk() {
                    Some((bytes, rest)) => {
                        self.rest = rest;
                        <$type>::from_be_bytes(*bytes)
                    }
                    None => {
                        self.fail(field, Flaw::Truncated);
                        <$type>::from_be_bytes(Default::default())
                    }
                }
            }
        )* }

        $(impl Fixed for $type {
            const SIZE: usize = size_of::<Self>();

            fn read(reader: &mut Reader<'_>, field: &'static str) -> Self {
                reader.$name(field)
            }
        })*
    };
}

fixed! {
    int8: i8;
    int16: i16;
    uint16: u16;
    int32: i32;
    int64: i64;
    float64: f64;
    uuid: Uuid;
}

impl<'a> Reader<'a> {
    /// Begins at the first byte of a message.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, whole: bytes, failure: None }
    }

    /// The bytes that nobody has read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn failure(&self) -> Option<Failure> {
        self.failure
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn fail(&mut self, field: &'static str, flaw: Flaw) {
        if self.failure.is_none() {
            let position = (self.rest.as_ptr() as usize).wrapping_sub(self.whole.as_ptr() as usize);
            self.failure = Some(Failure { field, position, flaw });
        }
        self.rest = &[];
    }

    pub(crate) fn boolean(&mut self, field: &'static str) -> bool {
        self.int8(field) != 0
    }

    /// An unsigned variable-length number of at most five bytes.
    #[inline]
    pub(crate) fn uvarint(&mut self, field: &'static str) -> u32 {
        match self.rest.split_first() {
            Some((&byte, rest)) if byte < 0x80 => {
                self.rest = rest;
                u32::from(byte)
            }
            _ => self.long_uvarint(field),
        }
    }

    fn long_uvarint(&mut self, field: &'static str) -> u32 {
        let mut value = 0_u64;
        for shift in (0..35).step_by(7) {
            let Some((&byte, rest)) = self.rest.split_first() else {
                self.fail(field, Flaw::Truncated);
                return 0;
            };
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return u32::try_from(value).unwrap_or_else(|_| {
                    self.fail(field, Flaw::VarintTooLong);
                    0
                });
            }
        }
        self.fail(field, Flaw::VarintTooLong);
        0
    }

    /// The length before bytes, texts and arrays: none for null.
    #[inline]
    fn length(&mut self, field: &'static str, flexible: bool, narrow: bool) -> Option<usize> {
        let length = if flexible {
            i64::from(self.uvarint(field)) - 1
        } else if narrow {
            i64::from(self.int16(field))
        } else {
            i64::from(self.int32(field))
        };
        if length < -1 {
            self.fail(field, Flaw::NegativeLength(length));
        }
        usize::try_from(length).ok()
    }

    #[inline]
    fn take(&mut self, field: &'static str, length: usize) -> &'a [u8] {
        let Some((bytes, rest)) = self.rest.split_at_checked(length) else {
            self.fail(field, Flaw::Truncated);
            return &[];
        };
        self.rest = rest;
        bytes
    }

    #[inline]
    fn prefixed(
        &mut self,
        field: &'static str,
        flexible: bool,
        narrow: bool,
        may_be_null: bool,
    ) -> Option<&'a [u8]> {
        match self.length(field, flexible, narrow) {
            Some(length) => Some(self.take(field, length)),
            None => {
                if !may_be_null {
                    self.fail(field, Flaw::Null);
                }
                None
            }
        }
    }

    pub(crate) fn string(&mut self, field: &'static str, flexible: bool) -> &'a str {
        self.opt_string(field, flexible, false).unwrap_or_default()
    }

    pub(crate) fn opt_string(
        &mut self,
        field: &'static str,
        flexible: bool,
        may_be_null: bool,
    ) -> Option<&'a str> {
        let bytes = self.prefixed(field, flexible, true, may_be_null)?;
        if bytes.len() > TEXT_LENGTH_MAX {
            self.fail(field, Flaw::TextTooLong(bytes.len()));
            return None;
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Some(text),
            Err(_) => {
                self.fail(field, Flaw::NotUtf8);
                None
            }
        }
    }

    pub(crate) fn bytes(&mut self, field: &'static str, flexible: bool) -> &'a [u8] {
        self.opt_bytes(field, flexible, false).unwrap_or_default()
    }

    pub(crate) fn opt_bytes(
        &mut self,
        field: &'static str,
        flexible: bool,
        may_be_null: bool,
    ) -> Option<&'a [u8]> {
        self.prefixed(field, flexible, false, may_be_null)
    }

    pub(crate) fn records(&mut self, field: &'static str, flexible: bool) -> Records<'a> {
        Records::Slice(self.bytes(field, flexible))
    }

    pub(crate) fn opt_records(
        &mut self,
        field: &'static str,
        flexible: bool,
        may_be_null: bool,
    ) -> Option<Records<'a>> {
        self.opt_bytes(field, flexible, may_be_null).map(Records::Slice)
    }

    pub(crate) fn numbers<T: Fixed>(&mut self, field: &'static str, flexible: bool) -> Vec<T> {
        self.opt_numbers(field, flexible, false).unwrap_or_default()
    }

    pub(crate) fn opt_numbers<T: Fixed>(
        &mut self,
        field: &'static str,
        flexible: bool,
        may_be_null: bool,
    ) -> Option<Vec<T>> {
        self.array(field, flexible, may_be_null, T::SIZE, |reader| T::read(reader, field))
    }

    pub(crate) fn strings(&mut self, field: &'static str, flexible: bool) -> Vec<&'a str> {
        self.opt_strings(field, flexible, false).unwrap_or_default()
    }

    pub(crate) fn opt_strings(
        &mut self,
        field: &'static str,
        flexible: bool,
        may_be_null: bool,
    ) -> Option<Vec<&'a str>> {
        let size = if flexible { 1 } else { 2 };
        self.array(field, flexible, may_be_null, size, |reader| reader.string(field, flexible))
    }

    pub(crate) fn structs<T: Struct<'a>>(
        &mut self,
        field: &'static str,
        flexible: bool,
        version: i16,
    ) -> Vec<T> {
        self.opt_structs(field, flexible, version, false).unwrap_or_default()
    }

    pub(crate) fn opt_structs<T: Struct<'a>>(
        &mut self,
        field: &'static str,
        flexible: bool,
        version: i16,
        may_be_null: bool,
    ) -> Option<Vec<T>> {
        self.array(field, flexible, may_be_null, T::SIZE_MIN, |reader| T::read(reader, version))
    }

    pub(crate) fn opt_struct<T: Struct<'a>>(
        &mut self,
        field: &'static str,
        version: i16,
    ) -> Option<T> {
        (self.int8(field) >= 0).then(|| T::read(self, version))
    }

    /// A tagged struct that may be null says so in another way than one in its place does.
    pub(crate) fn opt_tagged_struct<T: Struct<'a>>(
        &mut self,
        field: &'static str,
        version: i16,
    ) -> Option<T> {
        (self.uvarint(field) > 0).then(|| T::read(self, version))
    }

    #[inline]
    fn array<T>(
        &mut self,
        field: &'static str,
        flexible: bool,
        may_be_null: bool,
        size_min: usize,
        mut element: impl FnMut(&mut Self) -> T,
    ) -> Option<Vec<T>> {
        let count = self.count(field, flexible, may_be_null, size_min)?;
        let mut elements = Vec::with_capacity(count.min(RESERVED_ELEMENTS_MAX));
        for _ in 0..count {
            elements.push(element(self));
            if self.failure.is_some() {
                break;
            }
        }
        Some(elements)
    }

    /// The count before an array, once it is clear that so many elements can be there.
    fn count(
        &mut self,
        field: &'static str,
        flexible: bool,
        may_be_null: bool,
        size_min: usize,
    ) -> Option<usize> {
        let count = self.length(field, flexible, false);
        if let Some(count) = count {
            let room = self.rest.len() / size_min.max(1);
            if count > room || count as u64 > ARRAY_LENGTH_MAX {
                self.fail(field, Flaw::TooManyElements(count as u64));
                return None;
            }
        } else if !may_be_null {
            self.fail(field, Flaw::Null);
        }
        count
    }

    /// Begins to walk the tagged fields at the end of a flexible struct.
    pub(crate) fn tags(&mut self) -> Tags<'a> {
        let mut left = self.uvarint("tagged fields");
        if left > TAGGED_FIELDS_MAX {
            self.fail("tagged fields", Flaw::TooManyTaggedFields(left));
            left = 0;
        }
        Tags { left, lowest: 0, tag: 0, after: &[] }
    }

    /// Moves into the next tagged field; until `end_tag` only its bytes can be read.
    pub(crate) fn next_tag(&mut self, tags: &mut Tags<'a>) -> Option<u32> {
        tags.left = tags.left.checked_sub(1)?;
        let tag = self.uvarint("tag");
        if tag < tags.lowest {
            self.fail("tag", Flaw::TagOutOfOrder(tag));
        }
        let size = self.uvarint("tagged field's size");
        let value = self.take("tagged field", size as usize);
        if self.failure.is_some() {
            tags.left = 0;
            return None;
        }
        tags.lowest = tag.saturating_add(1);
        tags.tag = tag;
        tags.after = std::mem::replace(&mut self.rest, value);
        Some(tag)
    }

    /// Passes over a tagged field that this version of the schema does not know.
    pub(crate) fn skip_tag(&mut self) {
        self.rest = &[];
    }

    /// Leaves a tagged field, which must have been read to its end.
    pub(crate) fn end_tag(&mut self, tags: &Tags<'a>) {
        if !self.rest.is_empty() {
            self.fail("tagged field", Flaw::TagSizeMismatch(tags.tag));
        }
        if self.failure.is_none() {
            self.rest = tags.after;
        }
    }

    /// Passes over all tagged fields of a struct that knows none.
    pub(crate) fn skip_tags(&mut self) {
        let mut tags = self.tags();
        while self.next_tag(&mut tags).is_some() {
            self.skip_tag();
            self.end_tag(&tags);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_length_numbers_take_up_to_five_bytes() {
        for (bytes, number) in [
            (&[0][..], 0),
            (&[0x7f], 127),
            (&[0x80, 1], 128),
            (&[0x80, 0], 0),
            (&[0xff, 0xff, 0xff, 0xff, 0x0f], u32::MAX),
        ] {
            let mut reader = Reader::new(bytes);
            assert_eq!(reader.uvarint("number"), number);
            assert!(reader.failure().is_none() && reader.rest().is_empty());
        }
    }

    #[test]
    fn the_first_flaw_sticks_and_nothing_is_read_after_it() {
        let mut reader = Reader::new(&[0, 0, 0, 1, 0, 2, 0xff, 0xff, 1, 2, 3, 4]);
        assert_eq!(reader.int32("first"), 1);
        assert_eq!(reader.string("second", false), "");
        assert_eq!(reader.int32("third"), 0);
        let failure = reader.failure().unwrap();
        assert_eq!((failure.field, failure.flaw), ("second", Flaw::NotUtf8));
        assert_eq!(failure.position, 8);
    }

    #[test]
    fn a_tagged_field_cannot_reach_into_what_follows_it() {
        // One tagged field of one byte, in which four are asked for; more bytes come behind.
        let mut reader = Reader::new(&[1, 0, 1, 9, 8, 7, 6, 5]);
        let mut tags = reader.tags();
        assert_eq!(reader.next_tag(&mut tags), Some(0));
        assert_eq!(reader.int32("value"), 0);
        reader.end_tag(&tags);
        assert_eq!(reader.failure().unwrap().flaw, Flaw::Truncated);
        assert!(reader.rest().is_empty());
    }

    #[test]
    fn an_announced_count_reserves_only_what_can_be_there() {
        let bytes = [&20_000_i32.to_be_bytes()[..], &[0; 20_000]].concat();
        let ids: Vec<i8> = Reader::new(&bytes).numbers("ids", false);
        assert_eq!(ids.len(), 20_000);
        let mut reader = Reader::new(&bytes);
        let ids: Vec<i32> = reader.numbers("ids", false);
        assert_eq!(
            (ids.capacity(), reader.failure().unwrap().flaw),
            (0, Flaw::TooManyElements(20_000))
        );
    }
}
