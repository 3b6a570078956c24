//! The tail of a log: batches that were appended and are not in a segment file yet.
//!
//! A chain of chunks of slots, each filled once. Readers walk it without a lock, while the append
//! fills slots at its end and the journal's writer drops chunks at its beginning.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use milena_protocol::Offset;

const SLOTS: usize = 8;

/// One batch in memory.
#[derive(Clone, Debug)]
pub(crate) struct TailBatch {
    pub base_offset: Offset,
    pub next_offset: Offset,
    pub max_timestamp: i64,
    /// Base offset of the segment that it will lie in.
    pub segment: Offset,
    pub position: u32,
    pub bytes: Bytes,
}

#[derive(Debug, Default)]
struct Chunk {
    slots: [OnceLock<TailBatch>; SLOTS],
    next: OnceLock<Arc<Chunk>>,
}

impl Drop for Chunk {
    /// Takes a long chain apart in a loop, where dropping it link by link would recurse.
    fn drop(&mut self) {
        let mut next = self.next.take();
        while let Some(mut chunk) = next.and_then(Arc::into_inner) {
            next = chunk.next.take();
        }
    }
}

/// The readers' side: where the chain starts.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    head: ArcSwapOption<Chunk>,
}

/// The append's side: where the next batch goes. Lives under the partition's lock.
#[derive(Debug, Default)]
pub(crate) struct TailEnd {
    chunk: Option<Arc<Chunk>>,
    filled: usize,
}

impl Tail {
    /// Adds a batch. Readers may see it at once, and are kept from it by the end offsets alone.
    pub(crate) fn push(&self, end: &mut TailEnd, batch: TailBatch) {
        let chunk = match &end.chunk {
            Some(chunk) if end.filled < SLOTS => Arc::clone(chunk),
            last => {
                let chunk = Arc::new(Chunk::default());
                match last {
                    Some(last) => drop(last.next.set(Arc::clone(&chunk))),
                    None => self.head.store(Some(Arc::clone(&chunk))),
                }
                end.chunk = Some(Arc::clone(&chunk));
                end.filled = 0;
                chunk
            }
        };
        if let Some(slot) = chunk.slots.get(end.filled) {
            let set = slot.set(batch);
            assert!(set.is_ok(), "a slot of the tail is filled once");
        }
        end.filled += 1;
    }

    /// Forgets batches below `offset`, but for a few that share a chunk with later ones.
    /// With `end`, under the partition's lock, an emptied tail is given back whole.
    pub(crate) fn drop_below(&self, offset: Offset, end: &mut TailEnd, appended_end: Offset) {
        if offset >= appended_end {
            self.clear(end);
            return;
        }
        let mut head = self.head.load_full();
        while let Some(chunk) = head {
            let last = chunk.slots.get(SLOTS - 1).and_then(OnceLock::get);
            if last.is_none_or(|b| b.next_offset > offset) {
                self.head.store(Some(chunk));
                return;
            }
            head = chunk.next.get().cloned();
        }
    }

    /// Forgets everything: after a truncation, or when all is in the segments.
    pub(crate) fn clear(&self, end: &mut TailEnd) {
        self.head.store(None);
        *end = TailEnd::default();
    }

    /// Calls `visit` with each batch from the first that ends beyond `offset` on, until it
    /// answers `false`.
    pub(crate) fn visit_from(&self, offset: Offset, mut visit: impl FnMut(&TailBatch) -> bool) {
        let mut head = self.head.load_full();
        while let Some(chunk) = head {
            for slot in &chunk.slots {
                let Some(batch) = slot.get() else { return };
                if batch.next_offset > offset && !visit(batch) {
                    return;
                }
            }
            head = chunk.next.get().cloned();
        }
    }

    /// The lowest offset that can be read from memory.
    pub(crate) fn first_offset(&self) -> Option<Offset> {
        let head = self.head.load();
        head.as_ref()?.slots.first()?.get().map(|b| b.base_offset)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn batch(base: i64) -> TailBatch {
        TailBatch {
            base_offset: Offset(base),
            next_offset: Offset(base + 2),
            max_timestamp: 0,
            segment: Offset::ZERO,
            position: 0,
            bytes: Bytes::new(),
        }
    }

    fn offsets(tail: &Tail, from: i64) -> Vec<i64> {
        let mut seen = Vec::new();
        tail.visit_from(Offset(from), |b| {
            seen.push(b.base_offset.0);
            true
        });
        seen
    }

    #[test]
    fn holds_what_was_pushed_until_it_is_dropped() {
        let (tail, mut end) = (Tail::default(), TailEnd::default());
        let bases: Vec<i64> = (0..50).map(|i| i * 2).collect();
        for &base in &bases {
            tail.push(&mut end, batch(base));
        }
        assert_eq!(offsets(&tail, 0), bases);
        assert_eq!(offsets(&tail, 41), bases[20..], "41 lies in the batch that starts at 40");
        tail.drop_below(Offset(40), &mut end, Offset(100));
        assert_eq!(offsets(&tail, 40), bases[20..], "nothing from 40 on is lost");
        assert!(tail.first_offset().is_some_and(|o| o >= Offset(32)), "whole chunks are gone");
        tail.drop_below(Offset(100), &mut end, Offset(100));
        assert_eq!(tail.first_offset(), None);
        tail.push(&mut end, batch(100));
        assert_eq!(offsets(&tail, 0), [100]);
    }

    #[test]
    fn a_long_chain_is_dropped_without_recursion() {
        let (tail, mut end) = (Tail::default(), TailEnd::default());
        for base in 0..400_000 {
            tail.push(&mut end, batch(base * 2));
        }
        tail.clear(&mut end);
        assert_eq!(tail.first_offset(), None);
    }

    proptest! {
        /// Pushes, and drops below any offset, around the borders of chunks.
        #[test]
        fn answers_like_a_list_of_batches(
            steps in prop::collection::vec((any::<bool>(), 0..20_usize), 1..40),
        ) {
            let (tail, mut end) = (Tail::default(), TailEnd::default());
            let (mut appended, mut dropped) = (0, 0);
            for (is_push, by) in steps {
                if is_push {
                    for _ in 0..by {
                        tail.push(&mut end, batch(appended));
                        appended += 2;
                    }
                } else {
                    dropped = (dropped + by as i64).min(appended);
                    tail.drop_below(Offset(dropped), &mut end, Offset(appended));
                }
                for from in dropped..=appended {
                    let wanted: Vec<i64> =
                        (0..appended).step_by(2).filter(|base| base + 2 > from).collect();
                    prop_assert_eq!(offsets(&tail, from), wanted);
                }
                let first = tail.first_offset().map_or(appended, |first| first.0);
                let kept_in_vain = (dropped - first) / 2;
                prop_assert!(kept_in_vain < SLOTS as i64, "{} in vain", kept_in_vain);
            }
        }
    }
}
