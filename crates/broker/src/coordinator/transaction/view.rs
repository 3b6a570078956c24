//! What people are shown of transactions: DescribeTransactions and ListTransactions.

use std::{collections::BTreeSet, sync::Arc};

use milena_protocol::{ProducerEpoch, ProducerId};

use super::{
    super::group::regex::TopicPattern, State, Transaction, TransactionError, Transactions,
    entry::Partitions,
};

#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) state: State,
    pub(crate) timeout_ms: i32,
    pub(crate) start_ms: i64,
    pub(crate) producer_id: ProducerId,
    pub(crate) epoch: ProducerEpoch,
    pub(crate) partitions: Partitions,
}

#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) id: Arc<str>,
    pub(crate) producer_id: ProducerId,
    pub(crate) state: State,
}

/// How many there are of what is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Census {
    pub(crate) transactional_ids: usize,
    pub(crate) ongoing: usize,
    /// Partitions of decided transactions that are not known to have their marker.
    pub(crate) markers: usize,
    /// Transactions whose markers, or whose end, are to be written again.
    pub(crate) retries: usize,
}

impl Census {
    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            transactional_ids: self.transactional_ids + other.transactional_ids,
            ongoing: self.ongoing + other.ongoing,
            markers: self.markers + other.markers,
            retries: self.retries + other.retries,
        }
    }
}

/// Which transactions are listed.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    /// None lets all states through.
    pub(crate) states: Option<BTreeSet<State>>,
    /// Empty lets all producers through.
    pub(crate) producer_ids: BTreeSet<i64>,
    /// Those that have lasted longer; below 0 all.
    pub(crate) lasted_ms: i64,
    /// The same as for topics.
    pub(crate) pattern: Option<Arc<TopicPattern>>,
}

impl Filter {
    fn lets_through(&self, id: &str, transaction: &Transaction, now_ms: i64) -> bool {
        let lasted_ms = now_ms.saturating_sub(transaction.start_ms);
        (self.producer_ids.is_empty() || self.producer_ids.contains(&transaction.producer_id.0))
            && self.states.as_ref().is_none_or(|states| states.contains(&transaction.state))
            && (self.lasted_ms < 0 || lasted_ms > self.lasted_ms)
            && self.pattern.as_ref().is_none_or(|pattern| pattern.fits(id))
    }
}

impl Transactions {
    pub(crate) fn census(&self) -> Census {
        let ongoing = self.ids.values().filter(|it| it.transaction.state == State::Ongoing);
        Census {
            transactional_ids: self.ids.len(),
            ongoing: ongoing.count(),
            markers: self.ids.values().map(|it| it.unwritten.count()).sum(),
            retries: self.retries.len(),
        }
    }

    pub(crate) fn describe(&self, id: &str) -> Result<Described, TransactionError> {
        if id.is_empty() {
            return Err(TransactionError::InvalidRequest);
        }
        let known = self.get(id).ok_or(TransactionError::TransactionalIdNotFound)?;
        Ok(Described {
            state: known.state,
            timeout_ms: known.timeout_ms,
            start_ms: known.start_ms,
            producer_id: known.producer_id,
            epoch: known.epoch,
            partitions: known.partitions.clone(),
        })
    }

    pub(crate) fn list(&self, filter: &Filter, now_ms: i64) -> Vec<Listed> {
        let entries = self.ids.iter().map(|(id, entry)| (id, &entry.transaction));
        let listed = entries.filter(|(id, it)| filter.lets_through(id, it, now_ms));
        let listed = listed.map(|(id, it)| Listed {
            id: Arc::clone(id),
            producer_id: it.producer_id,
            state: it.state,
        });
        listed.collect()
    }
}
