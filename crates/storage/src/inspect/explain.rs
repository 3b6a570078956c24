//! The look-up of an offset, step by step: the same steps that a read takes, written down.

use std::cmp::Ordering;

use milena_env::Disk;
use milena_protocol::Offset;

use super::{FoundBatch, FoundPartition, FoundSegment, WalkEnd};
use crate::{
    error::StorageError,
    index::{OffsetIndex, OffsetPosition},
    names::FileKind,
};

/// One look of a binary search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Which element was looked at.
    pub at: usize,
    /// The offset that stands there.
    pub offset: Offset,
    /// Whether the search goes on above it.
    pub is_at_or_below: bool,
}

/// The search in a segment's sparse index.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexSearch {
    pub entries: usize,
    pub probes: Vec<Probe>,
    /// The greatest entry at or below the offset, and its number; none means the segment's start.
    pub found: Option<(usize, OffsetPosition)>,
    /// Why the index could not be used, if so: then the segment is walked from its start.
    pub unusable: Option<String>,
}

/// How an offset is found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    pub offset: Offset,
    /// The looks at the list of segments.
    pub probes: Vec<Probe>,
    /// The segment with the greatest base offset at or below it, and its number; none if the
    /// offset is before the first one.
    pub segment: Option<(usize, FoundSegment)>,
    pub index: Option<IndexSearch>,
    /// Where in the segment the walk over batch headers began.
    pub walk_from: u64,
    /// The batches that it passed, the one that it ended at last.
    pub passed: Vec<FoundBatch>,
    /// The batch that holds the offset, or the next one if compaction took it; none if there is
    /// none in the segment.
    pub batch: Option<FoundBatch>,
    /// What the walk met instead of a batch, if so.
    pub invalid: Option<(u64, &'static str)>,
}

/// Looks an offset up, and writes every step down.
pub fn explain(
    disk: &dyn Disk,
    partition: &FoundPartition,
    offset: Offset,
) -> Result<Explanation, StorageError> {
    let mut explanation = Explanation {
        offset,
        probes: Vec::new(),
        segment: None,
        index: None,
        walk_from: 0,
        passed: Vec::new(),
        batch: None,
        invalid: None,
    };
    let segments = &partition.segments;
    let bases = |at: usize| segments.get(at).map(|segment| segment.base_offset);
    let (found, probes) = search(segments.len(), offset, bases);
    explanation.probes = probes;
    let Some((at, segment)) = found.and_then(|at| Some((at, *segments.get(at)?))) else {
        return Ok(explanation);
    };
    explanation.segment = Some((at, segment));
    let index = search_index(disk, partition, &segment, offset)?;
    explanation.walk_from = index.found.map_or(0, |(_, found)| u64::from(found.position));
    explanation.index = Some(index);
    let walk = partition.batches(disk, &segment, explanation.walk_from, false)?;
    let ended = walk.each(|batch| {
        let is_behind = batch.last_offset >= offset;
        if is_behind {
            explanation.batch = Some(batch.clone());
        }
        explanation.passed.push(batch);
        !is_behind
    })?;
    if let WalkEnd::Invalid { position, reason } = ended {
        explanation.invalid = Some((position, reason));
    }
    Ok(explanation)
}

fn search_index(
    disk: &dyn Disk,
    partition: &FoundPartition,
    segment: &FoundSegment,
    offset: Offset,
) -> Result<IndexSearch, StorageError> {
    let mut searched = IndexSearch { entries: 0, probes: Vec::new(), found: None, unusable: None };
    if segment.offset_index_bytes.is_none() {
        searched.unusable = Some("it has no file".to_owned());
        return Ok(searched);
    }
    let path = partition.file(segment, FileKind::OffsetIndex);
    let bytes = disk.read(&path).map_err(StorageError::io("read", &path))?;
    match OffsetIndex::parse(segment.base_offset, &bytes, segment.log_bytes) {
        Err(error) => searched.unusable = Some(error.to_string()),
        Ok(index) => {
            let entries = index.entries();
            let offsets = |at| entries.get(at).map(|entry| entry.offset);
            let (found, probes) = search(entries.len(), offset, offsets);
            searched.entries = entries.len();
            searched.probes = probes;
            searched.found = found.and_then(|at| Some((at, entries.get(at)?)));
        }
    }
    Ok(searched)
}

/// The last of `count` rising offsets that is not above the wanted one, and every look that it took
/// to find it.
fn search(
    count: usize,
    wanted: Offset,
    offset: impl Fn(usize) -> Option<Offset>,
) -> (Option<usize>, Vec<Probe>) {
    let mut probes = Vec::new();
    let (mut low, mut high) = (0, count);
    while low < high {
        let at = low.midpoint(high);
        let Some(offset) = offset(at) else { break };
        let is_at_or_below = offset.cmp(&wanted) != Ordering::Greater;
        probes.push(Probe { at, offset, is_at_or_below });
        if is_at_or_below {
            low = at + 1;
        } else {
            high = at;
        }
    }
    (low.checked_sub(1), probes)
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_search_finds_the_last_that_is_not_above_in_few_looks() {
        for count in 0..70_usize {
            let offsets: Vec<_> = (0..count).map(|at| Offset(at as i64 * 10)).collect();
            for wanted in -1..count as i64 * 10 + 1 {
                let wanted = Offset(wanted);
                let (found, probes) = search(count, wanted, |at| offsets.get(at).copied());
                assert_eq!(found, offsets.iter().rposition(|offset| *offset <= wanted));
                assert!(probes.len() <= 7, "{count}: {probes:?}");
            }
        }
    }
}
