//! LZ4 frames with independent blocks, the only kind that Kafka's own clients read.
//!
//! Old clients that wrote magic 0 counted the header's checksum over the frame's magic too;
//! where those are read the checksum is not looked at, as Kafka does.

use std::hash::Hasher;

use twox_hash::XxHash32;

use super::scratch::room;
use super::{Codec, CodecError};

const MAGIC: [u8; 4] = 0x184d_2204_u32.to_le_bytes();
const FLAG_VERSION: u8 = 0xc0;
const VERSION_1: u8 = 0x40;
const FLAG_INDEPENDENT: u8 = 0x20;
const FLAG_BLOCK_CHECKSUM: u8 = 0x10;
const FLAG_CONTENT_SIZE: u8 = 0x08;
const FLAG_CONTENT_CHECKSUM: u8 = 0x04;
const FLAGS_RESERVED: u8 = 0x03;
/// Set in a block's length where the block is stored as it is.
const STORED: u32 = 0x8000_0000;
/// The block size that we write: number 4 in the header stands for 64 KiB.
const BLOCK_LEN: usize = 64 << 10;
const BLOCK_LEN_ID: u8 = 4;
/// One byte of a match length adds at most 255.
const RATIO_MAX: usize = 255;

const fn corrupt(why: &'static str) -> CodecError {
    CodecError::Corrupt { codec: Codec::Lz4, why }
}

#[derive(Debug)]
pub(super) struct Reader<'s> {
    input: &'s [u8],
    block_len_max: usize,
    block_checksum: bool,
    content: Option<XxHash32>,
    done: bool,
}

impl<'s> Reader<'s> {
    pub(super) fn new(input: &'s [u8], strict: bool) -> Result<Self, CodecError> {
        let cut = corrupt("ends in its header");
        let frame = input.strip_prefix(&MAGIC).ok_or(corrupt("not an lz4 frame"))?;
        let [flags, sizes] = *frame.first_chunk::<2>().ok_or(cut)?;
        if flags & FLAG_VERSION != VERSION_1 || flags & FLAGS_RESERVED != 0 {
            return Err(corrupt("unknown version or flags"));
        }
        if flags & FLAG_INDEPENDENT == 0 {
            return Err(corrupt("dependent blocks"));
        }
        let block_len_max = match sizes {
            0x40 => 64 << 10,
            0x50 => 256 << 10,
            0x60 => 1 << 20,
            0x70 => 4 << 20,
            _ => return Err(corrupt("unknown block size")),
        };
        let descriptor_len = if flags & FLAG_CONTENT_SIZE == 0 { 2 } else { 10 };
        let (descriptor, rest) = frame.split_at_checked(descriptor_len).ok_or(cut)?;
        let (checksum, rest) = rest.split_first().ok_or(cut)?;
        if strict && *checksum != header_checksum(descriptor) {
            return Err(corrupt("header checksum does not match"));
        }
        Ok(Self {
            input: rest,
            block_len_max,
            block_checksum: flags & FLAG_BLOCK_CHECKSUM != 0,
            content: (flags & FLAG_CONTENT_CHECKSUM != 0).then(|| XxHash32::with_seed(0)),
            done: false,
        })
    }

    pub(super) fn fill(&mut self, window: &mut Vec<u8>) -> Result<usize, CodecError> {
        while !self.done {
            let word = self.word()?;
            if word == 0 {
                self.end_frame()?;
                break;
            }
            let len = (word & !STORED) as usize;
            if len > self.block_len_max {
                return Err(corrupt("block larger than its frame allows"));
            }
            let (block, rest) =
                self.input.split_at_checked(len).ok_or(corrupt("ends in the middle"))?;
            self.input = rest;
            if self.block_checksum && self.word()? != XxHash32::oneshot(0, block) {
                return Err(corrupt("block checksum does not match"));
            }
            let filled = if word & STORED == 0 {
                let possible = self.block_len_max.min(block.len().saturating_mul(RATIO_MAX));
                lz4_flex::block::decompress_into(block, room(window, possible))
                    .map_err(|_| corrupt("invalid block"))?
            } else {
                room(window, len).copy_from_slice(block);
                len
            };
            if let Some(content) = &mut self.content {
                content.write(window.get(..filled).unwrap_or_default());
            }
            if filled > 0 {
                return Ok(filled);
            }
        }
        Ok(0)
    }

    fn end_frame(&mut self) -> Result<(), CodecError> {
        if let Some(content) = self.content.take()
            && self.word()? != content.finish() as u32
        {
            return Err(corrupt("content checksum does not match"));
        }
        if !self.input.is_empty() {
            return Err(corrupt("bytes behind the frame"));
        }
        self.done = true;
        Ok(())
    }

    fn word(&mut self) -> Result<u32, CodecError> {
        let (word, rest) =
            self.input.split_first_chunk::<4>().ok_or(corrupt("ends in the middle"))?;
        self.input = rest;
        Ok(u32::from_le_bytes(*word))
    }
}

fn header_checksum(descriptor: &[u8]) -> u8 {
    (XxHash32::oneshot(0, descriptor) >> 8) as u8
}

/// Writes what Kafka's Java client writes: blocks of 64 KiB without checksums. There is one speed
/// only: the format has no level, and this encoder has none to choose.
pub(super) fn compress(plain: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
    let descriptor = [VERSION_1 | FLAG_INDEPENDENT, BLOCK_LEN_ID << 4];
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&descriptor);
    out.push(header_checksum(&descriptor));
    let len_max = lz4_flex::block::get_maximum_output_size(plain.len().min(BLOCK_LEN));
    let mut block = vec![0; len_max];
    for chunk in plain.chunks(BLOCK_LEN) {
        let len = lz4_flex::block::compress_into(chunk, &mut block)
            .map_err(|_| CodecError::Encode { codec: Codec::Lz4, why: "block does not fit" })?;
        let (word, bytes) = match block.get(..len) {
            Some(smaller) if len < chunk.len() => (len as u32, smaller),
            _ => (chunk.len() as u32 | STORED, chunk),
        };
        out.extend_from_slice(&word.to_le_bytes());
        out.extend_from_slice(bytes);
    }
    out.extend_from_slice(&[0; 4]);
    Ok(())
}
