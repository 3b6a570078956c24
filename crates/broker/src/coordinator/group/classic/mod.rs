//! Groups whose members agree among themselves: they join, one of them assigns, all take what it
//! says.

use std::sync::Arc;

use milena_protocol::group::GroupMetadataValue;

use super::{
    super::Scene,
    GroupError,
    alarm::Alarm,
    offsets::{Committer, Expiry},
};

/// A group as DescribeGroups tells of it.
#[derive(Debug, Default)]
pub(crate) struct Description {
    pub(crate) state: &'static str,
    pub(crate) protocol_type: Box<str>,
    /// The one that was chosen, in a stable group.
    pub(crate) protocol: Box<str>,
    pub(crate) members: Vec<DescribedMember>,
}

#[derive(Debug)]
pub(crate) struct DescribedMember {
    pub(crate) id: Box<str>,
    pub(crate) instance_id: Option<Box<str>>,
    pub(crate) client_id: Box<str>,
    pub(crate) client_host: Box<str>,
    /// Of the chosen protocol, in a stable group.
    pub(crate) metadata: Box<[u8]>,
    pub(crate) assignment: Box<[u8]>,
}

#[derive(Debug)]
pub(crate) struct ClassicGroup {
    id: Arc<str>,
    alarm: Alarm,
}

impl ClassicGroup {
    pub(super) fn new(id: Arc<str>) -> Self {
        Self { id, alarm: Alarm::default() }
    }

    pub(super) fn replay(id: &Arc<str>, _value: &GroupMetadataValue<'_>) -> Self {
        Self::new(Arc::clone(id))
    }

    pub(super) const fn id(&self) -> &Arc<str> {
        &self.id
    }

    pub(super) const fn alarm(&mut self) -> &mut Alarm {
        &mut self.alarm
    }

    /// Serves from here on: the members' sessions begin.
    pub(super) fn loaded(&mut self, _scene: &mut Scene<'_>) {}

    pub(super) fn on_time(&mut self, _scene: &mut Scene<'_>) {}

    /// Whether this commit may be made; it also shows that its member is alive.
    pub(super) fn check_commit(
        &mut self,
        committer: &Committer<'_>,
        _scene: &mut Scene<'_>,
    ) -> Result<(), GroupError> {
        if committer.generation < 0 {
            return Ok(());
        }
        Err(GroupError::UnknownMemberId(committer.member_id.to_owned()))
    }

    pub(super) fn check_offset_delete(&self) -> Result<(), GroupError> {
        Ok(())
    }

    /// Whether a member reads the topic, as far as that can be told.
    pub(super) fn is_subscribed_to(&self, _topic: &str) -> bool {
        false
    }

    /// From when on its offsets are no longer needed.
    pub(super) fn expiry(&self) -> Expiry {
        Expiry::SinceCommit
    }

    pub(super) fn is_empty(&self) -> bool {
        true
    }

    /// Takes its record away; it has no members.
    pub(super) fn delete(&mut self, _scene: &mut Scene<'_>) -> Result<(), GroupError> {
        Ok(())
    }

    pub(super) const fn state(&self) -> &'static str {
        "Empty"
    }

    /// Empty where nobody has said.
    pub(super) fn protocol_type(&self) -> &str {
        ""
    }

    pub(super) fn describe(&self) -> Description {
        Description { state: self.state(), ..Description::default() }
    }

    /// Whether it has neither members nor a record.
    pub(super) const fn is_nothing(&self) -> bool {
        true
    }
}
