//! What was acknowledged lies where it was said to, committed or not, and whatever its retries were
//! told is the same.

use std::collections::BTreeMap;

use crate::exactly_once::history::{History, LATEST};

pub(super) fn check(history: &History) {
    let at_last: BTreeMap<_, BTreeMap<_, _>> = history
        .uncommitted_at_last
        .iter()
        .map(|(place, seen)| (*place, seen.iter().map(|(at, value)| (*at, value)).collect()))
        .collect();
    for sent in history.transactions.iter().flat_map(|it| &it.sent) {
        assert!(sent.acknowledged.windows(2).all(|it| it[0] == it[1]), "elsewhere: {sent:?}");
        let Some(offset) = sent.acknowledged.first() else { continue };
        // Compaction takes what has newer values.
        let found = at_last.get(&sent.place).and_then(|seen| seen.get(offset));
        let may_be_gone = sent.place.0 == LATEST && found.is_none();
        assert!(may_be_gone || found == Some(&&sent.value), "{sent:?}, but there is {found:?}");
    }
}
