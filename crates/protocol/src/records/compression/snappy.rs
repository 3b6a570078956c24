//! Snappy in the two framings that clients write: xerial's chunks (Java's `SnappyOutputStream`)
//! and one raw block (librdkafka).
//!
//! A block is decoded whole, since its copies may reach anywhere in it; so its claimed length is
//! checked against the budget and against what its bytes can hold before a byte is reserved.

use super::scratch::room;
use super::{Codec, CodecError};

const XERIAL_MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
/// Magic, version and the oldest version that can read it.
const XERIAL_HEADER_LEN: usize = 16;
/// The block size of Java's writer.
const BLOCK_LEN: usize = 32 << 10;
/// A three-byte copy yields at most 64 bytes.
const RATIO_MAX: usize = 22;

const fn corrupt(why: &'static str) -> CodecError {
    CodecError::Corrupt { codec: Codec::Snappy, why }
}

#[derive(Debug)]
pub(super) struct Reader<'s> {
    input: &'s [u8],
    framing: Framing,
}

#[derive(Debug, PartialEq)]
enum Framing {
    Xerial,
    Raw,
    Done,
}

impl<'s> Reader<'s> {
    pub(super) fn new(input: &'s [u8]) -> Self {
        match input.strip_prefix(&XERIAL_MAGIC) {
            Some(rest) if input.len() >= XERIAL_HEADER_LEN => {
                let input = rest.get(XERIAL_HEADER_LEN - XERIAL_MAGIC.len()..).unwrap_or_default();
                Self { input, framing: Framing::Xerial }
            }
            _ => Self { input, framing: Framing::Raw },
        }
    }

    pub(super) fn fill(
        &mut self,
        window: &mut Vec<u8>,
        left: usize,
        over: CodecError,
    ) -> Result<usize, CodecError> {
        while let Some(block) = self.next_block(left, over)? {
            let claimed =
                snap::raw::decompress_len(block).map_err(|_| corrupt("no block length"))?;
            if claimed > left {
                return Err(over);
            }
            if claimed > block.len().saturating_mul(RATIO_MAX) {
                return Err(corrupt("block claims more than it can hold"));
            }
            if claimed > 0 {
                return snap::raw::Decoder::new()
                    .decompress(block, room(window, claimed))
                    .map_err(|_| corrupt("invalid block"));
            }
        }
        Ok(0)
    }

    fn next_block(
        &mut self,
        left: usize,
        over: CodecError,
    ) -> Result<Option<&'s [u8]>, CodecError> {
        match self.framing {
            Framing::Done => Ok(None),
            Framing::Raw if self.input.is_empty() => Err(corrupt("empty")),
            Framing::Raw => {
                self.framing = Framing::Done;
                Ok(Some(self.input))
            }
            Framing::Xerial if self.input.is_empty() => Ok(None),
            Framing::Xerial => {
                let (len, rest) =
                    self.input.split_first_chunk::<4>().ok_or(corrupt("ends in a chunk length"))?;
                let len = u32::from_be_bytes(*len) as usize;
                if len > left.max(BLOCK_LEN * 2) {
                    return Err(over);
                }
                let (block, rest) =
                    rest.split_at_checked(len).ok_or(corrupt("ends in the middle"))?;
                self.input = rest;
                Ok(Some(block))
            }
        }
    }
}

/// Writes xerial's framing, which every client reads.
pub(super) fn compress(plain: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
    out.extend_from_slice(&XERIAL_MAGIC);
    out.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
    let mut encoder = snap::raw::Encoder::new();
    let mut block = vec![0; snap::raw::max_compress_len(plain.len().min(BLOCK_LEN))];
    for chunk in plain.chunks(BLOCK_LEN) {
        let len = encoder
            .compress(chunk, &mut block)
            .map_err(|_| CodecError::Encode { codec: Codec::Snappy, why: "block does not fit" })?;
        out.extend_from_slice(&(len as u32).to_be_bytes());
        out.extend_from_slice(block.get(..len).unwrap_or_default());
    }
    Ok(())
}
