//! A batch in another codec, where a topic's `compression.type` asks for one.

use super::batch::Batch;
use super::builder::{BuildError, write_batch};
use super::compression::{Budget, Codec, CodecError, Level, Scratch};
use super::header::BatchHeader;

/// Writes `batch` with its records in `target`'s encoding behind what `out` holds. The records
/// themselves are not looked at: whoever calls has validated them, and asks again whether the
/// batch that came out is not too large.
pub fn recompress(
    batch: &Batch<'_>,
    target: Codec,
    level: Level,
    budget: Budget,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) -> Result<BatchHeader, BuildError> {
    let id = batch.header().attributes.codec_id();
    let codec = Codec::from_id(id).ok_or(CodecError::Unknown(id))?;
    let plain = match codec {
        Codec::None => batch.payload(),
        _ => scratch.decompress(codec, batch.payload(), budget, true)?,
    };
    write_batch(batch.header(), target, level, plain, out)
}
