//! Zstandard, decoded through one context that a thread keeps.
//!
//! A frame may ask for a window of up to 128 MiB, since Java's levels 20 to 22 write such frames
//! whatever they hold. The window is reserved but only touched as far as bytes really come out:
//! how far that may be is bounded, and a context that grew is given back.

use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer, ResetDirective, compress_bound,
};

use super::scratch::{KEPT_LEN_MAX, WINDOW_LEN, room};
use super::{Codec, CodecError, Level};

/// As in Kafka's own decoder: 128 MiB.
const WINDOW_LOG_MAX: u32 = 27;
/// Frames with a larger window than this may not become longer than this: 32 MiB. It is what a
/// frame can make a thread hold; a 1 MiB batch of level 22 would have to shrink 32-fold to need it.
const WINDOW_FILLED_MAX: usize = 32 << 20;
/// A context whose own window bounds it: 32 MiB and what zstd needs beside it.
const CONTEXT_BOUNDED: usize = WINDOW_FILLED_MAX + (1 << 20);
/// `ZSTD_error_frameParameter_windowTooLarge`, as a negated `size_t`.
const WINDOW_TOO_LARGE: usize = 16_usize.wrapping_neg();
/// Kafka's default level.
const LEVEL: i32 = 3;
/// A context of level 3 with its 2 MiB window is kept.
const CONTEXT_LEN_MAX: usize = 4 * KEPT_LEN_MAX;

const fn corrupt(why: &'static str) -> CodecError {
    CodecError::Corrupt { codec: Codec::Zstd, why }
}

/// The decoder that a thread keeps.
#[derive(Default)]
pub(super) struct State(Option<DCtx<'static>>);

impl State {
    pub(super) fn give_back(&mut self) {
        if self.0.as_ref().is_some_and(|decoder| decoder.sizeof() > CONTEXT_LEN_MAX) {
            self.0 = None;
        }
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("State").field(&self.0.is_some()).finish()
    }
}

pub(super) struct Reader<'s> {
    input: InBuffer<'s>,
    decoder: &'s mut DCtx<'static>,
    in_frame: bool,
    passed: usize,
}

impl std::fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("at", &self.input.pos()).finish_non_exhaustive()
    }
}

impl<'s> Reader<'s> {
    pub(super) fn new(input: &'s [u8], state: &'s mut State) -> Result<Self, CodecError> {
        let decoder = match &mut state.0 {
            Some(decoder) => decoder,
            none => none.insert(DCtx::try_create().ok_or(corrupt("no memory for a decoder"))?),
        };
        decoder
            .reset(ResetDirective::SessionOnly)
            .and_then(|_| decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX)))
            .map_err(|_| corrupt("decoder refuses its parameters"))?;
        Ok(Self { input: InBuffer::around(input), decoder, in_frame: true, passed: 0 })
    }

    pub(super) fn fill(
        &mut self,
        window: &mut Vec<u8>,
        over: CodecError,
    ) -> Result<usize, CodecError> {
        let window = room(window, WINDOW_LEN);
        loop {
            let taken_before = self.input.pos();
            if taken_before == self.input.src.len() && !self.in_frame {
                return Ok(0);
            }
            let mut output = OutBuffer::around(&mut *window);
            let hint =
                self.decoder.decompress_stream(&mut output, &mut self.input).map_err(|code| {
                    if code == WINDOW_TOO_LARGE { over } else { corrupt("invalid frame") }
                })?;
            self.in_frame = hint != 0;
            let filled = output.pos();
            self.passed += filled;
            if self.passed > WINDOW_FILLED_MAX && self.decoder.sizeof() > CONTEXT_BOUNDED {
                return Err(over);
            }
            if filled > 0 {
                return Ok(filled);
            }
            if self.input.pos() == taken_before {
                return Err(corrupt("ends in the middle"));
            }
        }
    }
}

pub(super) fn compress(level: Level, plain: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
    let failed = |_| CodecError::Encode { codec: Codec::Zstd, why: "the encoder failed" };
    let mut encoder = CCtx::create();
    encoder.set_parameter(CParameter::CompressionLevel(level.unwrap_or(LEVEL))).map_err(failed)?;
    let start = out.len();
    out.resize(start + compress_bound(plain.len()), 0);
    let target = out.get_mut(start..).unwrap_or_default();
    let len = encoder.compress2(target, plain).map_err(failed)?;
    out.truncate(start + len);
    Ok(())
}
