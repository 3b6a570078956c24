//! Verification (KIP-890): before a transaction's first batch is appended to a partition, its
//! coordinator is asked whether the partition is part of it. For clients that get an epoch for each
//! transaction the question makes it so.
//!
//! What was answered counts only while nothing has ended the transaction since: storage sees to it.

use std::sync::Arc;

use milena_protocol::ErrorCode;
use milena_storage::producers::{Claim, Proof, SequenceError, VerificationGuard};

pub(crate) use crate::coordinator::transaction::Producer;
use crate::{broker::Broker, error_map::ToCode, partition::Partition};

/// What a client of a request's version does about its partitions, and what it can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It adds them before it writes.
    Adds,
    /// Likewise, and it knows of an error that says to abort.
    AddsAndAborts,
    /// It leaves that to whoever it writes to.
    Leaves,
}

impl Manner {
    pub(crate) const fn of_produce(version: i16) -> Self {
        Self::since(version, 11)
    }

    pub(crate) const fn of_txn_offset_commit(version: i16) -> Self {
        Self::since(version, 4)
    }

    const fn since(version: i16, aborts: i16) -> Self {
        if version < aborts {
            Self::Adds
        } else if version == aborts {
            Self::AddsAndAborts
        } else {
            Self::Leaves
        }
    }
}

/// What is known of a batch before it is appended.
#[derive(Debug, Default)]
pub(crate) enum Standing {
    /// It is not transactional, or nobody verifies.
    #[default]
    NotAsked,
    /// Its transaction has written to the partition before.
    Open,
    /// The coordinator is to be asked, and the guard to be shown afterwards.
    Asking(VerificationGuard),
}

impl Standing {
    pub(crate) const fn proof(&self) -> Proof<'_> {
        match self {
            Self::NotAsked => Proof::NotAsked,
            Self::Open => Proof::None,
            Self::Asking(guard) => Proof::Guard(guard),
        }
    }
}

/// Looks whether the coordinator has to be asked about a batch.
pub(crate) fn begin(
    broker: &Broker,
    producer: &Producer<'_>,
    manner: Manner,
    partition: &Partition,
    base_sequence: i32,
) -> Result<Standing, SequenceError> {
    let adds = manner == Manner::Leaves;
    if !adds && !broker.config.load().transactions.verifies_partitions {
        return Ok(Standing::NotAsked);
    }
    let (producer_id, producer_epoch) = (producer.id, producer.epoch);
    let claim = Claim { producer_id, producer_epoch, base_sequence, adds };
    let guard = partition.log.begin_verification(&claim)?;
    Ok(guard.map_or(Standing::Open, Standing::Asking))
}

/// Asks the coordinator about partitions, and says for each whether it is part of the transaction,
/// or why not.
pub(crate) async fn ask(
    broker: &Arc<Broker>,
    producer: &Producer<'_>,
    manner: Manner,
    partitions: &[(&str, i32)],
) -> Vec<Result<(), ErrorCode>> {
    let (image, adds) = (broker.image(), manner == Manner::Leaves);
    let asked = broker.coordinators.verify_in_transaction(&image, producer, partitions, adds);
    let answer = asked.await;
    let told = |code: ErrorCode| match code {
        // Producers know it by this name where they did not ask the coordinator themselves.
        ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
        ErrorCode::TransactionAbortable if manner == Manner::Adds => ErrorCode::InvalidTxnState,
        code => code,
    };
    match answer {
        Ok(parts) => {
            let each = parts.into_iter().map(|is_part| match is_part {
                true => Ok(()),
                false => Err(told(ErrorCode::TransactionAbortable)),
            });
            each.collect()
        }
        Err(error) => vec![Err(told(error.code())); partitions.len()],
    }
}
