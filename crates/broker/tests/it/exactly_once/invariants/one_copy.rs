//! However often a record is sent, there is one of it at most.

use std::collections::BTreeMap;

use crate::exactly_once::history::History;

pub(super) fn check(history: &History) {
    for seen in [&history.uncommitted, &history.uncommitted_at_last] {
        let mut places = BTreeMap::new();
        for (place, seen) in seen {
            for (offset, value) in seen {
                let before = places.insert(value, (place, offset));
                assert_eq!(before, None, "{value} is at {offset} of {place:?}, too");
            }
        }
    }
}
