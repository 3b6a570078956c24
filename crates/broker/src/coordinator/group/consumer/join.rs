//! Who may speak for a member: those with its id and its epoch, and who takes the place of a static
//! member that has left.

use std::sync::Arc;

use super::{
    super::{
        super::{Scene, Transition},
        GroupError,
    },
    Change, ConsumerGroup, ConsumerHeartbeat, Draft,
    member::{AWAY, Current, Member},
    reconcile::{Claimed, claims_only},
};

impl ConsumerGroup {
    /// Finds the member that speaks, or makes room for a new one; its id.
    pub(super) fn admit(
        &mut self,
        request: &ConsumerHeartbeat<'_>,
        draft: &mut Draft,
        scene: &mut Scene<'_>,
    ) -> Result<Arc<str>, GroupError> {
        let &ConsumerHeartbeat { member_id, member_epoch, instance_id, .. } = request;
        let joins = member_epoch == 0;
        let size_max = scene.config.groups.consumer.membership.size_max;
        if self.members.len() >= size_max && !self.members.contains_key(member_id) {
            let why = format!("The consumer group has its {size_max} members already.");
            return Err(GroupError::GroupMaxSizeReached(why));
        }
        let new_id = |scene: &mut Scene<'_>| -> Arc<str> {
            if member_id.is_empty() {
                let id = milena_protocol::Uuid::from_be_bytes(scene.random.uuid());
                return id.to_string().into();
            }
            member_id.into()
        };
        let Some(instance) = instance_id else {
            let id = match self.known(member_id) {
                Ok(id) => id,
                Err(_) if joins => {
                    let id = new_id(scene);
                    tracing::info!(group = %self.id, member = %id, "member joins");
                    scene.count(Transition::JoinedNew);
                    return Ok(id);
                }
                Err(error) => return Err(error),
            };
            self.check_epoch(&id, member_epoch, request.owned.as_deref())?;
            return Ok(id);
        };
        if !joins {
            let id = self.known_instance(instance, member_id)?;
            self.check_epoch(&id, member_epoch, request.owned.as_deref())?;
            return Ok(id);
        }
        let id = new_id(scene);
        if let Some(before) = self.static_members.get(instance).cloned() {
            self.check_released(&before, instance, &id)?;
            self.replace(&before, &id, draft)?;
            tracing::info!(
                group = %self.id, instance, member = %id, %before, "static member is back"
            );
            scene.count(Transition::JoinedInPlace);
        } else {
            tracing::info!(group = %self.id, instance, member = %id, "static member joins");
            scene.count(Transition::JoinedStatic);
        }
        Ok(id)
    }

    pub(super) fn known(&self, id: &str) -> Result<Arc<str>, GroupError> {
        let known = self.members.get_key_value(id).map(|(id, _)| Arc::clone(id));
        known.ok_or_else(|| GroupError::UnknownMemberId(id.to_owned()))
    }

    /// The member of an instance, if that is who speaks.
    pub(super) fn known_instance(
        &self,
        instance: &str,
        member_id: &str,
    ) -> Result<Arc<str>, GroupError> {
        match self.static_members.get(instance) {
            None => Err(GroupError::UnknownMemberId(member_id.to_owned())),
            Some(id) if **id != *member_id => {
                Err(GroupError::FencedInstanceId(instance.to_owned()))
            }
            Some(id) => Ok(Arc::clone(id)),
        }
    }

    /// A member speaks from its own epoch, or from the one before if it may not have heard of its
    /// epoch and has nothing that it must not have.
    fn check_epoch(&self, id: &str, epoch: i32, claimed: Claimed<'_>) -> Result<(), GroupError> {
        let Some(Member { current, .. }) = self.members.get(id) else { return Ok(()) };
        let has_missed_answer =
            || epoch == current.previous_epoch && claims_only(claimed, &current.assigned);
        if epoch == 0 || epoch == current.epoch || (epoch < current.epoch && has_missed_answer()) {
            return Ok(());
        }
        let known = current.epoch;
        let why = format!("member epoch {epoch} is not {known}: give everything up and join anew");
        Err(GroupError::FencedMemberEpoch(why))
    }

    /// Two that are alive do not share an instance. One that speaks the classic protocol does not
    /// say when it leaves.
    fn check_released(&self, by: &str, instance: &str, joins: &str) -> Result<(), GroupError> {
        let is_there =
            |member: &Member| member.current.epoch != AWAY && member.metadata.classic.is_none();
        if self.members.get(by).is_none_or(|member| !is_there(member)) {
            return Ok(());
        }
        let why = format!("{joins} cannot join: instance {instance} belongs to member {by}.");
        tracing::info!(group = %self.id, instance, joins, owner = by, "instance not released");
        Err(GroupError::UnreleasedInstanceId(why))
    }

    /// A new member takes the place of the one before, with all that it has and shall have.
    pub(super) fn replace(
        &mut self,
        before: &Arc<str>,
        id: &Arc<str>,
        draft: &mut Draft,
    ) -> Result<(), GroupError> {
        let Some(Member { metadata, current, .. }) = self.members.get(before).cloned() else {
            return Ok(());
        };
        let target = self.target(before).clone();
        let current = Current { epoch: 0, previous_epoch: 0, ..current };
        self.remove_member(before, draft)?;
        self.change(draft, Change::Member(Arc::clone(id), Some(metadata)))?;
        self.change(draft, Change::Target(Arc::clone(id), Some(target)))?;
        self.change(draft, Change::Current(Arc::clone(id), Some(current)))
    }
}
