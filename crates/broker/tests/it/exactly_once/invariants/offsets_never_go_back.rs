//! How far a group has come never goes back, and is what a transaction that counts has said.

use std::collections::BTreeMap;

use crate::exactly_once::history::History;

pub(super) fn check(history: &History) {
    let mut last = BTreeMap::new();
    for told in &history.told {
        let Some(offset) = told.offset else { continue };
        let last = last.entry(told.place).or_insert(0);
        assert!(offset >= *last, "{told:?}, after {last}");
        *last = offset;
        let is_said = history.transactions.iter().any(|it| {
            let commit = it.commit.filter(|it| it.place == told.place && it.offset == offset);
            commit.is_some() && history.is_seen(it)
        });
        assert!(offset == 0 || is_said, "{told:?}, which nobody has committed");
    }
}
