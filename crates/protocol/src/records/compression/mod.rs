//! The four codecs of Kafka, each decoded as a stream of bounded chunks and encoded in one go.
//!
//! Nothing here is sized by a number that came over the wire unless the bytes at hand can hold
//! what the number claims and the batch's budget has room for it. What a thread needs again and
//! again lies in its [`Scratch`].

mod gzip;
mod lz4;
mod scratch;
mod snappy;
#[cfg(test)]
mod test;
mod zstd;

pub(super) use scratch::Payload;
pub use scratch::Scratch;

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
        usize::try_from(id).ok().and_then(|id| Self::ALL.get(id).copied())
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
        Self { bytes_min: 64 << 20, ratio_max: 64 }
    }
}

impl Budget {
    /// No more than so many bytes.
    #[must_use]
    pub const fn bytes(bytes: usize) -> Self {
        Self { bytes_min: bytes, ratio_max: 0 }
    }

    fn limit(self, compressed_len: usize) -> usize {
        self.bytes_min.max(compressed_len.saturating_mul(self.ratio_max))
    }
}

/// How hard an encoder tries; `None` is the codec's own default, as in Kafka's
/// `compression.<codec>.level`.
pub type Level = Option<i32>;

/// All of what was compressed, where that is not the records of a batch.
pub fn decompress(codec: Codec, compressed: &[u8], budget: Budget) -> Result<Vec<u8>, CodecError> {
    let mut plain = Vec::new();
    Scratch::new().decompress_to(codec, compressed, budget, false, &mut plain)?;
    Ok(plain)
}

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
