//! OffsetFetch: how far has the group come?

use milena_protocol::Uuid;

use super::{
    super::{GroupError, Groups},
    Commit, Committed, PendingCommits,
};

impl Groups {
    /// Looks at what the group has committed; `None` where there is no such group. A consumer that
    /// says who it is (`member_id`, `epoch`) must be a member.
    pub(crate) fn fetch<T>(
        &self,
        group: &str,
        member_id: Option<&str>,
        epoch: i32,
        look: impl FnOnce(&Committed, &PendingCommits) -> T,
    ) -> Result<Option<T>, GroupError> {
        let Some(group) = self.get(group) else { return Ok(None) };
        group.check_fetch(member_id, epoch)?;
        Ok(Some(look(&group.offsets, &self.pending)))
    }
}

impl Commit {
    /// Whether it was committed for this topic, and not for another that had its name.
    pub(crate) fn is_of(&self, topic: Uuid) -> bool {
        self.topic_id == topic || self.topic_id == Uuid::ZERO || topic == Uuid::ZERO
    }
}
