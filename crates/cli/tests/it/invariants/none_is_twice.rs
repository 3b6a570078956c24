//! No record is there twice, be it acknowledged or not, however often it was sent.

use std::collections::BTreeSet;

use super::Story;

pub(super) fn check(story: &Story) {
    for (partition, found) in story.found.iter().enumerate() {
        let mut seen = BTreeSet::new();
        for found in found {
            let is_new = seen.insert((found.producer, found.number));
            assert!(is_new, "partition {partition}: {found:?} is there before");
        }
    }
}
