//! Where each leader epoch of a partition began.
//!
//! Replicas agree on where they diverged by asking each other for the end of an epoch, so the
//! answers here are exactly Kafka's. Pure: the text form is `checkpoints`' to load and store. An
//! empty cache costs no allocation, and one with a single entry 16 bytes: most partitions of a
//! large node are idle.

use milena_protocol::{LeaderEpoch, Offset};

/// An epoch and the first offset that was written in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEntry {
    pub epoch: LeaderEpoch,
    pub start_offset: Offset,
}

/// The epochs of one partition. Both epochs and start offsets rise strictly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EpochCache {
    entries: Vec<EpochEntry>,
}

impl EpochCache {
    /// From entries in any order, as if each had been assigned: later ones win over those that
    /// they contradict.
    #[must_use]
    pub fn from_entries(entries: impl IntoIterator<Item = EpochEntry>) -> Self {
        let mut cache = Self::default();
        for entry in entries {
            cache.assign(entry.epoch, entry.start_offset);
        }
        cache
    }

    #[must_use]
    pub fn entries(&self) -> &[EpochEntry] {
        &self.entries
    }

    /// Notes that `epoch` began at `start_offset`; says whether that changed anything.
    ///
    /// The latest epoch keeps its start unless the new one is lower. Entries that the new one
    /// contradicts (at or above it in epoch or offset) are dropped: what they spoke of has been
    /// truncated. A negative epoch or offset, which is how Kafka writes "unknown", is ignored.
    pub fn assign(&mut self, epoch: LeaderEpoch, start_offset: Offset) -> bool {
        let is_known = self
            .latest()
            .is_some_and(|latest| latest.epoch == epoch && latest.start_offset <= start_offset);
        if is_known || epoch.0 < 0 || start_offset.0 < 0 {
            return false;
        }
        let kept = self
            .entries
            .partition_point(|entry| entry.epoch < epoch && entry.start_offset < start_offset);
        self.entries.truncate(kept);
        if self.entries.len() == self.entries.capacity() && kept < 4 {
            self.entries.reserve_exact(1);
        }
        self.entries.push(EpochEntry { epoch, start_offset });
        true
    }

    /// Takes in what a batch of the log says of its epoch. What is known is older or newer than the
    /// batch: where the two differ the batch is right, and later entries are of a log that was cut.
    pub fn confirm(&mut self, epoch: LeaderEpoch, offset: Offset) {
        if self.epoch_for_offset(offset) != Some(epoch) {
            let is_kept = |entry: &EpochEntry| entry.epoch <= epoch && entry.start_offset <= offset;
            let kept = self.entries.partition_point(is_kept);
            self.entries.truncate(kept);
            self.assign(epoch, offset);
        }
    }

    #[must_use]
    pub fn latest(&self) -> Option<EpochEntry> {
        self.entries.last().copied()
    }

    #[must_use]
    pub fn earliest(&self) -> Option<EpochEntry> {
        self.entries.first().copied()
    }

    /// The last entry below `epoch`.
    #[must_use]
    pub fn previous(&self, epoch: LeaderEpoch) -> Option<EpochEntry> {
        let at = self.entries.partition_point(|entry| entry.epoch < epoch);
        self.entries.get(at.checked_sub(1)?).copied()
    }

    /// The first entry above `epoch`.
    #[must_use]
    pub fn next(&self, epoch: LeaderEpoch) -> Option<EpochEntry> {
        let at = self.entries.partition_point(|entry| entry.epoch <= epoch);
        self.entries.get(at).copied()
    }

    /// The greatest known epoch at or below `requested` and where it ended; `None` where nothing
    /// can be said, which Kafka answers with -1 and -1.
    ///
    /// The latest epoch ends at the log's end. A request below every known epoch is answered with
    /// itself and the start of the first known one: what it asks for is gone, and the asker is to
    /// go on from where this log begins.
    #[must_use]
    pub fn end_offset_for(
        &self,
        requested: LeaderEpoch,
        log_end: Offset,
    ) -> Option<(LeaderEpoch, Offset)> {
        if requested == LeaderEpoch::UNKNOWN {
            return None;
        }
        if self.latest().is_some_and(|latest| latest.epoch == requested) {
            return Some((requested, log_end));
        }
        let end = self.next(requested)?.start_offset;
        // `next` of the epoch below is the greatest at or below the requested one.
        let at = self.entries.partition_point(|entry| entry.epoch <= requested);
        let floor = at.checked_sub(1).and_then(|at| self.entries.get(at));
        Some((floor.map_or(requested, |entry| entry.epoch), end))
    }

    /// The epoch in which the record at `offset` was written; `None` below the earliest entry.
    #[must_use]
    pub fn epoch_for_offset(&self, offset: Offset) -> Option<LeaderEpoch> {
        let at = self.entries.partition_point(|entry| entry.start_offset <= offset);
        self.entries.get(at.checked_sub(1)?).map(|entry| entry.epoch)
    }

    /// Drops what began at or above `end`, after the log was cut there. Says whether that
    /// changed anything.
    pub fn truncate_from_end(&mut self, end: Offset) -> bool {
        let before = self.entries.len();
        let kept = self.entries.partition_point(|entry| entry.start_offset < end);
        self.entries.truncate(kept);
        kept != before
    }

    /// Drops what ended at or below `start`, after everything before it was removed. The epoch
    /// that `start` is in now begins there. Says whether that changed anything.
    pub fn truncate_from_start(&mut self, start: Offset) -> bool {
        let ended = self.entries.partition_point(|entry| entry.start_offset <= start);
        let Some(gone) = ended.checked_sub(1) else {
            return false;
        };
        let before = self.earliest();
        self.entries.drain(..gone);
        if let Some(first) = self.entries.first_mut() {
            first.start_offset = start;
        }
        self.earliest() != before
    }

    /// Forgets everything, after a full truncation.
    pub fn clear(&mut self) {
        self.entries = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cache(entries: &[(i32, i64)]) -> EpochCache {
        EpochCache::from_entries(entries.iter().map(|&(epoch, start)| EpochEntry {
            epoch: LeaderEpoch(epoch),
            start_offset: Offset(start),
        }))
    }

    fn pairs(cache: &EpochCache) -> Vec<(i32, i64)> {
        cache.entries().iter().map(|entry| (entry.epoch.0, entry.start_offset.0)).collect()
    }

    fn end(cache: &EpochCache, epoch: i32, log_end: i64) -> Option<(i32, i64)> {
        let (epoch, offset) = cache.end_offset_for(LeaderEpoch(epoch), Offset(log_end))?;
        Some((epoch.0, offset.0))
    }

    #[test]
    fn contradicted_entries_give_way() {
        assert_eq!(pairs(&cache(&[(1, 0), (2, 10), (3, 20)])), [(1, 0), (2, 10), (3, 20)]);
        assert_eq!(pairs(&cache(&[(1, 0), (2, 10), (3, 20), (2, 15)])), [(1, 0), (2, 15)]);
        assert_eq!(pairs(&cache(&[(1, 0), (2, 10), (3, 20), (4, 10)])), [(1, 0), (4, 10)]);
        assert_eq!(pairs(&cache(&[(1, 5), (1, 9)])), [(1, 5)], "an epoch keeps its start");
        assert_eq!(pairs(&cache(&[(1, 5), (1, 3)])), [(1, 3)], "unless it is lower");
        assert_eq!(pairs(&cache(&[(-1, 5), (1, -1)])), [], "unknown is no epoch");
    }

    #[test]
    fn ends_are_kafkas() {
        let cache = cache(&[(2, 5), (4, 20), (7, 30)]);
        assert_eq!(end(&cache, -1, 50), None);
        assert_eq!(end(&cache, 7, 50), Some((7, 50)));
        assert_eq!(end(&cache, 8, 50), None, "an epoch that is still to come");
        assert_eq!(end(&cache, 4, 50), Some((4, 30)));
        assert_eq!(end(&cache, 6, 50), Some((4, 30)));
        assert_eq!(end(&cache, 2, 50), Some((2, 20)));
        assert_eq!(end(&cache, 1, 50), Some((1, 5)), "gone: go on from where the log begins");
        assert_eq!(end(&EpochCache::default(), 0, 50), None);
    }

    #[test]
    fn truncation_keeps_the_epoch_that_is_cut() {
        let mut all = cache(&[(2, 5), (4, 20), (7, 30)]);
        assert!(!all.truncate_from_end(Offset(31)));
        assert!(all.truncate_from_end(Offset(30)));
        assert_eq!(pairs(&all), [(2, 5), (4, 20)]);
        assert!(!all.truncate_from_start(Offset(4)));
        assert!(!all.truncate_from_start(Offset(5)));
        assert!(all.truncate_from_start(Offset(20)));
        assert_eq!(pairs(&all), [(4, 20)]);
        assert!(all.truncate_from_start(Offset(25)));
        assert_eq!(pairs(&all), [(4, 25)]);
    }

    #[test]
    fn a_batch_confirms_or_corrects_what_is_known() {
        let mut known = cache(&[(1, 0), (4, 40), (6, 60)]);
        for (epoch, offset) in [(4, 43), (4, 59), (6, 60), (6, 61)] {
            known.confirm(LeaderEpoch(epoch), Offset(offset));
        }
        assert_eq!(pairs(&known), [(1, 0), (4, 40), (6, 60)], "confirmed from the middle on");
        known.confirm(LeaderEpoch(4), Offset(61));
        assert_eq!(pairs(&known), [(1, 0), (4, 40)], "6 was cut off, and 4 went on");
        known.confirm(LeaderEpoch(7), Offset(70));
        assert_eq!(pairs(&known), [(1, 0), (4, 40), (7, 70)]);
    }

    #[test]
    fn an_idle_partition_pays_for_one_entry() {
        assert_eq!(EpochCache::default().entries.capacity(), 0);
        assert_eq!(cache(&[(0, 0)]).entries.capacity(), 1);
    }

    /// A log as the plainest list: the epoch of every offset from `start` on.
    #[derive(Debug)]
    struct Model {
        start: i64,
        epochs: Vec<i32>,
    }

    impl Model {
        fn end(&self) -> i64 {
            self.start + self.epochs.len() as i64
        }

        fn epoch_at(&self, offset: i64) -> Option<i32> {
            let at = usize::try_from(offset - self.start).ok()?;
            self.epochs.get(at).copied()
        }

        fn end_of(&self, epoch: i32) -> Option<(i32, i64)> {
            let last = *self.epochs.last()?;
            if epoch == last {
                return Some((epoch, self.end()));
            }
            let above = self.epochs.iter().position(|&other| other > epoch)?;
            let floor = self.epochs.iter().copied().filter(|&other| other <= epoch).max();
            Some((floor.unwrap_or(epoch), self.start + above as i64))
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Append { raise: i32, records: usize },
        CutEnd(f64),
        CutStart(f64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (0..3_i32, 1..6_usize)
                .prop_map(|(raise, records)| Step::Append { raise, records }),
            1 => (0.0..1.0).prop_map(Step::CutEnd),
            1 => (0.0..1.0).prop_map(Step::CutStart),
        ];
        prop::collection::vec(step, 1..40)
    }

    proptest! {
        #[test]
        fn answers_like_a_list_of_every_offsets_epoch(steps in steps()) {
            let mut cache = EpochCache::default();
            let mut model = Model { start: 0, epochs: Vec::new() };
            let mut epoch = 0;
            for step in steps {
                match step {
                    Step::Append { raise, records } => {
                        epoch += raise;
                        cache.assign(LeaderEpoch(epoch), Offset(model.end()));
                        model.epochs.extend(vec![epoch; records]);
                    }
                    Step::CutEnd(share) => {
                        let kept = (model.epochs.len() as f64 * share) as usize;
                        model.epochs.truncate(kept);
                        cache.truncate_from_end(Offset(model.end()));
                    }
                    Step::CutStart(share) => {
                        let gone = (model.epochs.len() as f64 * share) as usize;
                        model.epochs.drain(..gone);
                        model.start += gone as i64;
                        cache.truncate_from_start(Offset(model.start));
                    }
                }
                for offset in model.start..model.end() {
                    let found = cache.epoch_for_offset(Offset(offset)).map(|epoch| epoch.0);
                    prop_assert_eq!(found, model.epoch_at(offset));
                }
                // A log cut to nothing may still know the epoch that it was cut in.
                if !model.epochs.is_empty() {
                    for asked in -1..epoch + 2 {
                        let expected = if asked < 0 { None } else { model.end_of(asked) };
                        prop_assert_eq!(end(&cache, asked, model.end()), expected);
                    }
                }
                let rising = cache.entries().windows(2).all(|pair| {
                    pair[0].epoch < pair[1].epoch && pair[0].start_offset < pair[1].start_offset
                });
                prop_assert!(rising, "{:?}", cache);
            }
        }
    }
}
