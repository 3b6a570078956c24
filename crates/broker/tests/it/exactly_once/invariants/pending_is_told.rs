//! While a transaction may change how far a group has come, nobody is told how far it was before:
//! whoever is knows that the transaction does not count.

use crate::exactly_once::history::History;

pub(super) fn check(history: &History) {
    for transaction in &history.transactions {
        let Some(commit) = transaction.commit else { continue };
        let Some(since) = commit.is_pending_since else { continue };
        let before = history.told.iter().find(|told| {
            told.place == commit.place
                && told.asked_at > since
                && told.offset.is_some_and(|offset| offset < commit.offset)
        });
        if let Some(told) = before {
            assert!(!history.is_seen(transaction), "{told:?}, and then {transaction:?}");
        }
    }
}
