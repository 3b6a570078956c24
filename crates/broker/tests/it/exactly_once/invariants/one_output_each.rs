//! Each record that was to be copied has exactly one copy that counts.

use std::collections::BTreeMap;

use crate::exactly_once::history::History;

pub(super) fn check(history: &History) {
    let mut copies = BTreeMap::new();
    for transaction in history.transactions.iter().filter(|it| history.is_seen(it)) {
        for sent in &transaction.sent {
            if let Some(place) = sent.copy_of {
                *copies.entry((place, sent.number)).or_insert(0) += 1;
            }
        }
    }
    for (place, count) in &history.inputs {
        for number in 0..*count {
            let copies = copies.remove(&(*place, number)).unwrap_or(0);
            assert_eq!(copies, 1, "copies of record {number} of {place:?}");
        }
    }
    assert!(copies.is_empty(), "copies of nothing: {copies:?}");
}
