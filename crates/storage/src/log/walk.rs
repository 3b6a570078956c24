//! Reading a log from one end to the other, for those whose memory is what it says.

use std::io;

use milena_protocol::{
    Offset,
    records::{Batch, BatchError, Batches},
};

use super::{
    Log,
    read::{Limit, ReadError},
};

/// A batch that cannot be believed, or whose bytes are not all there.
#[derive(Debug, thiserror::Error)]
#[error("no whole batch at offset {offset}: {why}")]
pub struct BadBatch {
    pub offset: Offset,
    pub why: BatchError,
}

impl Log {
    /// Hands over every batch of `[from, to)`, proven, and says how far that went: less than `to`
    /// where the last ones were compacted away. Reads so many bytes at a time.
    pub fn walk<E: From<ReadError> + From<io::Error> + From<BadBatch>>(
        &self,
        from: Offset,
        to: Offset,
        bytes_max: usize,
        mut take: impl FnMut(&Batch<'_>) -> Result<(), E>,
    ) -> Result<Offset, E> {
        let mut next = from;
        while next < to {
            let limit = Limit { bytes_max, at_least_one: true };
            let bytes = self.read(next, to, limit)?.read()?;
            if bytes.is_empty() {
                break;
            }
            let before = next;
            let mut batches = Batches::checking(&bytes);
            for batch in &mut batches {
                if batch.header().next_offset() > next {
                    next = batch.header().next_offset();
                    take(&batch)?;
                }
            }
            // The last one may be cut where the reading ended, and is the first of the next.
            let is_bad = |why: &BatchError| !why.is_incomplete() || next == before;
            if let Some(why) = batches.stopped().filter(is_bad) {
                return Err(BadBatch { offset: next, why }.into());
            }
            if next == before {
                break;
            }
        }
        Ok(next)
    }
}
