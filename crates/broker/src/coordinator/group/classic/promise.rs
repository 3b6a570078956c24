//! Ids of those who are to come again with them (KIP-394). Whoever asks is given one, so they are
//! bounded by themselves, for all groups of a partition: the oldest goes when there are too many.
//! A member comes again at once, and long before that many others have asked.

use std::sync::Arc;

use super::{
    super::{
        super::{Reply, Scene, Transition},
        Groups, Members,
    },
    ClassicGroup, GroupError, JoinAnswer, JoinRequest,
    member::milliseconds,
    seat::new_member_id,
};
use crate::limits::PENDING_MEMBERS_MAX;

impl Groups {
    /// A group has given out an id.
    pub(super) fn remember_promise(&mut self, group: &str, id: Arc<str>, scene: &mut Scene<'_>) {
        let Some(group) = self.get(group).map(|group| Arc::clone(group.id())) else { return };
        self.promised.push_back((group, id));
        if self.promised.len() <= PENDING_MEMBERS_MAX {
            return;
        }
        if let Some((group, id)) = self.promised.pop_front() {
            self.on_group(&group, |group| {
                if let Members::Classic(group) = &mut group.members {
                    group.forget_promise(&id, scene);
                }
            });
        }
    }
}

impl ClassicGroup {
    pub(super) fn promise_id(
        &mut self,
        request: &JoinRequest<'_>,
        scene: &mut Scene<'_>,
        reply: Reply<JoinAnswer>,
    ) -> Arc<str> {
        let id = new_member_id(request, scene);
        tracing::info!(group = %self.id, member = %id, "new member to come again with its id");
        scene.count(Transition::IdGiven);
        let until = scene.now.elapsed + milliseconds(request.session_timeout_ms);
        self.alarm.by(until);
        self.pending.insert(Arc::clone(&id), until);
        let error = GroupError::MemberIdRequired(id.as_ref().to_owned());
        scene.effects.reply(reply, Err(request.refused(error)));
        id
    }

    /// It may have come long ago, or left.
    fn forget_promise(&mut self, id: &str, scene: &mut Scene<'_>) {
        if self.pending.remove(id).is_some() {
            tracing::info!(group = %self.id, member = id, "too many were given ids after it");
            scene.count(Transition::IdForgotten);
            self.try_complete_join(scene);
        }
    }
}
