//! Who may commit offsets, and read them, in the group's name.

use milena_protocol::Uuid;

use super::{
    super::{
        GroupError,
        offsets::{CommitRequest, TopicCommit},
    },
    ConsumerGroup,
    member::Member,
};

/// From this version on the answer can tell a member that its epoch is over.
const EPOCH_VERSION: i16 = 9;

impl ConsumerGroup {
    /// A member commits in its epoch, or in an earlier one what it has had since then.
    pub(in super::super) fn check_commit(
        &self,
        request: &CommitRequest<'_>,
    ) -> Result<(), GroupError> {
        let committer = &request.committer;
        let epoch = committer.generation;
        if epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        let member = self.member(committer.member_id)?;
        if committer.version < EPOCH_VERSION && member.metadata.classic.is_none() {
            let why = "members of a consumer group commit by version 9 or above".to_owned();
            return Err(GroupError::UnsupportedVersion(why));
        }
        let current = &member.current;
        if epoch == current.epoch {
            return Ok(());
        }
        let has_had = |topic: &TopicCommit<'_>, partition: i32| {
            current.epoch_of(topic.id, partition).is_some_and(|since| since <= epoch)
        };
        let is_its = |topic: &TopicCommit<'_>| {
            topic.id != Uuid::ZERO && topic.partitions.iter().all(|it| has_had(topic, it.index))
        };
        if epoch < current.epoch && request.topics.iter().all(is_its) {
            return Ok(());
        }
        Err(member.wrong_epoch(epoch))
    }

    /// A transaction commits as its consumer would; old producers do not say whose they are.
    pub(in super::super) fn check_commit_in_transaction(
        &self,
        request: &CommitRequest<'_>,
    ) -> Result<(), GroupError> {
        let committer = &request.committer;
        let names_nobody = committer.generation == -1
            && committer.member_id.is_empty()
            && committer.instance_id.is_none();
        if names_nobody {
            return Ok(());
        }
        self.check_commit(request).map_err(|error| match error {
            // Producers know of no epochs of members.
            GroupError::StaleMemberEpoch(_) => GroupError::IllegalGeneration,
            other => other,
        })
    }

    /// A member that says who it is reads in its epoch.
    pub(in super::super) fn check_fetch(
        &self,
        member_id: Option<&str>,
        epoch: i32,
    ) -> Result<(), GroupError> {
        if member_id.is_none() && epoch < 0 {
            return Ok(());
        }
        let member = self.member(member_id.unwrap_or_default())?;
        if epoch == member.current.epoch { Ok(()) } else { Err(member.wrong_epoch(epoch)) }
    }

    fn member(&self, id: &str) -> Result<&Member, GroupError> {
        self.members.get(id).ok_or_else(|| GroupError::UnknownMemberId(id.to_owned()))
    }
}

impl Member {
    fn wrong_epoch(&self, epoch: i32) -> GroupError {
        if self.metadata.classic.is_some() {
            return GroupError::IllegalGeneration;
        }
        let known = self.current.epoch;
        GroupError::StaleMemberEpoch(format!("member epoch {epoch} is not the member's, {known}"))
    }
}
