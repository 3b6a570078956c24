//! Why a group refuses what it is asked.

use super::{
    super::WriteError,
    super::{CoordinatorError, Scene, Transition},
};

/// Each becomes the code of the same name.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum GroupError {
    #[error(transparent)]
    Coordinator(#[from] CoordinatorError),
    #[error("the group id is not valid")]
    InvalidGroupId,
    #[error("Group {0} not found.")]
    GroupIdNotFound(String),
    /// It is there, and yet not for who asks.
    #[error("Group {0} is of another protocol.")]
    OtherProtocol(String),
    #[error("the group has no member {0}")]
    UnknownMemberId(String),
    #[error("the member's generation is not the group's")]
    IllegalGeneration,
    #[error("the group is being rebalanced")]
    RebalanceInProgress,
    #[error("instance {0} belongs to another member now")]
    FencedInstanceId(String),
    #[error("the group still has members")]
    NonEmptyGroup,
    #[error("the records that say so are too large: {0}")]
    Write(#[from] WriteError),
    /// A new member has to come again with the id that it is given.
    #[error("come again as member {0}")]
    MemberIdRequired(String),
    #[error("the group has as many members as it may have: {0}")]
    GroupMaxSizeReached(String),
    #[error("the session timeout is not within what the broker allows")]
    InvalidSessionTimeout,
    #[error("the protocols do not go together with those of the other members")]
    InconsistentGroupProtocol,
    #[error("{0}")]
    InvalidRequest(String),
    #[error("{0}")]
    FencedMemberEpoch(String),
    #[error("{0}")]
    StaleMemberEpoch(String),
    #[error("{0}")]
    UnreleasedInstanceId(String),
    #[error("{0}")]
    UnsupportedAssignor(String),
    #[error("{0}")]
    InvalidRegularExpression(String),
    #[error("{0}")]
    UnsupportedVersion(String),
}

impl GroupError {
    /// Counts that somebody is refused who has to begin anew, or may not come in.
    pub(super) fn counted(self, scene: &Scene<'_>) -> Self {
        let refused = match self {
            Self::UnknownMemberId(_) => Transition::RefusedUnknown,
            Self::IllegalGeneration => Transition::RefusedGeneration,
            Self::FencedMemberEpoch(_) | Self::StaleMemberEpoch(_) => Transition::RefusedEpoch,
            Self::FencedInstanceId(_) => Transition::RefusedInstance,
            Self::UnreleasedInstanceId(_) => Transition::RefusedUnreleased,
            Self::GroupMaxSizeReached(_) => Transition::RefusedFull,
            Self::InconsistentGroupProtocol => Transition::RefusedProtocol,
            Self::InvalidRegularExpression(_) => Transition::RefusedPattern,
            _ => return self,
        };
        scene.count(refused);
        self
    }
}
