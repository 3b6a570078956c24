//! What a thread keeps for decompression, and the stream of chunks that it is used for.

use super::{Budget, Codec, CodecError, gzip, lz4, snappy, zstd};

/// Bytes of a chunk of a codec that has no blocks of its own.
pub(super) const WINDOW_LEN: usize = 64 << 10;
/// What a thread keeps between two batches; an odd batch's larger buffers are given back.
pub(super) const KEPT_LEN_MAX: usize = 1 << 20;

/// Buffers and codec states that one thread uses for one batch after the other.
#[derive(Default)]
pub struct Scratch {
    window: Vec<u8>,
    gzip: gzip::State,
    zstd: zstd::State,
    /// A whole decompressed payload, where somebody wants records that borrow from it.
    plain: Vec<u8>,
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scratch").field("window_len", &self.window.len()).finish_non_exhaustive()
    }
}

impl Scratch {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts to decompress `compressed`.
    pub(in crate::records) fn open<'s>(
        &'s mut self,
        codec: Codec,
        compressed: &'s [u8],
        budget: Budget,
        strict: bool,
    ) -> Result<Payload<'s>, CodecError> {
        let stream = match codec {
            Codec::None => Stream::Plain(compressed),
            Codec::Gzip => Stream::Gzip(gzip::Reader::new(compressed, &mut self.gzip)),
            Codec::Snappy => Stream::Snappy(snappy::Reader::new(compressed)),
            Codec::Lz4 => Stream::Lz4(lz4::Reader::new(compressed, strict)?),
            Codec::Zstd => Stream::Zstd(zstd::Reader::new(compressed, &mut self.zstd)?),
        };
        let budget = budget.limit(compressed.len());
        Ok(Payload { codec, stream, window: &mut self.window, filled: 0, budget, left: budget })
    }

    /// Decompresses a whole payload, to be read until the scratch is used again.
    pub(in crate::records) fn decompress(
        &mut self,
        codec: Codec,
        compressed: &[u8],
        budget: Budget,
        strict: bool,
    ) -> Result<&[u8], CodecError> {
        let mut plain = std::mem::take(&mut self.plain);
        give_back(&mut plain);
        plain.clear();
        self.decompress_to(codec, compressed, budget, strict, &mut plain)?;
        self.plain = plain;
        Ok(&self.plain)
    }

    /// Appends a whole decompressed payload to `plain`.
    pub(in crate::records) fn decompress_to(
        &mut self,
        codec: Codec,
        compressed: &[u8],
        budget: Budget,
        strict: bool,
        plain: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        let mut payload = self.open(codec, compressed, budget, strict)?;
        while payload.advance()? {
            plain.extend_from_slice(payload.chunk());
        }
        self.settle();
        Ok(())
    }

    /// Gives back what an odd batch made too large to keep.
    pub(in crate::records) fn settle(&mut self) {
        give_back(&mut self.window);
        self.zstd.give_back();
    }
}

fn give_back(buffer: &mut Vec<u8>) {
    if buffer.capacity() > KEPT_LEN_MAX {
        *buffer = Vec::new();
    }
}

/// A decompressed payload, one chunk at a time.
#[derive(Debug)]
pub(in crate::records) struct Payload<'s> {
    codec: Codec,
    stream: Stream<'s>,
    window: &'s mut Vec<u8>,
    filled: usize,
    budget: usize,
    left: usize,
}

#[derive(Debug)]
enum Stream<'s> {
    Plain(&'s [u8]),
    Gzip(gzip::Reader<'s>),
    Snappy(snappy::Reader<'s>),
    Lz4(lz4::Reader<'s>),
    Zstd(zstd::Reader<'s>),
}

impl Payload<'_> {
    /// The bytes that the last [`advance`](Self::advance) brought.
    #[inline(always)]
    pub(in crate::records) fn chunk(&self) -> &[u8] {
        self.window.get(..self.filled).unwrap_or_default()
    }

    /// Brings the next chunk, which is not empty; false at the end.
    pub(in crate::records) fn advance(&mut self) -> Result<bool, CodecError> {
        self.filled = 0;
        let over = CodecError::OverBudget { codec: self.codec, budget: self.budget };
        let filled = match &mut self.stream {
            Stream::Plain(bytes) => {
                self.window.clear();
                self.window.extend_from_slice(bytes);
                std::mem::take(bytes).len()
            }
            Stream::Gzip(reader) => reader.fill(self.window)?,
            Stream::Snappy(reader) => reader.fill(self.window, self.left, over)?,
            Stream::Lz4(reader) => reader.fill(self.window)?,
            Stream::Zstd(reader) => reader.fill(self.window, over)?,
        };
        self.left = self.left.checked_sub(filled).ok_or(over)?;
        self.filled = filled;
        Ok(filled > 0)
    }
}

/// Makes room for `len` bytes, zeroing only what was never used.
pub(super) fn room(window: &mut Vec<u8>, len: usize) -> &mut [u8] {
    if window.len() < len {
        window.resize(len, 0);
    }
    window.get_mut(..len).unwrap_or_default()
}
