//! What compaction has to know of transactions while it walks a log: which batches were aborted,
//! and which markers have nothing left that they could decide.

use std::collections::{BTreeMap, BTreeSet};

use milena_protocol::{
    Offset, ProducerId,
    records::{BatchHeader, ControlType},
};

use crate::index::AbortedTransaction;

#[derive(Debug, Default)]
pub(super) struct CleanedTransactions {
    /// Those that have not begun yet, the next one last.
    ahead: Vec<AbortedTransaction>,
    /// Those that have, and whether a batch of them was seen.
    aborted: BTreeMap<ProducerId, (AbortedTransaction, bool)>,
    /// Producers of which a batch was seen that is to be committed.
    committed: BTreeSet<ProducerId>,
    /// Aborted ones whose marker was seen while something of them is left.
    retained: Vec<AbortedTransaction>,
}

impl CleanedTransactions {
    /// For a walk over a part of a log in which these were aborted.
    pub(super) fn new(mut aborted: Vec<AbortedTransaction>) -> Self {
        aborted.sort_by_key(|transaction| std::cmp::Reverse(transaction.first_offset));
        Self { ahead: aborted, ..Self::default() }
    }

    /// Walks over a batch of data; says whether it was aborted.
    pub(super) fn pass_data(&mut self, header: &BatchHeader) -> bool {
        self.begin_up_to(header.last_offset());
        if !header.attributes.is_transactional() {
            return false;
        }
        match self.aborted.get_mut(&header.producer_id) {
            Some((_, is_seen)) => {
                *is_seen = true;
                true
            }
            None => {
                self.committed.insert(header.producer_id);
                false
            }
        }
    }

    /// Walks over a control batch, `None` for one that was emptied before; says whether nothing
    /// would be missed without it.
    pub(super) fn pass_control(&mut self, header: &BatchHeader, kind: Option<ControlType>) -> bool {
        self.begin_up_to(header.last_offset());
        match kind {
            None => true,
            Some(ControlType::Abort) => match self.aborted.remove(&header.producer_id) {
                Some((transaction, true)) => {
                    self.retained.push(transaction);
                    false
                }
                _ => true,
            },
            Some(ControlType::Commit) => !self.committed.remove(&header.producer_id),
            Some(_) => false,
        }
    }

    /// What the new transaction index has to say of the batches that were walked over since the
    /// last call.
    pub(super) fn take_retained(&mut self) -> Vec<AbortedTransaction> {
        std::mem::take(&mut self.retained)
    }

    fn begin_up_to(&mut self, offset: Offset) {
        while let Some(next) = self.ahead.pop_if(|next| next.first_offset <= offset) {
            self.aborted.entry(next.producer_id).or_insert((next, false));
        }
    }
}
