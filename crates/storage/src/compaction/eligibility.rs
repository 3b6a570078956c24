//! How far a log may be cleaned, whether it is worth it, and which segments become one.

use milena_protocol::Offset;

/// What is to be known of a segment that is not the active one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub base: Offset,
    pub next_base: Offset,
    pub bytes: u64,
    /// -1 where it has none.
    pub max_timestamp: i64,
}

/// What keeps compaction within bounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub start: Offset,
    pub end: Offset,
    pub last_stable: Offset,
    /// Where the last compaction ended.
    pub cleaned: Option<Offset>,
    pub now_ms: i64,
    pub min_lag_ms: i64,
}

/// What of a log could be cleaned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cleanable {
    pub first_dirty: Offset,
    /// The base of the first segment that must stay as it is.
    pub first_uncleanable: Offset,
    pub clean_bytes: u64,
    pub dirty_bytes: u64,
}

impl Cleanable {
    pub(crate) fn ratio(&self) -> f64 {
        let total = self.clean_bytes + self.dirty_bytes;
        if total == 0 { 0.0 } else { self.dirty_bytes as f64 / total as f64 }
    }
}

/// `segments` are all that could be cleaned as far as files and the journal care, in order.
pub(crate) fn cleanable(segments: &[Facts], bounds: &Bounds) -> Cleanable {
    // What lies behind the log's end was cut off since; what lies before its start is gone.
    let first_dirty = bounds
        .cleaned
        .filter(|cleaned| (bounds.start..=bounds.end).contains(cleaned))
        .unwrap_or(bounds.start);
    let is_young = |s: &Facts| {
        bounds.min_lag_ms > 0
            && s.next_base > first_dirty
            && s.max_timestamp > bounds.now_ms.saturating_sub(bounds.min_lag_ms)
    };
    let open = segments.iter().take_while(|s| s.next_base <= bounds.last_stable && !is_young(s));
    let first_uncleanable = open.clone().last().map_or(first_dirty, |s| s.next_base);
    Cleanable {
        first_dirty,
        first_uncleanable: first_uncleanable.max(first_dirty),
        clean_bytes: segments.iter().filter(|s| s.base < first_dirty).map(|s| s.bytes).sum(),
        dirty_bytes: open.filter(|s| s.next_base > first_dirty).map(|s| s.bytes).sum(),
    }
}

/// The size of a segment to be rewritten.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub base: Offset,
    pub next_base: Offset,
    pub bytes: u64,
    pub offset_index_bytes: u64,
    pub time_index_bytes: u64,
}

/// How many segments go into each new one: as many as fit by bytes, index and offsets.
pub(super) fn group(segments: &[Extent], bytes_max: u64, index_bytes_max: u64) -> Vec<usize> {
    let mut counts = Vec::new();
    let mut rest = segments;
    while let Some((first, others)) = rest.split_first() {
        let mut sum = *first;
        let fits = others.iter().take_while(|s| {
            sum.bytes += s.bytes;
            sum.offset_index_bytes += s.offset_index_bytes;
            sum.time_index_bytes += s.time_index_bytes;
            let span = s.next_base.0 - 1 - first.base.0;
            sum.bytes <= bytes_max
                && sum.offset_index_bytes <= index_bytes_max
                && sum.time_index_bytes <= index_bytes_max
                && (s.bytes == 0 || i32::try_from(span).is_ok())
        });
        let count = 1 + fits.count();
        counts.push(count);
        rest = rest.get(count..).unwrap_or_default();
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(bases: &[i64], timestamp: i64) -> Vec<Facts> {
        let pairs = bases.iter().zip(bases.iter().skip(1));
        pairs
            .map(|(base, next)| Facts {
                base: Offset(*base),
                next_base: Offset(*next),
                bytes: 100,
                max_timestamp: timestamp + base,
            })
            .collect()
    }

    const BOUNDS: Bounds = Bounds {
        start: Offset(0),
        end: Offset(100),
        last_stable: Offset(100),
        cleaned: None,
        now_ms: 1_000,
        min_lag_ms: 0,
    };

    fn ends(segments: &[Facts], bounds: Bounds) -> (i64, i64) {
        let found = cleanable(segments, &bounds);
        (found.first_dirty.0, found.first_uncleanable.0)
    }

    #[test]
    fn whole_segments_below_the_last_stable_offset_can_be_cleaned() {
        let segments = facts(&[0, 10, 20, 30], 0);
        assert_eq!(ends(&segments, BOUNDS), (0, 30));
        assert_eq!(ends(&segments, Bounds { last_stable: Offset(30), ..BOUNDS }), (0, 30));
        assert_eq!(ends(&segments, Bounds { last_stable: Offset(29), ..BOUNDS }), (0, 20));
        assert_eq!(ends(&segments, Bounds { last_stable: Offset(9), ..BOUNDS }), (0, 0));
    }

    #[test]
    fn what_was_cleaned_is_not_dirty_unless_the_log_was_cut() {
        let segments = facts(&[0, 10, 20, 30], 0);
        let cleaned = |offset| Bounds { cleaned: Some(Offset(offset)), ..BOUNDS };
        assert_eq!(ends(&segments, cleaned(15)), (15, 30));
        let found = cleanable(&segments, &cleaned(15));
        assert_eq!((found.clean_bytes, found.dirty_bytes), (200, 200), "it counts on both sides");
        assert_eq!(found.ratio(), 0.5);
        assert_eq!(ends(&segments, cleaned(101)), (0, 30), "beyond the end");
        assert_eq!(ends(&segments, Bounds { start: Offset(12), ..cleaned(5) }), (12, 30));
        assert_eq!(ends(&segments, cleaned(30)), (30, 30));
    }

    #[test]
    fn young_segments_stay_as_they_are() {
        let segments = facts(&[0, 10, 20, 30], 500);
        let lag = |min_lag_ms| Bounds { min_lag_ms, ..BOUNDS };
        assert_eq!(ends(&segments, lag(480)), (0, 30), "the last is exactly old enough");
        assert_eq!(ends(&segments, lag(485)), (0, 20));
        let cleaned = Bounds { cleaned: Some(Offset(10)), ..lag(500) };
        assert_eq!(ends(&segments, cleaned), (10, 10), "what is clean may be young");
    }

    #[test]
    fn groups_are_as_large_as_one_segment_may_be() {
        let extent = |base: i64, bytes| Extent {
            base: Offset(base),
            next_base: Offset(base + 10),
            bytes,
            offset_index_bytes: 8,
            time_index_bytes: 12,
        };
        let all: Vec<Extent> = (0..5).map(|i| extent(i * 10, 100)).collect();
        assert_eq!(group(&all, 300, 1000), [3, 2]);
        assert_eq!(group(&all, 99, 1000), [1, 1, 1, 1, 1]);
        assert_eq!(group(&all, 1000, 24), [2, 2, 1], "two time indexes fit");
        assert_eq!(group(&[], 1000, 24), [0; 0]);
        let far = [extent(0, 100), extent(i64::from(i32::MAX), 100), extent(1 << 40, 0)];
        assert_eq!(group(&far, 1000, 1000), [1, 2], "an empty one has no offset to be said");
    }
}
