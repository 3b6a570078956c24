//! Transactions, as their coordinators know them.

use std::time::Duration;

use milena_protocol::{
    ErrorCode,
    api::{
        DescribeTransactionsRequest, InitProducerIdRequest, ListTransactionsRequest,
        WriteTxnMarkersRequest,
        write_txn_markers::request::{WritableTxnMarker, WritableTxnMarkerTopic},
    },
};

use super::{Admin, Each, To, done, unless_later};
use crate::{
    TopicPartition,
    error::{Error, Result},
    network::{DescribeTransactions, InitProducerId, ListTransactions, WriteTxnMarkers},
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

/// Which transactional ids are listed: those that fit all of it. By default it is all of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct TransactionFilter<'a> {
    /// Their last transaction is in one of these states, if any is given.
    pub states: &'a [&'a str],
    /// One of these produces under them, if any is given.
    pub producer_ids: &'a [i64],
    /// Their transaction has been open for longer than that.
    pub open_for: Option<Duration>,
    /// This regular expression (RE2) fits all of the id.
    pub id_pattern: Option<&'a str>,
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

/// What a producer that was fenced is known by from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FencedProducer {
    /// Its id.
    pub id: i64,
    /// Its epoch, above that of whoever was fenced.
    pub epoch: i16,
}

/// A transaction that a partition waits for and that its coordinator does not know, as
/// [`Admin::describe_producers`] shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbortTransaction {
    /// The partition.
    pub partition: TopicPartition,
    /// Who produces it.
    pub producer_id: i64,
    /// In which epoch.
    pub producer_epoch: i16,
    /// Who wrote the producer's last marker; nobody if there is none.
    pub coordinator_epoch: Option<i32>,
}

impl Admin {
    /// Fences whoever produces under these transactional ids, and ends what they left open.
    pub async fn fence_producers(&self, ids: &[&str]) -> Result<Each<Box<str>, FencedProducer>> {
        let mut all = Each::new();
        for id in ids {
            let request = InitProducerIdRequest {
                transactional_id: Some(id),
                transaction_timeout_ms: self.request_timeout_ms(),
                ..Default::default()
            };
            let what = format!("fence {id}");
            let to = To::Transaction(id);
            let fenced = self.ask::<InitProducerId, _>(&what, to, &request, |answer| {
                let message = answer.message()?;
                match Error::check(&what, message.error_code, None) {
                    // What was open is still being ended.
                    Err(error) if error.is_retriable() => Err(error),
                    Err(error) => Ok(Err(error)),
                    Ok(()) => Ok(Ok(FencedProducer {
                        id: message.producer_id,
                        epoch: message.producer_epoch,
                    })),
                }
            });
            all.push(((*id).into(), fenced.await?));
        }
        Ok(all)
    }

    /// Aborts a transaction in one partition by force, so that readers of what is committed get
    /// past it. This is for transactions that their coordinator does not know: one that it knows
    /// is torn apart by this, and is to be ended by [`fence_producers`](Self::fence_producers).
    pub async fn abort_transaction(&self, transaction: &AbortTransaction) -> Result<()> {
        let AbortTransaction { partition, producer_id, producer_epoch, .. } = transaction;
        let what = format!("abort the transaction of producer {producer_id} in {partition}");
        let (led, lost) = self.by_leader::<_, ()>(&what, [(partition, ())]).await?;
        for (_, lost) in lost {
            lost?;
        }
        let marker = WritableTxnMarker {
            producer_id: *producer_id,
            producer_epoch: *producer_epoch,
            transaction_result: false,
            topics: vec![WritableTxnMarkerTopic {
                name: &partition.topic,
                partition_indexes: vec![partition.partition],
            }],
            coordinator_epoch: transaction.coordinator_epoch.unwrap_or(0),
            ..Default::default()
        };
        let request = WriteTxnMarkersRequest { markers: vec![marker] };
        for leader in led.into_keys() {
            let written =
                self.ask::<WriteTxnMarkers, _>(&what, To::Broker(leader), &request, |it| {
                    let message = it.message()?;
                    let topics = message.markers.iter().flat_map(|marker| &marker.topics);
                    let told = topics.flat_map(|topic| &topic.partitions).next();
                    let code =
                        told.map_or(ErrorCode::UnknownServerError as i16, |it| it.error_code);
                    Error::check(&what, code, None)
                });
            written.await?;
        }
        Ok(())
    }

    /// Transactional ids, in the order of their names.
    pub async fn list_transactions(
        &self,
        filter: &TransactionFilter<'_>,
    ) -> Result<Vec<TransactionListing>> {
        let mut all = Vec::new();
        let open_for_ms = filter.open_for.map(|it| i64::try_from(it.as_millis()));
        for coordinator in self.broker_ids().await? {
            let request = ListTransactionsRequest {
                state_filters: filter.states.to_vec(),
                producer_id_filters: filter.producer_ids.to_vec(),
                duration_filter: open_for_ms.map_or(-1, |ms| ms.unwrap_or(i64::MAX)),
                transactional_id_pattern: filter.id_pattern,
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
