//! Where errors become Kafka's codes: the only such place.

use milena_metadata::MetadataError;
use milena_protocol::{
    ErrorCode,
    records::{RecordError, Rejection},
};
use milena_storage::{AppendError, ReadError, StorageError, producers::SequenceError};

use crate::{
    coordinator::{CoordinatorError, group::GroupError, transaction::TransactionError},
    partition::{EpochCheck, OwnError, Unreached, table::Absent},
    transactions::markers::MarkerError,
};

/// What a client is told about an error.
pub(crate) trait ToCode {
    fn code(&self) -> ErrorCode;
}

impl ToCode for RecordError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Length(_) | Self::Magic(_) | Self::Crc { .. } | Self::Codec { .. } => {
                ErrorCode::CorruptMessage
            }
            Self::NoBatch { .. }
            | Self::BytesBehindBatch(_)
            | Self::OldMagic(_)
            | Self::BaseOffset(_)
            | Self::Count { .. }
            | Self::Control
            | Self::DeleteHorizon
            | Self::Sequence(_)
            | Self::Framing { .. }
            | Self::OffsetDelta { .. }
            | Self::BytesBehindRecords
            | Self::OverBudget { .. } => ErrorCode::InvalidRecord,
            Self::TooLarge { .. } => ErrorCode::MessageTooLarge,
            Self::UnknownCodec(_) | Self::ZstdTooEarly => ErrorCode::UnsupportedCompressionType,
            Self::AppendTime => ErrorCode::InvalidTimestamp,
            Self::Rejected(rejected) => match rejected.records.first().map(|first| first.reason) {
                Some(Rejection::Timestamp { .. }) => ErrorCode::InvalidTimestamp,
                Some(Rejection::NullKey) | None => ErrorCode::InvalidRecord,
            },
        }
    }
}

impl ToCode for StorageError {
    /// Whatever it is, this replica is of no use now, and a client looks for another one.
    fn code(&self) -> ErrorCode {
        ErrorCode::KafkaStorageError
    }
}

impl ToCode for AppendError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Storage(error) => error.code(),
            Self::DiskFull(_) => ErrorCode::KafkaStorageError,
            // It is about to lead again, or to be gone; either way the client asks anew.
            Self::Closed(_) | Self::Paused(_) | Self::OldEpoch { .. } => {
                ErrorCode::NotLeaderOrFollower
            }
            Self::Sequence(error) => error.code(),
            Self::LargerThanSegment { .. } => ErrorCode::RecordListTooLarge,
            Self::Batch(_) => ErrorCode::CorruptMessage,
            Self::OutOfOrder { .. } | Self::Marker(_) => ErrorCode::InvalidRecord,
        }
    }
}

impl ToCode for SequenceError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
            Self::InvalidProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
            Self::InvalidTransactionState { .. } | Self::NotInTransaction { .. } => {
                ErrorCode::InvalidTxnState
            }
            Self::CoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
        }
    }
}

impl ToCode for ReadError {
    fn code(&self) -> ErrorCode {
        match self {
            // Another replica may have it whole; whoever reads must not skip it unawares.
            Self::Storage(StorageError::Corrupt { .. }) => ErrorCode::CorruptMessage,
            Self::Storage(error) => error.code(),
            Self::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        }
    }
}

impl ToCode for EpochCheck {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Current => ErrorCode::None,
            Self::Old => ErrorCode::FencedLeaderEpoch,
            Self::Unknown => ErrorCode::UnknownLeaderEpoch,
        }
    }
}

impl ToCode for Absent {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unknown => ErrorCode::UnknownTopicOrPartition,
            Self::Away => ErrorCode::KafkaStorageError,
        }
    }
}

impl ToCode for Unreached {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Offline => ErrorCode::KafkaStorageError,
            Self::Closed => ErrorCode::NotLeaderOrFollower,
            Self::Late => ErrorCode::RequestTimedOut,
        }
    }
}

impl ToCode for MarkerError {
    fn code(&self) -> ErrorCode {
        match self {
            // Who ends a transaction looks for leaders of partitions, and for no coordinator.
            Self::Coordinator(_) => ErrorCode::NotLeaderOrFollower,
            Self::Own(error) => error.code(),
        }
    }
}

impl ToCode for OwnError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotEnoughReplicas(_) => ErrorCode::NotEnoughReplicas,
            Self::Build(_) => ErrorCode::UnknownServerError,
            Self::Record(error) => error.code(),
            Self::Append(error) => error.code(),
        }
    }
}

impl ToCode for MetadataError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotController(_) | Self::Stopped => ErrorCode::NotController,
            Self::Request(_) => ErrorCode::InvalidRequest,
            Self::DiskFull => ErrorCode::KafkaStorageError,
        }
    }
}

impl ToCode for CoordinatorError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotCoordinator => ErrorCode::NotCoordinator,
            Self::Loading => ErrorCode::CoordinatorLoadInProgress,
            Self::NotAvailable => ErrorCode::CoordinatorNotAvailable,
            Self::Producer(error) => error.code(),
        }
    }
}

impl ToCode for GroupError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Coordinator(error) => error.code(),
            Self::InvalidGroupId => ErrorCode::InvalidGroupId,
            Self::GroupIdNotFound(_) | Self::OtherProtocol(_) => ErrorCode::GroupIdNotFound,
            Self::UnknownMemberId(_) => ErrorCode::UnknownMemberId,
            Self::IllegalGeneration => ErrorCode::IllegalGeneration,
            Self::RebalanceInProgress => ErrorCode::RebalanceInProgress,
            Self::FencedInstanceId(_) => ErrorCode::FencedInstanceId,
            Self::NonEmptyGroup => ErrorCode::NonEmptyGroup,
            // Kafka has no better word for it; what cannot be written now never can.
            Self::Write(_) => ErrorCode::UnknownServerError,
            Self::MemberIdRequired(_) => ErrorCode::MemberIdRequired,
            Self::GroupMaxSizeReached(_) => ErrorCode::GroupMaxSizeReached,
            Self::InvalidSessionTimeout => ErrorCode::InvalidSessionTimeout,
            Self::InconsistentGroupProtocol => ErrorCode::InconsistentGroupProtocol,
            Self::InvalidRequest(_) => ErrorCode::InvalidRequest,
            Self::FencedMemberEpoch(_) => ErrorCode::FencedMemberEpoch,
            Self::StaleMemberEpoch(_) => ErrorCode::StaleMemberEpoch,
            Self::UnreleasedInstanceId(_) => ErrorCode::UnreleasedInstanceId,
            Self::UnsupportedAssignor(_) => ErrorCode::UnsupportedAssignor,
            Self::InvalidRegularExpression(_) => ErrorCode::InvalidRegularExpression,
            Self::UnsupportedVersion(_) => ErrorCode::UnsupportedVersion,
        }
    }
}

impl ToCode for TransactionError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Coordinator(error) => error.code(),
            Self::InvalidRequest => ErrorCode::InvalidRequest,
            Self::InvalidProducerIdMapping => ErrorCode::InvalidProducerIdMapping,
            Self::TransactionalIdNotFound => ErrorCode::TransactionalIdNotFound,
            Self::ProducerFenced => ErrorCode::ProducerFenced,
            Self::ConcurrentTransactions => ErrorCode::ConcurrentTransactions,
            Self::InvalidTxnState => ErrorCode::InvalidTxnState,
            Self::TransactionAbortable => ErrorCode::TransactionAbortable,
            Self::InvalidTransactionTimeout => ErrorCode::InvalidTransactionTimeout,
            Self::TwoPhaseCommitDisabled => ErrorCode::TransactionalIdAuthorizationFailed,
            Self::KeepsNothingPrepared => ErrorCode::UnsupportedVersion,
            // The controller is not there for a moment; a producer tries again.
            Self::NoProducerId => ErrorCode::CoordinatorLoadInProgress,
            // Kafka has no better word for it; what cannot be written now never can.
            Self::Write(_) => ErrorCode::UnknownServerError,
            Self::InvalidRegularExpression(_) => ErrorCode::InvalidRegularExpression,
        }
    }
}
