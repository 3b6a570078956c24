//! Of a transaction readers of committed records see all or nothing, as its producer was told.

use crate::exactly_once::history::{History, OUT};

pub(super) fn check(history: &History) {
    for transaction in &history.transactions {
        // What is compacted may be gone since.
        let stays: Vec<_> = transaction.sent.iter().filter(|it| it.place.0 == OUT).collect();
        let is_seen = |place, value: &String| {
            let seen = history.committed_at_last.get(&place).into_iter().flatten();
            { seen }.any(|(_, other)| other == value)
        };
        let count = stays.iter().filter(|it| is_seen(it.place, &it.value)).count();
        let expected = match (transaction.was_committed, transaction.asked_to_commit) {
            (Some(true), _) => &[stays.len()][..],
            (Some(false), _) | (None, None) => &[0],
            (None, Some(_)) => &[0, stays.len()],
        };
        assert!(expected.contains(&count), "{count} records are seen of {transaction:?}");
    }
}
