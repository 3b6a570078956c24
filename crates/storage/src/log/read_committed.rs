//! Reading for those who want committed records only: batches, and which transactions among them
//! were aborted, out of one and the same view of the log.

use std::sync::Arc;

use milena_protocol::{Offset, records::BatchHeader};

use super::{
    Log, Segments,
    read::{Limit, Piece, ReadError, ReadPlan},
};
use crate::index::AbortedTransaction;

impl Log {
    /// What [`Log::read`] gives below the last stable offset, and the aborted transactions that its
    /// reader has to know, maybe some more.
    pub fn read_committed(
        &self,
        from: Offset,
        last_stable: Offset,
        limit: Limit,
    ) -> Result<(ReadPlan, Vec<AbortedTransaction>), ReadError> {
        loop {
            let before = self.segments.load_full();
            let plan = self.read(from, last_stable, limit)?;
            if plan.pieces.is_empty() {
                return Ok((plan, Vec::new()));
            }
            let to = self.end_of(&plan, &before).min(last_stable);
            let aborted = self.aborted_transactions(from, to);
            // Compaction forgets a transaction together with its records; these are planned from
            // before it, or from after it, but nobody can tell.
            if is_same(&before, &self.segments.load(), from, to) {
                return Ok((plan, aborted?));
            }
        }
    }

    /// An offset behind the plan's last batch, and not far behind it.
    fn end_of(&self, plan: &ReadPlan, segments: &Segments) -> Offset {
        let last = plan.pieces.last();
        if let Some(Piece::Memory(bytes)) = last {
            return BatchHeader::read(bytes).map_or(Offset(i64::MAX), |h| h.next_offset());
        }
        let (Some((segment, _)), Some(Piece::File { position, len, .. })) = (&plan.source, last)
        else {
            return Offset(i64::MAX);
        };
        let end = u32::try_from(position + *len as u64).unwrap_or(u32::MAX);
        let indexed = self.shared.files.get(segment).ok().and_then(|open| {
            let indexes = open.indexes();
            indexes.offsets.entries().first_from_position(end)
        });
        let next = segments.iter().find(|next| next.base_offset() > segment.base_offset());
        let of_next = next.map(|next| next.base_offset());
        indexed.map(|entry| entry.offset.next()).or(of_next).unwrap_or(Offset(i64::MAX))
    }
}

/// Whether both views have the same segments of `[from, to)`; what comes and goes beside it does
/// not matter.
fn is_same(before: &Segments, after: &Segments, from: Offset, to: Offset) -> bool {
    let within = |segments: &Segments| {
        let first = segments.partition_point(|s| s.base_offset() <= from).saturating_sub(1);
        let end = segments.partition_point(|s| s.base_offset() < to);
        segments.get(first..end.max(first)).unwrap_or_default().to_vec()
    };
    let (before, after) = (within(before), within(after));
    before.len() == after.len() && before.iter().zip(&after).all(|(a, b)| Arc::ptr_eq(a, b))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::segment::{Folder, Segment};

    #[test]
    fn views_differ_where_a_segment_in_between_was_replaced() {
        let folder = Arc::new(Folder::new(Path::new("/log"), true));
        let segment = |base| Arc::new(Segment::new(&folder, Offset(base)));
        let before: Segments = [0, 10, 20, 30].map(segment).to_vec();
        let is_same = |after: &Segments| is_same(&before, after, Offset(12), Offset(25));
        let mut rolled = before.clone();
        rolled.push(segment(40));
        assert!(is_same(&rolled) && is_same(&before[1..].to_vec()), "beside what is read");
        let mut compacted = before.clone();
        compacted[2] = segment(20);
        assert!(!is_same(&compacted));
        compacted.splice(1..3, [segment(10)]);
        assert!(!is_same(&compacted), "two became one");
        assert!(!is_same(&before[2..].to_vec()), "the first that is read is gone");
    }
}
