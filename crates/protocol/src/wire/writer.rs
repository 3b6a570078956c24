//! Writes Kafka's primitives to a frame.
//!
//! Nothing is measured before it is written: the frame's length and the sizes of tagged fields
//! are put in afterwards. Record data is noted, not copied. Like the reader's, the first failure
//! sticks.

use super::error::EncodeError;
use super::frame::{Frame, LENGTH_PREFIX};
use super::message::Struct;
use super::records::{Part, Records};
use super::uuid::Uuid;

/// Whoever hands on one part mostly hands on several: a fetch answers for many partitions.
const PARTS_AT_FIRST: usize = 16;

/// A frame in the making.
#[derive(Debug)]
pub struct Writer {
    head: Vec<u8>,
    parts: Vec<(usize, Part)>,
    parts_length: usize,
    failure: Option<EncodeError>,
}

/// A number, or an id, of as many bytes in every message.
pub(crate) trait Fixed: Copy {
    fn write(self, writer: &mut Writer);
}

macro_rules! fixed {
    ($($name:ident: $type:ty;)*) => {
        impl Writer { $(
            #[inline]
            pub(crate) fn $name(&mut self, value: $type) {
                self.head.extend_from_slice(&value.to_be_bytes());
            }
        )* }

        $(impl Fixed for $type {
            fn write(self, writer: &mut Writer) {
                writer.$name(self);
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

impl Writer {
    /// An empty frame with room for so many bytes, not counting record data.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        let mut head = Vec::with_capacity(LENGTH_PREFIX + bytes);
        head.extend_from_slice(&[0; LENGTH_PREFIX]);
        Self { head, parts: Vec::new(), parts_length: 0, failure: None }
    }

    /// The finished frame, with its length in front.
    pub fn finish(mut self) -> Result<Frame, EncodeError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let length = self.len();
        let Ok(prefix) = i32::try_from(length) else {
            return Err(EncodeError::TooLong { field: "frame", length });
        };
        if let Some(slot) = self.head.first_chunk_mut() {
            *slot = prefix.to_be_bytes();
        }
        Ok(Frame::new(self.head, self.parts, length))
    }

    /// How many bytes the frame has so far, without its length prefix.
    #[must_use]
    pub fn len(&self) -> usize {
        self.head.len() - LENGTH_PREFIX + self.parts_length
    }

    /// Whether nothing was written yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn failure(&self) -> Option<EncodeError> {
        self.failure
    }

    #[cold]
    #[inline(never)]
    fn fail(&mut self, failure: EncodeError) {
        self.failure.get_or_insert(failure);
    }

    pub(crate) fn boolean(&mut self, value: bool) {
        self.head.push(u8::from(value));
    }

    #[inline]
    pub(crate) fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.head.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.head.push(value as u8);
    }

    #[inline]
    fn length(&mut self, field: &'static str, length: usize, flexible: bool, narrow: bool) {
        // Kafka's own readers refuse a compact text beyond what a classic one could say.
        let limit = if narrow { i16::MAX as usize } else { i32::MAX as usize };
        if length > limit {
            self.fail(EncodeError::TooLong { field, length });
        } else if flexible {
            self.uvarint(length as u32 + 1);
        } else if narrow {
            self.int16(length as i16);
        } else {
            self.int32(length as i32);
        }
    }

    fn null(&mut self, field: &'static str, flexible: bool, narrow: bool, may_be_null: bool) {
        if !may_be_null {
            self.fail(EncodeError::Null { field });
        } else if flexible {
            self.head.push(0);
        } else if narrow {
            self.int16(-1);
        } else {
            self.int32(-1);
        }
    }

    fn count(&mut self, field: &'static str, count: usize, flexible: bool) {
        self.length(field, count, flexible, false);
    }

    pub(crate) fn string(&mut self, field: &'static str, text: &str, flexible: bool) {
        self.length(field, text.len(), flexible, true);
        self.head.extend_from_slice(text.as_bytes());
    }

    pub(crate) fn opt_string(
        &mut self,
        field: &'static str,
        text: Option<&str>,
        flexible: bool,
        may_be_null: bool,
    ) {
        match text {
            Some(text) => self.string(field, text, flexible),
            None => self.null(field, flexible, true, may_be_null),
        }
    }

    pub(crate) fn bytes(&mut self, field: &'static str, bytes: &[u8], flexible: bool) {
        self.length(field, bytes.len(), flexible, false);
        self.head.extend_from_slice(bytes);
    }

    pub(crate) fn opt_bytes(
        &mut self,
        field: &'static str,
        bytes: Option<&[u8]>,
        flexible: bool,
        may_be_null: bool,
    ) {
        match bytes {
            Some(bytes) => self.bytes(field, bytes, flexible),
            None => self.null(field, flexible, false, may_be_null),
        }
    }

    pub(crate) fn records(&mut self, field: &'static str, records: &Records<'_>, flexible: bool) {
        match records {
            Records::Slice(bytes) => self.bytes(field, bytes, flexible),
            Records::Parts(parts) => {
                let length = records.len();
                self.length(field, length, flexible, false);
                self.parts_length += length;
                if self.parts.is_empty() {
                    self.parts.reserve(PARTS_AT_FIRST);
                }
                for part in parts {
                    self.parts.push((self.head.len(), part.clone()));
                }
            }
        }
    }

    pub(crate) fn opt_records(
        &mut self,
        field: &'static str,
        records: Option<&Records<'_>>,
        flexible: bool,
        may_be_null: bool,
    ) {
        match records {
            Some(records) => self.records(field, records, flexible),
            None => self.null(field, flexible, false, may_be_null),
        }
    }

    pub(crate) fn numbers<T: Fixed>(&mut self, field: &'static str, numbers: &[T], flexible: bool) {
        self.count(field, numbers.len(), flexible);
        for number in numbers {
            number.write(self);
        }
    }

    pub(crate) fn opt_numbers<T: Fixed>(
        &mut self,
        field: &'static str,
        numbers: Option<&Vec<T>>,
        flexible: bool,
        may_be_null: bool,
    ) {
        match numbers {
            Some(numbers) => self.numbers(field, numbers, flexible),
            None => self.null(field, flexible, false, may_be_null),
        }
    }

    pub(crate) fn strings(&mut self, field: &'static str, texts: &[&str], flexible: bool) {
        self.count(field, texts.len(), flexible);
        for text in texts {
            self.string(field, text, flexible);
        }
    }

    pub(crate) fn opt_strings(
        &mut self,
        field: &'static str,
        texts: Option<&Vec<&str>>,
        flexible: bool,
        may_be_null: bool,
    ) {
        match texts {
            Some(texts) => self.strings(field, texts, flexible),
            None => self.null(field, flexible, false, may_be_null),
        }
    }

    pub(crate) fn structs<'a, T: Struct<'a>>(
        &mut self,
        field: &'static str,
        structs: &[T],
        flexible: bool,
        version: i16,
    ) {
        self.count(field, structs.len(), flexible);
        for one in structs {
            one.write(self, version);
        }
    }

    pub(crate) fn opt_structs<'a, T: Struct<'a>>(
        &mut self,
        field: &'static str,
        structs: Option<&Vec<T>>,
        flexible: bool,
        version: i16,
        may_be_null: bool,
    ) {
        match structs {
            Some(structs) => self.structs(field, structs, flexible, version),
            None => self.null(field, flexible, false, may_be_null),
        }
    }

    pub(crate) fn opt_struct<'a, T: Struct<'a>>(&mut self, value: Option<&T>, version: i16) {
        match value {
            Some(value) => {
                self.int8(1);
                value.write(self, version);
            }
            None => self.int8(-1),
        }
    }

    /// A tagged struct that may be null says so in another way than one in its place does.
    pub(crate) fn opt_tagged_struct<'a, T: Struct<'a>>(&mut self, value: Option<&T>, version: i16) {
        self.uvarint(u32::from(value.is_some()));
        if let Some(value) = value {
            value.write(self, version);
        }
    }

    /// Begins a tagged field; `close_tag` puts its size in.
    pub(crate) fn open_tag(&mut self, tag: u32) -> usize {
        self.uvarint(tag);
        // Nearly every tagged field is shorter than 128 bytes, so that its size takes one byte.
        self.head.push(0);
        self.head.len()
    }

    pub(crate) fn close_tag(&mut self, start: usize) {
        let size = self.head.len() - start;
        if let (true, Some(slot)) = (size < 0x80, self.head.get_mut(start - 1)) {
            *slot = size as u8;
            return;
        }
        let value = self.head.split_off(start);
        self.head.pop();
        self.uvarint(size as u32);
        self.head.extend_from_slice(&value);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn body(writer: Writer) -> Vec<u8> {
        writer.finish().unwrap().into_body().unwrap()
    }

    #[test]
    fn a_tagged_field_gets_its_size_however_long_it_is() {
        for length in [0, 1, 126, 127, 128, 16_382, 16_383, 16_384] {
            let mut writer = Writer::with_capacity(0);
            let start = writer.open_tag(5);
            writer.bytes("value", &vec![9; length], true);
            writer.close_tag(start);
            let written = body(writer);
            let mut reader = super::super::Reader::new(&written);
            assert_eq!(reader.uvarint("tag"), 5);
            assert_eq!(reader.uvarint("size") as usize, reader.rest().len());
            assert_eq!(reader.bytes("value", true).len(), length);
        }
    }

    #[test]
    fn records_are_handed_on_and_not_copied() {
        let batch = Bytes::from(vec![7; 100]);
        let range = Part::Range { token: 3, length: 50 };
        let records = Records::Parts(vec![Part::Bytes(batch.clone()), range.clone()]);
        let mut writer = Writer::with_capacity(0);
        writer.records("records", &records, false);
        writer.int8(1);
        let frame = writer.finish().unwrap();
        assert_eq!(frame.body_length(), 4 + 150 + 1);
        let parts: Vec<Part> = frame.into_parts().collect();
        let own = |bytes: &'static [u8]| Part::Bytes(Bytes::from_static(bytes));
        assert_eq!(parts[0], own(&[0, 0, 0, 155, 0, 0, 0, 150]));
        assert!(matches!(&parts[1], Part::Bytes(part) if part.as_ptr() == batch.as_ptr()));
        assert_eq!(parts[2..], [range, own(&[1])]);
    }

    #[test]
    fn what_cannot_be_said_is_an_error() {
        let mut writer = Writer::with_capacity(0);
        writer.opt_string("name", None, true, false);
        writer.int8(1);
        let refused = writer.finish().unwrap_err();
        assert_eq!(refused, EncodeError::Null { field: "name" });

        let mut writer = Writer::with_capacity(0);
        writer.string("name", &"x".repeat(32_768), true);
        let refused = writer.finish().unwrap_err();
        assert_eq!(refused, EncodeError::TooLong { field: "name", length: 32_768 });
    }
}
