//! `.txnindex`: which transactions whose marker is in a segment were aborted.

use milena_protocol::{Offset, ProducerId};

use super::{Entries, IndexError, check_length, entry_at, field};
use crate::names::{FileKind, SegmentFile};

const ENTRY_LEN: usize = 34;

/// A transaction that its coordinator aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    pub producer_id: ProducerId,
    pub first_offset: Offset,
    /// The offset of the marker that aborted it.
    pub last_offset: Offset,
    /// The last stable offset once that marker was written.
    pub last_stable_offset: Offset,
}

impl AbortedTransaction {
    fn to_bytes(self) -> [u8; ENTRY_LEN] {
        let mut bytes = [0; ENTRY_LEN];
        let (_version, fields) = bytes.split_at_mut(2);
        let numbers = [
            self.producer_id.0,
            self.first_offset.0,
            self.last_offset.0,
            self.last_stable_offset.0,
        ];
        for (field, number) in fields.chunks_exact_mut(8).zip(numbers) {
            field.copy_from_slice(&number.to_be_bytes());
        }
        bytes
    }
}

/// What a reader of a range has to know of one segment's aborted transactions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AbortedTransactions {
    pub transactions: Vec<AbortedTransaction>,
    /// Whether no later segment can add to them.
    pub is_complete: bool,
}

/// Looks transactions up in the bytes of an index that was checked once.
#[derive(Clone, Copy, Debug)]
pub struct TransactionEntries<'a> {
    bytes: &'a [u8],
}

impl<'a> TransactionEntries<'a> {
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = AbortedTransaction> + use<'a> {
        let bytes = self.bytes;
        (0..bytes.len() / ENTRY_LEN).map(move |at| {
            let entry = entry_at::<ENTRY_LEN>(bytes, at);
            let number = |at| i64::from_be_bytes(field(&entry, at));
            AbortedTransaction {
                producer_id: ProducerId(number(2)),
                first_offset: Offset(number(10)),
                last_offset: Offset(number(18)),
                last_stable_offset: Offset(number(26)),
            }
        })
    }

    /// The aborted transactions with something in `[from, to)`. Unless the answer is complete,
    /// the next segment's index goes on.
    #[must_use]
    pub fn overlapping(&self, from: Offset, to: Offset) -> AbortedTransactions {
        let mut found = AbortedTransactions::default();
        for aborted in self.iter() {
            if aborted.last_offset >= from && aborted.first_offset < to {
                found.transactions.push(aborted);
            }
            if aborted.last_stable_offset >= to {
                found.is_complete = true;
                break;
            }
        }
        found
    }
}

/// The transaction index of a segment; most are empty and have no file.
#[derive(Clone, Debug)]
pub struct TransactionIndex {
    file: SegmentFile,
    entries: Entries<ENTRY_LEN>,
}

impl TransactionIndex {
    #[must_use]
    pub fn new(base_offset: Offset) -> Self {
        let file = SegmentFile::live(base_offset, FileKind::TransactionIndex);
        Self { file, entries: Entries::default() }
    }

    /// Checks every entry of a file.
    pub fn parse(base_offset: Offset, bytes: &[u8]) -> Result<Self, IndexError> {
        let mut index = Self::new(base_offset);
        let file = index.file;
        check_length::<ENTRY_LEN>(file, bytes)?;
        let mut last = None;
        for (at, aborted) in TransactionEntries::new(bytes).iter().enumerate() {
            let version = i16::from_be_bytes(field(&entry_at::<ENTRY_LEN>(bytes, at), 0));
            let reason = if version != 0 {
                "its version is not 0"
            } else if aborted.producer_id.0 < 0 || aborted.first_offset.0 < 0 {
                "its producer id or first offset is negative"
            } else if aborted.last_offset < base_offset {
                "its last offset is below the segment's base"
            } else if aborted.last_offset < aborted.first_offset {
                "its last offset is below its first one"
            } else if last.is_some_and(|last| aborted.last_offset <= last) {
                "its last offset does not rise"
            } else {
                last = Some(aborted.last_offset);
                continue;
            };
            return Err(IndexError::Entry { file, entry: at, reason });
        }
        index.entries = Entries::from_file(bytes);
        Ok(index)
    }

    #[must_use]
    pub fn entries(&self) -> TransactionEntries<'_> {
        TransactionEntries::new(&self.entries.bytes)
    }

    /// Adds a transaction when its marker is appended.
    pub fn append(&mut self, aborted: AbortedTransaction) -> Result<(), IndexError> {
        let (file, offset) = (self.file, aborted.last_offset);
        if offset < file.base_offset {
            return Err(IndexError::OutOfRange { file, offset });
        }
        let last = self.entries().iter().next_back().map(|last| last.last_offset);
        if let Some(last) = last
            && offset <= last
        {
            return Err(IndexError::OutOfOrder { file, offset, last });
        }
        self.entries.push(aborted.to_bytes());
        Ok(())
    }

    #[must_use]
    pub const fn len_bytes(&self) -> u64 {
        self.entries.bytes.len() as u64
    }

    /// Drops transactions whose marker is at or above `offset`; the file is then to be cut to
    /// [`Self::len_bytes`].
    pub fn truncate_to(&mut self, offset: Offset) {
        let kept = self.entries().iter().take_while(|aborted| aborted.last_offset < offset).count();
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

    fn aborted(producer_id: i64, first: i64, last: i64, stable: i64) -> AbortedTransaction {
        AbortedTransaction {
            producer_id: ProducerId(producer_id),
            first_offset: Offset(first),
            last_offset: Offset(last),
            last_stable_offset: Offset(stable),
        }
    }

    fn index(entries: &[AbortedTransaction]) -> TransactionIndex {
        let mut index = TransactionIndex::new(Offset(0));
        for &entry in entries {
            index.append(entry).unwrap();
        }
        index
    }

    #[test]
    fn bytes_are_kafkas() {
        let mut bytes = vec![0, 0];
        for number in [7_i64, 10, 20, 15] {
            bytes.extend(number.to_be_bytes());
        }
        assert_eq!(index(&[aborted(7, 10, 20, 15)]).unwritten(), (0, &bytes[..]));
    }

    #[test]
    fn a_search_ends_where_nothing_later_can_matter() {
        let entries = [aborted(1, 5, 20, 10), aborted(2, 10, 30, 31), aborted(3, 40, 50, 51)];
        let index = index(&entries);
        let found = index.entries().overlapping(Offset(0), Offset(10));
        assert_eq!(found.transactions, entries[..1]);
        let alone = self::index(&entries[..1]);
        let found = alone.entries().overlapping(Offset(0), Offset(10));
        assert!(found.is_complete, "whatever aborts later began at 10 or above");
        let found = index.entries().overlapping(Offset(21), Offset(31));
        assert_eq!((found.transactions.as_slice(), found.is_complete), (&entries[1..2], true));
        let found = index.entries().overlapping(Offset(31), Offset(60));
        assert_eq!((found.transactions.as_slice(), found.is_complete), (&entries[2..], false));
    }

    #[test]
    fn refuses_what_does_not_rise() {
        let mut index = index(&[aborted(1, 5, 20, 10)]);
        let error = index.append(aborted(2, 5, 20, 21)).unwrap_err();
        assert!(matches!(error, IndexError::OutOfOrder { .. }), "{error}");
        let error = TransactionIndex::new(Offset(21)).append(aborted(2, 5, 20, 21)).unwrap_err();
        assert!(matches!(error, IndexError::OutOfRange { .. }), "{error}");
    }

    #[test]
    fn fault_15_a_rotten_transaction_index_is_recognised() {
        let good = index(&[aborted(1, 5, 20, 10), aborted(2, 10, 30, 31)]).unwritten().1.to_vec();
        let parse = |bytes: &[u8]| TransactionIndex::parse(Offset(20), bytes).map(|_| ());
        assert_eq!(parse(&good), Ok(()));
        assert!(matches!(parse(&good[..67]), Err(IndexError::Length { .. })));
        let swapped = [&good[34..], &good[..34]].concat();
        let mut version = good.clone();
        version[1] = 1;
        let mut below = good.clone();
        below[18 + 7] = 19;
        let mut backwards = good.clone();
        backwards[34 + 10 + 7] = 31;
        let zeros = vec![0; 34];
        for bytes in [&swapped, &version, &below, &backwards, &zeros] {
            assert!(matches!(parse(bytes), Err(IndexError::Entry { .. })), "{bytes:?}");
        }
    }

    proptest! {
        /// Transactions of many producers side by side, and which of them a range touches.
        #[test]
        fn finds_what_a_scan_finds(
            steps in prop::collection::vec((0..4_i64, 0..3_u8), 1..60),
            range in (0..60_i64, 0..60_i64),
        ) {
            let mut open: Vec<(i64, i64)> = Vec::new();
            let mut all = Vec::new();
            for (offset, &(producer, action)) in steps.iter().enumerate() {
                let offset = offset as i64;
                match open.iter().position(|transaction| transaction.0 == producer) {
                    None => open.push((producer, offset)),
                    Some(at) if action == 0 => {
                        let (producer, first) = open.remove(at);
                        let stable = open.first().map_or(offset + 1, |oldest| oldest.1);
                        all.push(aborted(producer, first, offset, stable));
                    }
                    Some(_) => {}
                }
            }
            let index = index(&all);
            let (from, to) = (Offset(range.0.min(range.1)), Offset(range.0.max(range.1)));
            let found = index.entries().overlapping(from, to);
            let scanned: Vec<_> = all
                .iter()
                .filter(|entry| entry.last_offset >= from && entry.first_offset < to)
                .copied()
                .collect();
            prop_assert_eq!(found.transactions, scanned);

            let mut read = TransactionIndex::parse(Offset(0), index.unwritten().1).unwrap();
            read.truncate_to(from);
            let is_kept = |entry: &&AbortedTransaction| entry.last_offset < from;
            let kept: Vec<_> = all.iter().filter(is_kept).copied().collect();
            prop_assert_eq!(read.entries().iter().collect::<Vec<_>>(), kept);
        }
    }
}
