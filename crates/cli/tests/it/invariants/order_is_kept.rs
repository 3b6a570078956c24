//! A producer's records stand in the order in which it sent them, without a gap, and so do offsets.

use std::collections::BTreeMap;

use super::Story;

pub(super) fn check(story: &Story) {
    for (partition, found) in story.found.iter().enumerate() {
        let mut next: BTreeMap<u32, i32> = BTreeMap::new();
        for (offset, found) in (0..).zip(found) {
            assert_eq!(found.offset, offset, "partition {partition}");
            let next = next.entry(found.producer).or_default();
            assert_eq!(found.number, *next, "partition {partition}: {found:?}");
            *next += 1;
        }
    }
}
