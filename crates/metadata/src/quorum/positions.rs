//! Where each of Raft's entries lies: its index against its offset. Kept in memory; made from the
//! log at the start, beginning with what lies beside the snapshot.

/// One entry for each batch of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Positions {
    /// The index of the first entry that is there.
    first_index: u64,
    /// Where each begins.
    base_offsets: Vec<i64>,
    /// Where the last one ends.
    end_offset: i64,
}

impl Positions {
    pub(super) const fn new(first_index: u64, first_offset: i64) -> Self {
        Self { first_index, base_offsets: Vec::new(), end_offset: first_offset }
    }

    pub(super) const fn first_index(&self) -> u64 {
        self.first_index
    }

    /// The index of the next entry.
    pub(super) const fn next_index(&self) -> u64 {
        self.first_index + self.base_offsets.len() as u64
    }

    /// The offset of the next entry.
    pub(super) const fn end_offset(&self) -> i64 {
        self.end_offset
    }

    pub(super) fn push(&mut self, end_offset: i64) {
        self.base_offsets.push(self.end_offset);
        self.end_offset = end_offset;
    }

    /// Where an entry begins, or would begin if it is the next.
    pub(super) fn base_offset(&self, index: u64) -> Option<i64> {
        if index == self.next_index() {
            return Some(self.end_offset);
        }
        let at = usize::try_from(index.checked_sub(self.first_index)?).ok()?;
        self.base_offsets.get(at).copied()
    }

    /// The offset after an entry's last record.
    pub(super) fn end_of(&self, index: u64) -> Option<i64> {
        (index < self.next_index()).then(|| self.base_offset(index + 1)).flatten()
    }

    /// Forgets the entries from `index` on.
    pub(super) fn truncate(&mut self, index: u64) {
        if let Some(end) = self.base_offset(index) {
            self.end_offset = end;
            self.base_offsets.truncate((index - self.first_index) as usize);
        }
    }

    /// Forgets the entries below `index`.
    pub(super) fn drop_below(&mut self, index: u64) {
        let index = index.min(self.next_index());
        if let Some(count) = index.checked_sub(self.first_index) {
            self.base_offsets.drain(..count as usize);
            self.first_index = index;
        }
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn entries_are_found_wherever_the_log_was_cut() {
        let mut positions = Positions::new(5, 100);
        for end in [101, 110, 111] {
            positions.push(end);
        }
        assert_eq!((positions.next_index(), positions.end_offset()), (8, 111));
        assert_eq!(positions.base_offset(6), Some(101));
        assert_eq!(positions.end_of(6), Some(110));
        assert_eq!((positions.base_offset(8), positions.end_of(8)), (Some(111), None));
        positions.drop_below(6);
        assert_eq!((positions.base_offset(5), positions.base_offset(6)), (None, Some(101)));
        positions.truncate(7);
        assert_eq!((positions.next_index(), positions.end_offset()), (7, 110));
        positions.drop_below(99);
        assert_eq!((positions.first_index(), positions.end_offset()), (7, 110));
    }
}
