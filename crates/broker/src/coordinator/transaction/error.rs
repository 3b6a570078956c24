//! Why a transaction coordinator refuses what it is asked.

use super::super::{CoordinatorError, Scene, Transition, WriteError, group::regex::PatternError};

/// Each becomes the code of the same name.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum TransactionError {
    #[error(transparent)]
    Coordinator(#[from] CoordinatorError),
    #[error("the transactional id is empty")]
    InvalidRequest,
    #[error("the transactional id is not the producer's")]
    InvalidProducerIdMapping,
    #[error("the transactional id is not known")]
    TransactionalIdNotFound,
    #[error("a newer producer has taken the transactional id over")]
    ProducerFenced,
    #[error("the transaction before is still being ended")]
    ConcurrentTransactions,
    #[error("the transaction's state does not allow for it")]
    InvalidTxnState,
    #[error("the partition is not part of the transaction")]
    TransactionAbortable,
    #[error("the timeout is not one that transactions may have here")]
    InvalidTransactionTimeout,
    #[error("two-phase commit is not enabled here")]
    TwoPhaseCommitDisabled,
    #[error("prepared transactions are not kept here")]
    KeepsNothingPrepared,
    /// A producer id that was never used is needed; whoever asked may bring one.
    #[error("there is no unused producer id at hand")]
    NoProducerId,
    #[error("the record that says so is too large: {0}")]
    Write(#[from] WriteError),
    #[error(transparent)]
    InvalidRegularExpression(#[from] PatternError),
}

impl TransactionError {
    /// Counts a producer that is refused or put off.
    pub(super) fn counted(self, scene: &Scene<'_>) -> Self {
        match self {
            Self::ProducerFenced => scene.count(Transition::ProducerFenced),
            Self::InvalidProducerIdMapping => scene.count(Transition::ProducerStranger),
            Self::InvalidTxnState => scene.count(Transition::ProducerState),
            Self::ConcurrentTransactions => scene.count(Transition::ProducerEarly),
            _ => {}
        }
        self
    }
}
