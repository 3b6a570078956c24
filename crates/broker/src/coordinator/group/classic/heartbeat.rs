//! Heartbeat: a member is alive, and hears whether it must join again.

use super::{
    super::{super::Scene, Group, GroupError, Groups, Members},
    ClassicGroup, Phase,
};

#[derive(Clone, Copy, Debug)]
pub(crate) struct HeartbeatRequest<'a> {
    pub(crate) group: &'a str,
    pub(crate) member_id: &'a str,
    pub(crate) instance_id: Option<&'a str>,
    pub(crate) generation: i32,
}

impl Groups {
    pub(crate) fn heartbeat(
        &mut self,
        request: &HeartbeatRequest<'_>,
        scene: &mut Scene<'_>,
    ) -> Result<(), GroupError> {
        if request.group.is_empty() {
            return Err(GroupError::InvalidGroupId);
        }
        let beat = |group: &mut Group| match &mut group.members {
            Members::Classic(group) => group.heartbeat(request, scene),
            Members::Consumer(group) => group.beat(request, scene),
        };
        let unknown = || Err(GroupError::UnknownMemberId(request.member_id.to_owned()));
        let beaten = self.on_group(request.group, beat).unwrap_or_else(unknown);
        beaten.map_err(|error| error.counted(scene))
    }
}

impl ClassicGroup {
    fn heartbeat(
        &mut self,
        request: &HeartbeatRequest<'_>,
        scene: &Scene<'_>,
    ) -> Result<(), GroupError> {
        let member = self.check_member(request.member_id, request.instance_id)?;
        if request.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        self.show_alive(&member, scene);
        match self.phase {
            Phase::PreparingRebalance(_) => Err(GroupError::RebalanceInProgress),
            _ => Ok(()),
        }
    }
}
