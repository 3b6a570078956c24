//! Where records are read from: bytes in memory, or bytes as a codec yields them.
//!
//! A source gives the next number or steps over bytes; it knows nothing of records but the
//! shortcut that it offers where a whole one is at hand.

use super::compression::Payload;
use super::varint;
use super::walk::{FramingError, WalkError, Walked, walk_short};

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
        Self { payload, at: 0, passed: 0 }
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
        let number = bytes.get(..len).and_then(|number| varint::read_i32(number, 0));
        Ok(number.ok_or(FramingError::Varint)?.0)
    }
    #[inline]
    fn varlong(&mut self) -> Result<i64, WalkError> {
        if let Some((value, at)) = varint::read_i64(self.payload.chunk(), self.at) {
            self.at = at;
            return Ok(value);
        }
        let (bytes, len) = self.split_number()?;
        let number = bytes.get(..len).and_then(|number| varint::read_i64(number, 0));
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
