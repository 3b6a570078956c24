//! Markers: the end of a transaction, written into every partition that took part in it.
//!
//! All markers of a call are appended before anything is waited for. A partition of
//! `__consumer_offsets` gets its marker from the coordinator that keeps its state, so that what is
//! known there and what lies in the log go on together.

use std::{sync::Arc, time::Duration};

use milena_protocol::{
    ErrorCode, LeaderEpoch, Offset, ProducerEpoch, ProducerId, records::EndTransactionMarker,
};
use milena_storage::{
    Appended,
    producers::{self, Proof},
};

use crate::{
    broker::Broker,
    coordinator::CoordinatorError,
    error_map::ToCode,
    partition::{OwnError, Partition, Reach},
    topics::CONSUMER_OFFSETS,
};

/// How a producer's transaction ended, and where that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) producer_id: ProducerId,
    pub(crate) producer_epoch: ProducerEpoch,
    /// By whose rules a late marker is told from a good one: `transaction.version`.
    pub(crate) transaction_version: u8,
    pub(crate) is_commit: bool,
    /// In which the coordinator of the transaction leads its partition.
    pub(crate) coordinator_epoch: i32,
    /// Topic and partition.
    pub(crate) partitions: Vec<(Box<str>, i32)>,
}

/// What became of one marker, partition by partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MarkerResult {
    pub(crate) producer_id: ProducerId,
    pub(crate) partitions: Vec<MarkedPartition>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MarkedPartition {
    pub(crate) topic: Box<str>,
    pub(crate) index: i32,
    pub(crate) outcome: Result<(), ErrorCode>,
}

/// Why a marker is not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MarkerError {
    #[error(transparent)]
    Coordinator(#[from] CoordinatorError),
    #[error(transparent)]
    Own(#[from] OwnError),
}

/// Writes markers, each into its partitions; the results are in the order of what was asked. What
/// is said to be written is committed: no crash undoes it.
pub(crate) async fn write(broker: &Arc<Broker>, markers: Vec<Marker>) -> Vec<MarkerResult> {
    let limit = Duration::from_millis(broker.config().network.request_timeout_ms);
    let until = broker.clock.monotonic() + limit;
    let begin = |marker: &Marker| -> Vec<_> {
        let partitions = marker.partitions.iter();
        partitions.map(|(topic, index)| begin(broker, marker, topic, *index)).collect()
    };
    let begun: Vec<Vec<_>> = markers.iter().map(begin).collect();
    let mut results = Vec::with_capacity(markers.len());
    for (marker, begun) in markers.into_iter().zip(begun) {
        let mut partitions = Vec::with_capacity(begun.len());
        for ((topic, index), begun) in marker.partitions.into_iter().zip(begun) {
            let outcome = match begun {
                Ok((partition, end)) => {
                    let left = until.saturating_sub(broker.clock.monotonic());
                    let reached = partition.reach(Reach::HighWatermark, end, left).await;
                    reached.map_err(|why| why.code())
                }
                Err(code) => Err(code),
            };
            partitions.push(MarkedPartition { topic, index, outcome });
        }
        results.push(MarkerResult { producer_id: marker.producer_id, partitions });
    }
    results
}

/// Appends a marker to one partition; it is written when everything below the offset is.
fn begin(
    broker: &Broker,
    marker: &Marker,
    topic: &str,
    index: i32,
) -> Result<(Arc<Partition>, Offset), ErrorCode> {
    let known = broker.partitions.by_name(topic);
    let partition = known.as_ref().and_then(|topic| topic.partition(index));
    let partition = partition.ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let now_ms = broker.clock.now_ms();
    let appended = if topic == CONSUMER_OFFSETS {
        broker.coordinators.groups.end_transaction(index, marker, now_ms)
    } else {
        marker.append_to(partition, partition.leader_epoch(), now_ms)
    };
    match appended {
        Ok(appended) => Ok((Arc::clone(partition), appended.end)),
        Err(error) => {
            tracing::debug!(
                partition = %partition.log.name(), producer = %marker.producer_id, %error,
                "a transaction's marker not written"
            );
            Err(error.code())
        }
    }
}

impl Marker {
    /// Appends it to a partition that is led in this epoch.
    pub(crate) fn append_to(
        &self,
        partition: &Partition,
        epoch: LeaderEpoch,
        now_ms: i64,
    ) -> Result<Appended, MarkerError> {
        let &Self { is_commit, coordinator_epoch, producer_id, producer_epoch, .. } = self;
        let marker = EndTransactionMarker { is_commit, coordinator_epoch };
        let mut bytes = Vec::new();
        marker
            .build(Offset::ZERO, producer_id, producer_epoch, now_ms, &mut bytes)
            .map_err(OwnError::from)?;
        let transaction_version = self.transaction_version.into();
        let origin = producers::Origin::Marker { transaction_version };
        Ok(partition.append_own(bytes, epoch, origin, Proof::NotAsked)?)
    }
}
