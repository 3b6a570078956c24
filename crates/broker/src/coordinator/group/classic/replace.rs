//! A static member is started anew (KIP-345).

use std::sync::Arc;

use super::{
    super::super::{Reply, Scene, Transition},
    ClassicGroup, GroupError, JoinAnswer, JoinRefused, JoinRequest, Phase,
    member::Member,
    seat::new_member_id,
};

impl ClassicGroup {
    /// A static member was started anew: it takes the place of the one it was, with its
    /// assignment. A stable group is not disturbed, unless it would choose another protocol.
    pub(super) fn replace_static(
        &mut self,
        old: &Arc<str>,
        request: &JoinRequest<'_>,
        scene: &mut Scene<'_>,
        reply: Reply<JoinAnswer>,
    ) {
        let id = new_member_id(request, scene);
        let instance_id = request.instance_id.unwrap_or_default();
        let Some(mut was) = self.members.remove(old) else { return };
        let error = GroupError::FencedInstanceId(instance_id.to_owned());
        was.refuse(JoinRefused { member_id: old.as_ref().into(), error }, scene);
        let mut member = Member::new(id.len(), request);
        member.assignment = was.assignment;
        member.must_sync = was.must_sync;
        member.begin_session(scene.now.elapsed);
        self.alarm.by(member.deadline);
        self.members.insert(Arc::clone(&id), member);
        let leader = self.leader.clone();
        if self.is_leader(old) {
            self.leader = Some(Arc::clone(&id));
        }
        let state = self.state();
        tracing::info!(
            group = %self.id, member = %id, was = %old, instance_id, state, reason = request.reason,
            "static member replaced"
        );
        scene.count(Transition::JoinedInPlace);
        if self.phase == Phase::Stable && self.choose_protocol() == self.protocol {
            self.subscribed = self.subscriptions();
            match self.write(scene) {
                Ok(()) => {
                    let mut joined = self.joined(&id);
                    if request.supports_skip_assignment {
                        joined.skip_assignment = self.is_leader(&id);
                    } else {
                        // Who cannot be told to leave the assignment alone must not lead.
                        joined.members.clear();
                        joined.leader = leader;
                    }
                    return scene.effects.reply(reply, Ok(joined));
                }
                Err(error) => {
                    tracing::warn!(group = %self.id, %error, "static member not written");
                }
            }
        }
        if let Some(member) = self.members.get_mut(&id) {
            member.wait_to_join(reply, scene);
        }
        self.rebalance(Transition::RebalanceBack, scene);
    }
}
