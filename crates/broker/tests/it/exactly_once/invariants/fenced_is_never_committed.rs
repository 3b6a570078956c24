//! Once somebody else has come by a transactional id, nothing of whoever came before is committed
//! any more.

use crate::exactly_once::history::History;

pub(super) fn check(history: &History) {
    for transaction in &history.transactions {
        let fence = history.fences.iter().find(|it| {
            it.transactional_id == transaction.transactional_id
                && it.producer == transaction.producer
                && it.epoch > transaction.epoch
        });
        let Some(fence) = fence else { continue };
        // It may have been decided before.
        if transaction.asked_to_commit.is_none_or(|at| at > fence.at) {
            assert!(!history.is_seen(transaction), "{fence:?}, and still {transaction:?}");
        }
    }
}
