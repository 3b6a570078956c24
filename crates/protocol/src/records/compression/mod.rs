//! The four codecs of Kafka, each decoded as a stream of bounded chunks and encoded in one go.
//!
//! Nothing here is sized by a number that came over the wire unless the bytes at hand can hold
//! what the number claims and the batch's budget has room for it. What a thread needs again and
//! again lies in its [`Scratch`].

mod gzip;
mod lz4;
mod snappy;
#[cfg(test)]
mod test;
mod zstd;

/// How a batch's records are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Codec {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Codec {
    /// All codecs, by number.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec with this number in a batch's attributes.
    #[must_use]
    pub fn from_id(id: i16) -> Option<Self> {
        usize::try_from(id)
            .ok()
            .and_then(|id| Self::ALL.get(id).copied())
    }

    /// The number in a batch's attributes.
    #[must_use]
    pub const fn id(self) -> i16 {
        self as i16
    }

    /// Kafka's name in `compression.type`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// Why bytes could not be decompressed or compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The stream is not one that its codec writes.
    #[error("broken {codec:?} stream: {why}")]
    Corrupt { codec: Codec, why: &'static str },
    /// The stream holds, or claims to hold, more than its budget.
    #[error("{codec:?} stream holds more than {budget} bytes")]
    OverBudget { codec: Codec, budget: usize },
    /// A number that no codec has.
    #[error("codec {0} is unknown")]
    Unknown(i16),
    /// The encoder of this codec failed.
    #[error("{codec:?} cannot compress: {why}")]
    Encode { codec: Codec, why: &'static str },
}

/// How much a stream is allowed to become when decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Always allowed.
    pub bytes_min: usize,
    /// Allowed beyond that, as a multiple of the compressed size.
    pub ratio_max: usize,
}

impl Default for Budget {
    /// 64 MiB, or 64 times the compressed size.
    fn default() -> Self {
        Self {
            bytes_min: 64 << 20,
            ratio_max: 64,
        }
    }
}

impl Budget {
    /// No more than so many bytes.
    #[must_use]
    pub const fn bytes(bytes: usize) -> Self {
        Self {
            bytes_min: bytes,
            ratio_max: 0,
        }
    }

    fn limit(self, compressed_len: usize) -> usize {
        self.bytes_min
            .max(compressed_len.saturating_mul(self.ratio_max))
    }
}

/// Bytes of a chunk of a codec that has no blocks of its own.
const WINDOW_LEN: usize = 64 << 10;
/// What a thread keeps between two batches; an odd batch's larger buffers are given back.
const KEPT_LEN_MAX: usize = 1 << 20;

/// Buffers and codec states that one thread uses for one batch after the other.
#[derive(Debug, Default)]
pub struct Scratch {
    window: Vec<u8>,
    gzip: gzip::State,
    zstd: zstd::State,
    /// A whole decompressed payload, where somebody wants records that borrow from it.
    plain: Vec<u8>,
}

impl Scratch {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts to decompress `compressed`.
    pub(super) fn open<'s>(
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
        Ok(Payload {
            codec,
            stream,
            window: &mut self.window,
            filled: 0,
            budget,
            left: budget,
        })
    }

    /// Decompresses a whole payload, to be read until the scratch is used again.
    pub(super) fn decompress(
        &mut self,
        codec: Codec,
        compressed: &[u8],
        budget: Budget,
        strict: bool,
    ) -> Result<&[u8], CodecError> {
        let mut plain = std::mem::take(&mut self.plain);
        give_back(&mut plain);
        plain.clear();
        let mut payload = self.open(codec, compressed, budget, strict)?;
        while payload.advance()? {
            plain.extend_from_slice(payload.chunk());
        }
        self.plain = plain;
        self.settle();
        Ok(&self.plain)
    }

    /// Gives back what an odd batch made too large to keep.
    pub(super) fn settle(&mut self) {
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
pub(super) struct Payload<'s> {
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
    pub(super) fn chunk(&self) -> &[u8] {
        self.window.get(..self.filled).unwrap_or_default()
    }

    /// Brings the next chunk, which is not empty; false at the end.
    pub(super) fn advance(&mut self) -> Result<bool, CodecError> {
        self.filled = 0;
        let over = CodecError::OverBudget {
            codec: self.codec,
            budget: self.budget,
        };
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
fn room(window: &mut Vec<u8>, len: usize) -> &mut [u8] {
    if window.len() < len {
        window.resize(len, 0);
    }
    window.get_mut(..len).unwrap_or_default()
}

/// How hard an encoder tries; `None` is the codec's own default, as in Kafka's
/// `compression.<codec>.level`.
pub type Level = Option<i32>;

/// Appends `plain`, compressed, to `out`.
pub fn compress(
    codec: Codec,
    level: Level,
    plain: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    match codec {
        Codec::None => {
            out.extend_from_slice(plain);
            Ok(())
        }
        Codec::Gzip => gzip::compress(level, plain, out),
        Codec::Snappy => snappy::compress(plain, out),
        Codec::Lz4 => lz4::compress(plain, out),
        Codec::Zstd => zstd::compress(level, plain, out),
    }
}
