//! Gzip (RFC 1952), as `java.util.zip` reads it: one member or several, each with its checksum.
//!
//! The header is parsed here because the inflater then needs no set-up of its own per batch.

use flate2::{Compress, Compression, Crc, Decompress, FlushCompress, FlushDecompress, Status};

use super::scratch::{WINDOW_LEN, room};
use super::{Codec, CodecError, Level};

const HEADER_LEN: usize = 10;
const TRAILER_LEN: usize = 8;
const FLAG_HEADER_CRC: u8 = 0x02;
const FLAG_EXTRA: u8 = 0x04;
const FLAG_NAME: u8 = 0x08;
const FLAG_COMMENT: u8 = 0x10;
const FLAGS_RESERVED: u8 = 0xe0;

const fn corrupt(why: &'static str) -> CodecError {
    CodecError::Corrupt { codec: Codec::Gzip, why }
}

/// The inflater that a thread keeps.
#[derive(Debug, Default)]
pub(super) struct State(Option<Decompress>);

#[derive(Debug)]
pub(super) struct Reader<'s> {
    input: &'s [u8],
    inflater: &'s mut Decompress,
    crc: Crc,
    in_member: bool,
    started: bool,
}

impl<'s> Reader<'s> {
    pub(super) fn new(input: &'s [u8], state: &'s mut State) -> Self {
        let inflater = state.0.get_or_insert_with(|| Decompress::new(false));
        Self { input, inflater, crc: Crc::new(), in_member: false, started: false }
    }

    pub(super) fn fill(&mut self, window: &mut Vec<u8>) -> Result<usize, CodecError> {
        let window = room(window, WINDOW_LEN);
        loop {
            if !self.in_member {
                if self.started && self.input.is_empty() {
                    return Ok(0);
                }
                self.input = after_header(self.input)?;
                self.inflater.reset(false);
                self.crc.reset();
                (self.in_member, self.started) = (true, true);
            }
            let (in_before, out_before) = (self.inflater.total_in(), self.inflater.total_out());
            let status = self
                .inflater
                .decompress(self.input, window, FlushDecompress::None)
                .map_err(|_| corrupt("invalid deflate data"))?;
            let taken = (self.inflater.total_in() - in_before) as usize;
            let filled = (self.inflater.total_out() - out_before) as usize;
            self.input = self.input.get(taken..).unwrap_or_default();
            self.crc.update(window.get(..filled).unwrap_or_default());
            if status == Status::StreamEnd {
                self.end_member()?;
            } else if filled == 0 {
                return Err(corrupt("ends in the middle"));
            }
            if filled > 0 {
                return Ok(filled);
            }
        }
    }

    fn end_member(&mut self) -> Result<(), CodecError> {
        let (trailer, rest) =
            self.input.split_first_chunk::<TRAILER_LEN>().ok_or(corrupt("no trailer"))?;
        let expected = u64::from(self.crc.sum()) | u64::from(self.crc.amount()) << 32;
        if u64::from_le_bytes(*trailer) != expected {
            return Err(corrupt("checksum or length does not match"));
        }
        self.input = rest;
        self.in_member = false;
        Ok(())
    }
}

/// What follows the member's header at the start of `input`.
fn after_header(input: &[u8]) -> Result<&[u8], CodecError> {
    let cut = corrupt("ends in its header");
    let (header, mut rest) = input.split_first_chunk::<HEADER_LEN>().ok_or(cut)?;
    let [0x1f, 0x8b, 8, flags, ..] = *header else {
        return Err(corrupt("not a gzip header"));
    };
    if flags & FLAGS_RESERVED != 0 {
        return Err(corrupt("reserved flags"));
    }
    if flags & FLAG_EXTRA != 0 {
        let (len, extra) = rest.split_first_chunk::<2>().ok_or(cut)?;
        rest = extra.get(usize::from(u16::from_le_bytes(*len))..).ok_or(cut)?;
    }
    for text in [FLAG_NAME, FLAG_COMMENT] {
        if flags & text != 0 {
            let end = rest.iter().position(|byte| *byte == 0).ok_or(cut)?;
            rest = rest.get(end + 1..).ok_or(cut)?;
        }
    }
    if flags & FLAG_HEADER_CRC != 0 {
        rest = rest.get(2..).ok_or(cut)?;
    }
    Ok(rest)
}

pub(super) fn compress(level: Level, plain: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
    let failed = CodecError::Encode { codec: Codec::Gzip, why: "deflate failed" };
    let level = match level {
        Some(level @ 1..=9) => Compression::new(level as u32),
        _ => Compression::default(),
    };
    let mut crc = Crc::new();
    crc.update(plain);
    out.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
    let mut deflater = Compress::new(level, false);
    let mut input = plain;
    loop {
        out.reserve(input.len() / 2 + 256);
        let taken_before = deflater.total_in();
        let status =
            deflater.compress_vec(input, out, FlushCompress::Finish).map_err(|_| failed)?;
        let taken = (deflater.total_in() - taken_before) as usize;
        input = input.get(taken..).unwrap_or_default();
        if status == Status::StreamEnd {
            break;
        }
    }
    out.extend_from_slice(&crc.sum().to_le_bytes());
    out.extend_from_slice(&crc.amount().to_le_bytes());
    Ok(())
}
