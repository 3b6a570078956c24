//! LeaveGroup: members go, or a tool takes static ones out.

use std::sync::Arc;

use super::{
    super::{
        super::{Scene, Transition},
        Group, GroupError, Groups, Members,
    },
    ClassicGroup,
};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaving<'a> {
    /// Empty where somebody else names the instance that is to go.
    pub(crate) member_id: &'a str,
    pub(crate) instance_id: Option<&'a str>,
    pub(crate) reason: &'a str,
}

impl Groups {
    /// What became of each; an error for the request as a whole concerns the group.
    pub(crate) fn leave(
        &mut self,
        group: &str,
        leaving: &[Leaving<'_>],
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Result<(), GroupError>>, GroupError> {
        if group.is_empty() {
            return Err(GroupError::InvalidGroupId);
        }
        let unknown = |it: &Leaving<'_>| Err(GroupError::UnknownMemberId(it.member_id.to_owned()));
        let nobody = || leaving.iter().map(unknown).collect();
        let leave = |group: &mut Group| match &mut group.members {
            Members::Classic(group) => Ok(group.leave(leaving, scene)),
            Members::Consumer(consumers) => {
                let left = consumers.leave_all(leaving, scene);
                group.hand_over_if_classic(scene);
                left
            }
        };
        self.on_group(group, leave).unwrap_or_else(|| Ok(nobody()))
    }
}

impl ClassicGroup {
    fn leave(
        &mut self,
        leaving: &[Leaving<'_>],
        scene: &mut Scene<'_>,
    ) -> Vec<Result<(), GroupError>> {
        let leave = |it| self.leave_one(it, scene).map_err(|error| error.counted(scene));
        let left: Vec<_> = leaving.iter().map(leave).collect();
        if left.iter().any(Result::is_ok) {
            self.rebalance(Transition::RebalanceLeft, scene);
        }
        left
    }

    fn leave_one(&mut self, it: &Leaving<'_>, scene: &mut Scene<'_>) -> Result<(), GroupError> {
        let &Leaving { member_id, instance_id, reason } = it;
        if self.pending.remove(member_id).is_some() {
            tracing::info!(group = %self.id, member = member_id, reason, "pending member left");
            scene.count(Transition::LeftBeforeJoining);
            return Ok(());
        }
        let id = match instance_id {
            Some(instance_id) if member_id.is_empty() => {
                let unknown = || GroupError::UnknownMemberId(instance_id.to_owned());
                Arc::clone(self.static_member(instance_id).ok_or_else(unknown)?)
            }
            _ => self.check_member(member_id, instance_id)?,
        };
        tracing::info!(group = %self.id, member = %id, instance_id, reason, "member left");
        scene.count(Transition::LeftByRequest);
        self.remove(&id, scene);
        Ok(())
    }
}
