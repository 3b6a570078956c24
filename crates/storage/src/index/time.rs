//! `.timeindex`: from which offset on a timestamp is to be sought.

use milena_protocol::Offset;

use super::{
    Entries, IndexError, check_length, entry_at, field, partition_point, relative,
    without_zero_tail,
};
use crate::names::{FileKind, SegmentFile};

const ENTRY_LEN: usize = 12;
/// Kafka's way to say that a timestamp is not known.
const NO_TIMESTAMP: i64 = -1;

/// The greatest timestamp up to an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampOffset {
    pub timestamp: i64,
    pub offset: Offset,
}

/// Looks timestamps up in the bytes of an index that was checked once.
#[derive(Clone, Copy, Debug)]
pub struct TimeEntries<'a> {
    base_offset: Offset,
    bytes: &'a [u8],
}

impl<'a> TimeEntries<'a> {
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
    pub fn get(&self, at: usize) -> Option<TimestampOffset> {
        (at < self.len()).then(|| {
            let (timestamp, relative) = read(self.bytes, at);
            TimestampOffset { timestamp, offset: self.base_offset.plus(i64::from(relative)) }
        })
    }

    /// The segment's greatest timestamp as far as the index knows; -1 where it is empty.
    #[must_use]
    pub fn last(&self) -> TimestampOffset {
        self.at_or_start(self.len())
    }

    /// The greatest entry at or below `timestamp`; the segment's start where there is none.
    #[must_use]
    pub fn look_up(&self, timestamp: i64) -> TimestampOffset {
        self.at_or_start(partition_point(self.len(), |at| read(self.bytes, at).0 <= timestamp))
    }

    fn at_or_start(&self, count: usize) -> TimestampOffset {
        let start = TimestampOffset { timestamp: NO_TIMESTAMP, offset: self.base_offset };
        count.checked_sub(1).and_then(|at| self.get(at)).unwrap_or(start)
    }
}

fn read(bytes: &[u8], at: usize) -> (i64, u32) {
    let entry = entry_at::<ENTRY_LEN>(bytes, at);
    (i64::from_be_bytes(field(&entry, 0)), u32::from_be_bytes(field(&entry, 8)))
}

/// The time index of a segment that is being appended to.
#[derive(Clone, Debug)]
pub struct TimeIndex {
    file: SegmentFile,
    entries: Entries<ENTRY_LEN>,
}

impl TimeIndex {
    #[must_use]
    pub fn new(base_offset: Offset) -> Self {
        let file = SegmentFile::live(base_offset, FileKind::TimeIndex);
        Self { file, entries: Entries::default() }
    }

    /// Checks every entry of a file. Where it has a zero tail, it is to be cut to
    /// [`Self::len_bytes`].
    pub fn parse(base_offset: Offset, bytes: &[u8]) -> Result<Self, IndexError> {
        let file = SegmentFile::live(base_offset, FileKind::TimeIndex);
        check_length::<ENTRY_LEN>(file, bytes)?;
        // A lone entry of zeros speaks of a record from 1970 at the segment's base.
        let is_lone = bytes.len() == ENTRY_LEN;
        let used = if is_lone { bytes } else { without_zero_tail::<ENTRY_LEN>(bytes) };
        let mut last = (NO_TIMESTAMP, 0);
        for at in 0..used.len() / ENTRY_LEN {
            let (timestamp, relative) = read(used, at);
            let reason = if relative > i32::MAX as u32 {
                "its offset is not within 2^31 of the segment's base"
            } else if timestamp <= last.0 {
                "its timestamp does not rise"
            } else if relative < last.1 {
                "its offset falls"
            } else {
                last = (timestamp, relative);
                continue;
            };
            return Err(IndexError::Entry { file, entry: at, reason });
        }
        Ok(Self { file, entries: Entries::from_file(used) })
    }

    #[must_use]
    pub fn entries(&self) -> TimeEntries<'_> {
        TimeEntries::new(self.file.base_offset, &self.entries.bytes)
    }

    /// Notes that `timestamp`, of the record at `offset`, is the greatest so far; says whether
    /// that was new.
    pub fn append(&mut self, timestamp: i64, offset: Offset) -> Result<bool, IndexError> {
        let relative = relative(self.file, offset)?;
        let last = self.entries().last();
        if timestamp <= last.timestamp {
            return Ok(false);
        }
        if offset < last.offset {
            let (file, last) = (self.file, last.offset);
            return Err(IndexError::OutOfOrder { file, offset, last });
        }
        let entry = u128::from(timestamp.cast_unsigned()) << 32 | u128::from(relative);
        self.entries.push(field(&entry.to_be_bytes(), 4));
        Ok(true)
    }

    /// Whether only the entry that a roll adds still fits into `segment.index.bytes`.
    #[must_use]
    pub const fn is_full(&self, index_bytes_max: usize) -> bool {
        self.entries.bytes.len() + 2 * ENTRY_LEN > index_bytes_max
    }

    #[must_use]
    pub const fn len_bytes(&self) -> u64 {
        self.entries.bytes.len() as u64
    }

    /// Drops entries at or above `offset`; the file is then to be cut to [`Self::len_bytes`].
    pub fn truncate_to(&mut self, offset: Offset) {
        let wanted = offset.0.saturating_sub(self.file.base_offset.0);
        let bytes = &self.entries.bytes;
        let kept =
            partition_point(self.entries().len(), |at| i64::from(read(bytes, at).1) < wanted);
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

    fn index(entries: &[(i64, i64)]) -> TimeIndex {
        let mut index = TimeIndex::new(BASE);
        for &(timestamp, offset) in entries {
            assert!(index.append(timestamp, Offset(offset)).unwrap());
        }
        index
    }

    #[test]
    fn bytes_are_kafkas() {
        let index = index(&[(0x0102_0304_0506_0708, 1_258)]);
        assert_eq!(index.unwritten(), (0, &[1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 1, 2][..]));
    }

    #[test]
    fn keeps_only_what_is_later_than_all_before() {
        let mut index = index(&[(50, 1_005), (60, 1_005)]);
        assert_eq!(index.append(60, Offset(1_010)), Ok(false));
        assert_eq!(index.append(55, Offset(1_001)), Ok(false));
        let error = index.append(70, Offset(1_004)).unwrap_err();
        assert!(matches!(error, IndexError::OutOfOrder { .. }), "{error}");
        let error = index.append(70, Offset(999)).unwrap_err();
        assert!(matches!(error, IndexError::OutOfRange { .. }), "{error}");
        assert_eq!(TimeIndex::new(BASE).append(-1, BASE), Ok(false), "-1 is no timestamp");
        assert!(index.is_full(47) && !index.is_full(48), "a roll needs one slot");
    }

    #[test]
    fn a_preallocated_file_of_a_dead_kafka_is_read_to_its_last_entry() {
        let mut bytes = index(&[(0, 1_000), (60, 1_300)]).unwritten().1.to_vec();
        bytes.resize(1_200, 0);
        let read = TimeIndex::parse(BASE, &bytes).unwrap();
        assert_eq!((read.entries().len(), read.len_bytes()), (2, 24));
        let unused = TimeIndex::parse(BASE, &[0; 1_200]).unwrap();
        assert_eq!(unused.entries().last().timestamp, -1, "retention must not take it for 1970");
        let lone = TimeIndex::parse(BASE, &[0; 12]).unwrap();
        assert_eq!(lone.entries().last().timestamp, 0);
    }

    #[test]
    fn fault_15_a_rotten_time_index_is_recognised() {
        let good = index(&[(50, 1_005), (60, 1_300)]).unwritten().1.to_vec();
        let parse = |bytes: &[u8]| TimeIndex::parse(BASE, bytes).map(|_| ());
        assert_eq!(parse(&good), Ok(()));
        assert!(matches!(parse(&good[1..]), Err(IndexError::Length { len: 23, .. })));
        let swapped = [&good[12..], &good[..12]].concat();
        let hole = [&good[..12], &[0; 12], &good[12..]].concat();
        let mut falling = good.clone();
        falling[22] = 0;
        falling[23] = 4;
        let mut negative = good;
        negative[0] = 0x80;
        for bytes in [&swapped, &hole, &falling, &negative] {
            assert!(matches!(parse(bytes), Err(IndexError::Entry { .. })), "{bytes:?}");
        }
    }

    fn rising() -> impl Strategy<Value = Vec<(i64, i64)>> {
        prop::collection::vec((1..50_i64, 0..50_i64), 0..60).prop_map(|steps| {
            let (mut timestamp, mut offset) = (99, BASE.0);
            steps
                .into_iter()
                .map(|(time, offsets)| {
                    timestamp += time;
                    offset += offsets;
                    (timestamp, offset)
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn finds_what_a_scan_finds(entries in rising(), target in 0..4_000_i64) {
            let found = index(&entries).entries().look_up(target);
            let scanned = entries.iter().rev().find(|entry| entry.0 <= target);
            let (timestamp, offset) = scanned.copied().unwrap_or((-1, BASE.0));
            prop_assert_eq!(found, TimestampOffset { timestamp, offset: Offset(offset) });
        }

        #[test]
        fn reopens_and_truncates_like_a_list(entries in rising(), cut in 900..4_000_i64) {
            let written = index(&entries);
            let mut read = TimeIndex::parse(BASE, written.unwritten().1).unwrap();
            prop_assert_eq!(&read.entries.bytes, &written.entries.bytes);
            read.truncate_to(Offset(cut));
            let kept: Vec<_> = entries.into_iter().filter(|entry| entry.1 < cut).collect();
            prop_assert_eq!(&read.entries.bytes, &index(&kept).entries.bytes);
        }

        #[test]
        fn no_bytes_are_too_strange(bytes: Vec<u8>, target: i64) {
            if let Ok(index) = TimeIndex::parse(BASE, &bytes) {
                prop_assert!(index.entries().look_up(target).timestamp <= target.max(-1));
            }
        }
    }
}
