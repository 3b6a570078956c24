//! Every record that was acknowledged is read at exactly the offset that was told.

use std::collections::BTreeMap;

use super::{Found, Story};

pub(super) fn check(story: &Story) {
    let by_offset: Vec<BTreeMap<i64, &Found>> = story
        .found
        .iter()
        .map(|found| found.iter().map(|found| (found.offset, found)).collect())
        .collect();
    for batch in &story.acknowledged {
        for index in 0..batch.count {
            let offset = batch.offset + i64::from(index);
            let expected = Found { offset, producer: batch.producer, number: batch.first + index };
            let found = by_offset[batch.partition as usize].get(&offset);
            assert_eq!(found, Some(&&expected), "partition {}", batch.partition);
        }
    }
}
