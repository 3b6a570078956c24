//! Who reads committed records all the time sees what whoever comes later sees: nothing is skipped,
//! and nothing shown that does not count in the end. The last value of a compacted partition stays.

use std::collections::BTreeSet;

use crate::exactly_once::history::{History, LATEST, OUT};

pub(super) fn check(history: &History) {
    for (place, seen) in &history.committed {
        let at_last = &history.committed_at_last[place];
        let sorted = |seen: &[(i64, String)]| seen.is_sorted_by(|one, other| one.0 < other.0);
        assert!(sorted(seen) && sorted(at_last), "{place:?}: offsets go back");
        if place.0 == OUT {
            let differs = seen.iter().zip(at_last).find(|(one, other)| one != other);
            let count = (seen.len(), at_last.len());
            assert!(seen == at_last, "{place:?}: {count:?} records, {differs:?}");
        }
    }
    // A transaction counts if anything of it does.
    let counts: BTreeSet<&String> = history
        .transactions
        .iter()
        .filter(|it| it.was_committed.unwrap_or_else(|| history.is_seen(it)))
        .flat_map(|it| &it.sent)
        .map(|it| &it.value)
        .collect();
    let shown = history.committed.values().chain(history.committed_at_last.values()).flatten();
    for (offset, value) in shown {
        assert!(counts.contains(value), "{value} is shown at {offset} and does not count");
    }
    for (place, seen) in history.committed_at_last.iter().filter(|(place, _)| place.0 == LATEST) {
        let sent = history.transactions.iter().flat_map(|it| &it.sent);
        let counting = sent.filter(|it| it.place == *place && counts.contains(&it.value));
        let last = counting.max_by_key(|it| it.acknowledged.first());
        let shown = seen.last().map(|(_, value)| value);
        assert_eq!(shown, last.map(|it| &it.value), "the last value of {place:?}");
    }
}
