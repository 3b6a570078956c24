//! Transactions, as their coordinators know them.

use milena_protocol::api::{DescribeTransactionsRequest, ListTransactionsRequest};

use super::{Admin, Each, To, done, unless_later};
use crate::{
    TopicPartition,
    error::{Error, Result},
    network::{DescribeTransactions, ListTransactions},
};

/// A transactional id as a broker lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransactionListing {
    /// Its name.
    pub transactional_id: Box<str>,
    /// Who produces under it.
    pub producer_id: i64,
    /// How its last transaction stands.
    pub state: Box<str>,
    /// Who coordinates it.
    pub coordinator: i32,
}

/// The last transaction of a transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransactionDescription {
    /// How it stands.
    pub state: Box<str>,
    /// Who produces it.
    pub producer_id: i64,
    /// In which epoch.
    pub producer_epoch: i16,
    /// After how many milliseconds it is aborted.
    pub timeout_ms: i32,
    /// When it began, in milliseconds since 1970, if it is open.
    pub started_ms: Option<i64>,
    /// The partitions that it has written to.
    pub partitions: Vec<TopicPartition>,
}

impl Admin {
    /// All transactional ids, in the order of their names; those in one of these states, if any is
    /// given.
    pub async fn list_transactions(&self, states: &[&str]) -> Result<Vec<TransactionListing>> {
        let mut all = Vec::new();
        for coordinator in self.broker_ids().await? {
            let request = ListTransactionsRequest {
                state_filters: states.to_vec(),
                duration_filter: -1,
                ..Default::default()
            };
            let (what, to) = ("list transactions", To::Broker(coordinator));
            let listed = self.ask::<ListTransactions, _>(what, to, &request, |answer| {
                let message = answer.message()?;
                Error::check(what, message.error_code, None)?;
                let listed = message.transaction_states.iter().map(|told| TransactionListing {
                    transactional_id: told.transactional_id.into(),
                    producer_id: told.producer_id,
                    state: told.transaction_state.into(),
                    coordinator,
                });
                Ok(listed.collect::<Vec<_>>())
            });
            all.extend(listed.await?);
        }
        all.sort_by(|one, other| one.transactional_id.cmp(&other.transactional_id));
        Ok(all)
    }

    /// How the last transaction of each of these ids stands.
    pub async fn describe_transactions(
        &self,
        ids: &[&str],
    ) -> Result<Each<Box<str>, TransactionDescription>> {
        let mut all = Each::new();
        for id in ids {
            let request = DescribeTransactionsRequest { transactional_ids: vec![id] };
            let what = format!("describe transaction {id}");
            let to = To::Transaction(id);
            let told = self.ask::<DescribeTransactions, _>(&what, to, &request, |answer| {
                let message = answer.message()?;
                let told = message.transaction_states.iter().map(|told| {
                    let partitions = told.topics.iter().flat_map(|topic| {
                        topic.partitions.iter().map(|at| TopicPartition::new(topic.topic, *at))
                    });
                    let described = TransactionDescription {
                        state: told.transaction_state.into(),
                        producer_id: told.producer_id,
                        producer_epoch: told.producer_epoch,
                        timeout_ms: told.transaction_timeout_ms,
                        started_ms: Some(told.transaction_start_time_ms).filter(|ms| *ms >= 0),
                        partitions: partitions.collect(),
                    };
                    let result = done(what.clone(), told.error_code, None, described);
                    (told.transactional_id.into(), result)
                });
                unless_later(told.collect())
            });
            all.extend(told.await?);
        }
        Ok(all)
    }
}
