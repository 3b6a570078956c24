//! `.index`: where in a segment an offset is to be sought.

use milena_protocol::Offset;

use super::{
    Entries, IndexError, check_length, entry_at, field, partition_point, relative,
    without_zero_tail,
};
use crate::names::{FileKind, SegmentFile};

const ENTRY_LEN: usize = 8;

/// A batch's last offset and where the batch starts in the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetPosition {
    pub offset: Offset,
    pub position: u32,
}

/// Looks offsets up in the bytes of an index that was checked once.
#[derive(Clone, Copy, Debug)]
pub struct OffsetEntries<'a> {
    base_offset: Offset,
    bytes: &'a [u8],
}

impl<'a> OffsetEntries<'a> {
    /// Over the whole of a file or any prefix of its entries. A zero tail must be gone.
    #[must_use]
    pub const fn new(base_offset: Offset, bytes: &'a [u8]) -> Self {
        Self { base_offset, bytes }
    }

    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len() / ENTRY_LEN
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[must_use]
    pub fn get(&self, at: usize) -> Option<OffsetPosition> {
        (at < self.len()).then(|| {
            let (relative, position) = read(self.bytes, at);
            OffsetPosition { offset: self.base_offset.plus(i64::from(relative)), position }
        })
    }

    #[must_use]
    pub fn last(&self) -> Option<OffsetPosition> {
        self.get(self.len().checked_sub(1)?)
    }

    /// The greatest entry at or below `target`; the segment's start where there is none.
    #[must_use]
    pub fn look_up(&self, target: Offset) -> OffsetPosition {
        let start = OffsetPosition { offset: self.base_offset, position: 0 };
        let above = self.count_below(target.next());
        above.checked_sub(1).and_then(|at| self.get(at)).unwrap_or(start)
    }

    /// The first entry whose position is at or beyond `position`: a read may end there.
    #[must_use]
    pub fn first_from_position(&self, position: u32) -> Option<OffsetPosition> {
        self.get(partition_point(self.len(), |at| read(self.bytes, at).1 < position))
    }

    fn count_below(&self, offset: Offset) -> usize {
        let wanted = offset.0.saturating_sub(self.base_offset.0);
        partition_point(self.len(), |at| i64::from(read(self.bytes, at).0) < wanted)
    }
}

fn read(bytes: &[u8], at: usize) -> (u32, u32) {
    let entry = entry_at::<ENTRY_LEN>(bytes, at);
    (u32::from_be_bytes(field(&entry, 0)), u32::from_be_bytes(field(&entry, 4)))
}

/// The offset index of a segment that is being appended to.
#[derive(Clone, Debug)]
pub struct OffsetIndex {
    file: SegmentFile,
    entries: Entries<ENTRY_LEN>,
}

impl OffsetIndex {
    #[must_use]
    pub fn new(base_offset: Offset) -> Self {
        let file = SegmentFile::live(base_offset, FileKind::OffsetIndex);
        Self { file, entries: Entries::default() }
    }

    /// Checks every entry of a file; `log_len` is the length of the segment it speaks of.
    ///
    /// Where the file has a zero tail, it is to be cut to [`Self::len_bytes`].
    pub fn parse(base_offset: Offset, bytes: &[u8], log_len: u64) -> Result<Self, IndexError> {
        let file = SegmentFile::live(base_offset, FileKind::OffsetIndex);
        check_length::<ENTRY_LEN>(file, bytes)?;
        let used = without_zero_tail::<ENTRY_LEN>(bytes);
        let mut last = None;
        for at in 0..used.len() / ENTRY_LEN {
            let (relative, position) = read(used, at);
            let reason = if relative > i32::MAX as u32 {
                "its offset is not within 2^31 of the segment's base"
            } else if last.is_some_and(|(last, _)| relative <= last) {
                "its offset does not rise"
            } else if last.is_some_and(|(_, last)| position <= last) {
                "its position does not rise"
            } else if u64::from(position) >= log_len {
                "its position is beyond the end of the log"
            } else {
                last = Some((relative, position));
                continue;
            };
            return Err(IndexError::Entry { file, entry: at, reason });
        }
        Ok(Self { file, entries: Entries::from_file(used) })
    }

    #[must_use]
    pub fn entries(&self) -> OffsetEntries<'_> {
        OffsetEntries::new(self.file.base_offset, &self.entries.bytes)
    }

    /// Adds the batch that starts at `position` and whose last record is at `last_offset`.
    pub fn append(&mut self, last_offset: Offset, position: u32) -> Result<(), IndexError> {
        let relative = relative(self.file, last_offset)?;
        if let Some(last) = self.entries().last()
            && (last_offset <= last.offset || position <= last.position)
        {
            let (file, last) = (self.file, last.offset);
            return Err(IndexError::OutOfOrder { file, offset: last_offset, last });
        }
        let entry = u64::from(relative) << 32 | u64::from(position);
        self.entries.push(entry.to_be_bytes());
        Ok(())
    }

    /// Whether one more entry would exceed `segment.index.bytes`: time for a new segment.
    #[must_use]
    pub const fn is_full(&self, index_bytes_max: usize) -> bool {
        self.entries.bytes.len() + ENTRY_LEN > index_bytes_max
    }

    #[must_use]
    pub const fn len_bytes(&self) -> u64 {
        self.entries.bytes.len() as u64
    }

    /// Drops entries at or above `offset`; the file is then to be cut to [`Self::len_bytes`].
    pub fn truncate_to(&mut self, offset: Offset) {
        let kept = self.entries().count_below(offset);
        self.entries.truncate(kept);
    }

    /// Where in the file the bytes belong that it does not have yet, and those bytes.
    #[must_use]
    pub fn unwritten(&self) -> (u64, &[u8]) {
        self.entries.unwritten()
    }

    /// Notes that the file has everything.
    pub fn mark_written(&mut self) {
        self.entries.mark_written();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASE: Offset = Offset(1_000);

    fn index(entries: &[(i64, u32)]) -> OffsetIndex {
        let mut index = OffsetIndex::new(BASE);
        for &(offset, position) in entries {
            index.append(Offset(offset), position).unwrap();
        }
        index
    }

    #[test]
    fn bytes_are_kafkas() {
        let index = index(&[(1_005, 4_096), (1_300, 9_000)]);
        assert_eq!(
            index.unwritten(),
            (0, &[0, 0, 0, 5, 0, 0, 16, 0, 0, 0, 1, 44, 0, 0, 35, 40][..])
        );
    }

    #[test]
    fn refuses_what_does_not_rise() {
        let mut index = index(&[(1_005, 4_096)]);
        for (offset, position) in [(1_005, 5_000), (1_004, 5_000), (1_006, 4_096)] {
            let error = index.append(Offset(offset), position).unwrap_err();
            assert!(matches!(error, IndexError::OutOfOrder { .. }), "{error}");
        }
        for offset in [999, 1_000 + (1 << 31)] {
            let error = index.append(Offset(offset), 5_000).unwrap_err();
            assert!(matches!(error, IndexError::OutOfRange { .. }), "{error}");
        }
        index.append(Offset(999 + (1 << 31)), 5_000).unwrap();
        assert!(index.is_full(16) && index.is_full(23) && !index.is_full(24));
    }

    #[test]
    fn writes_only_what_the_file_lacks() {
        let mut index = index(&[(1_005, 4_096), (1_300, 9_000)]);
        index.mark_written();
        index.append(Offset(1_400), 13_000).unwrap();
        assert_eq!(index.unwritten().0, 16);
        index.truncate_to(Offset(1_300));
        assert_eq!((index.len_bytes(), index.unwritten()), (8, (8, &[][..])));
    }

    #[test]
    fn a_preallocated_file_of_a_dead_kafka_is_read_to_its_last_entry() {
        let mut bytes = index(&[(1_005, 4_096), (1_300, 9_000)]).unwritten().1.to_vec();
        bytes.resize(10 * 1024, 0);
        let read = OffsetIndex::parse(BASE, &bytes, 10_000).unwrap();
        assert_eq!((read.entries().len(), read.len_bytes()), (2, 16));
        let empty = OffsetIndex::parse(BASE, &[0; 1024], 10_000).unwrap();
        assert_eq!(empty.entries().look_up(Offset(1_500)).position, 0);
    }

    #[test]
    fn fault_15_a_rotten_offset_index_is_recognised() {
        let good = index(&[(1_005, 4_096), (1_300, 9_000)]).unwritten().1.to_vec();
        let parse = |bytes: &[u8]| OffsetIndex::parse(BASE, bytes, 9_001).map(|_| ());
        assert_eq!(parse(&good), Ok(()));
        assert!(matches!(parse(&good[..15]), Err(IndexError::Length { len: 15, .. })));
        let swapped = [&good[8..], &good[..8]].concat();
        let hole = [&good[..8], &[0; 8], &good[8..]].concat();
        let negative = [&[0x80, 0, 0, 0, 0, 0, 0, 1][..], &good].concat();
        for bytes in [&swapped, &hole, &negative] {
            assert!(matches!(parse(bytes), Err(IndexError::Entry { .. })));
        }
        let error = OffsetIndex::parse(BASE, &good, 9_000).unwrap_err();
        assert_eq!(
            error.to_string(),
            "00000000000000001000.index: entry 1 is corrupt: its position is beyond the end of \
             the log"
        );
    }

    fn rising() -> impl Strategy<Value = Vec<(i64, u32)>> {
        prop::collection::vec((1..50_i64, 1..5_000_u32), 0..60).prop_map(|steps| {
            let (mut offset, mut position) = (BASE.0 - 1, 0);
            steps
                .into_iter()
                .map(|(offsets, bytes)| {
                    offset += offsets;
                    position += bytes;
                    (offset, position)
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn finds_what_a_scan_finds(entries in rising(), target in 900..5_000_i64, from: u16) {
            let index = index(&entries);
            let found = index.entries().look_up(Offset(target));
            let scanned = entries.iter().rev().find(|entry| entry.0 <= target);
            let (offset, position) = scanned.copied().unwrap_or((BASE.0, 0));
            prop_assert_eq!(found, OffsetPosition { offset: Offset(offset), position });

            let found = index.entries().first_from_position(u32::from(from));
            let scanned = entries.iter().find(|entry| entry.1 >= u32::from(from));
            prop_assert_eq!(found.map(|entry| entry.position), scanned.map(|entry| entry.1));
        }

        #[test]
        fn reopens_and_truncates_like_a_list(entries in rising(), cut in 900..5_000_i64) {
            let written = index(&entries);
            let mut read = OffsetIndex::parse(BASE, written.unwritten().1, u64::MAX).unwrap();
            prop_assert_eq!(&read.entries.bytes, &written.entries.bytes);
            read.truncate_to(Offset(cut));
            let kept: Vec<_> = entries.into_iter().filter(|entry| entry.0 < cut).collect();
            prop_assert_eq!(&read.entries.bytes, &index(&kept).entries.bytes);
        }

        #[test]
        fn no_bytes_are_too_strange(bytes: Vec<u8>, target: i64) {
            if let Ok(index) = OffsetIndex::parse(BASE, &bytes, u64::MAX) {
                prop_assert!(index.entries().look_up(Offset(target)).offset.0 >= BASE.0);
            }
        }
    }
}
