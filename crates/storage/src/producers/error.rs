//! Why a batch or marker of a producer is refused. The caller adds which partition it was.

use milena_protocol::{Offset, ProducerEpoch, ProducerId};

/// What contradicts what is known of the producer; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SequenceError {
    /// A batch is missing before this one, or it is older than the batches that are remembered.
    #[error("producer {producer_id} sent sequence {got} where {expected} comes next")]
    OutOfOrderSequence { producer_id: ProducerId, expected: i32, got: i32 },
    /// Another incarnation of the producer has written since.
    #[error("producer {producer_id} has epoch {got}, but epoch {known} has written already")]
    InvalidProducerEpoch { producer_id: ProducerId, known: ProducerEpoch, got: ProducerEpoch },
    /// A batch outside of transactions while one is open.
    #[error("producer {producer_id} wrote outside of the transaction it began at {first_offset}")]
    InvalidTransactionState { producer_id: ProducerId, first_offset: Offset },
    /// The first batch of a transaction whose coordinator has not said, or not since the last one
    /// ended, that this partition is part of it.
    #[error("producer {producer_id} has no transaction here that a coordinator knows of")]
    NotInTransaction { producer_id: ProducerId },
    /// A marker from a coordinator that has been replaced.
    #[error("marker for producer {producer_id} is from coordinator epoch {got}, now is {known}")]
    CoordinatorFenced { producer_id: ProducerId, known: i32, got: i32 },
}
