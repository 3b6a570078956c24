//! Who may join, and as whom.

use std::sync::Arc;

use super::{
    super::super::Scene,
    ClassicGroup, GroupError, JoinRequest, Phase,
    member::{Member, record_bytes},
};

/// What a group's record takes beside its members, its id and its protocol type, at most.
const GROUP_RECORD_BYTES: usize = 128;

/// Of the name with which a new member's id begins: enough to recognise it, and little to keep of
/// whoever asks for an id.
const ID_PREFIX_BYTES_MAX: usize = 255;

/// As whom somebody joins.
pub(super) enum Seat {
    /// It gets an id, and has to come again with it.
    Promised,
    New(Arc<str>),
    /// The same member as before.
    Own(Arc<str>),
    /// A static member that was started anew, in place of the one it was.
    Replacing(Arc<str>),
}

impl ClassicGroup {
    /// As whom it joins, if it may.
    pub(super) fn seat(
        &self,
        request: &JoinRequest<'_>,
        scene: &mut Scene<'_>,
    ) -> Result<Seat, GroupError> {
        let replaced = match request.instance_id {
            Some(instance_id) if request.member_id.is_empty() => self.static_member(instance_id),
            _ => None,
        };
        let member_id = replaced.map_or(request.member_id, |id| id);
        self.check_size(member_id, scene.config.groups.classic.size_max)?;
        // In a rebalance everybody comes again as it was: then there is nothing to look for.
        let known = self.members.get(request.member_id);
        let is_unchanged = known.is_some_and(|member| member.matches(request))
            && self.protocol_type() == request.protocol_type;
        if !is_unchanged && !self.speaks_one_of(request) {
            return Err(GroupError::InconsistentGroupProtocol);
        }
        let seat = if let Some(id) = replaced {
            Seat::Replacing(Arc::clone(id))
        } else if !request.member_id.is_empty() {
            match self.pending.get_key_value(request.member_id) {
                Some((id, _)) if request.instance_id.is_none() => Seat::New(Arc::clone(id)),
                _ => Seat::Own(self.check_member(request.member_id, request.instance_id)?),
            }
        } else if request.requires_member_id && request.instance_id.is_none() {
            Seat::Promised
        } else {
            Seat::New(new_member_id(request, scene))
        };
        if !is_unchanged {
            self.check_record(request, member_id, scene)?;
        }
        Ok(seat)
    }

    /// Whether the group may have this member, too.
    fn check_size(&self, member_id: &str, size_max: usize) -> Result<(), GroupError> {
        let known = self.members.get(member_id);
        let has_room = match self.phase {
            Phase::Empty => true,
            _ if self.members.len() < size_max => true,
            // There may be more members than are allowed by now; the first to come back stay.
            Phase::PreparingRebalance(_) => {
                let joining = self.members.values().filter(|member| member.join.is_some()).count();
                known.is_some_and(|member| member.join.is_some()) || joining < size_max
            }
            Phase::CompletingRebalance | Phase::Stable => known.is_some(),
        };
        if has_room { Ok(()) } else { Err(self.full()) }
    }

    fn full(&self) -> GroupError {
        let (members, pending) = (self.members.len(), self.pending.len());
        GroupError::GroupMaxSizeReached(format!("{members}, and {pending} about to join"))
    }

    /// Whether the group can still be written down with this member in it.
    fn check_record(
        &self,
        request: &JoinRequest<'_>,
        member_id: &str,
        scene: &Scene<'_>,
    ) -> Result<(), GroupError> {
        let others = self.members.iter().filter(|(id, _)| ***id != *member_id);
        let others: usize = others.map(|(_, member)| member.record_bytes).sum();
        let id_bytes = member_id.len().max(ID_PREFIX_BYTES_MAX.min(id_prefix(request).len()) + 37);
        let known = self.members.get(request.member_id);
        let texts = known.map_or_else(|| request.texts(), Member::texts);
        let own = record_bytes(id_bytes, texts, request.largest_protocol());
        let group = GROUP_RECORD_BYTES + self.id.len() + request.protocol_type.len();
        let room = scene.effects.room();
        if group + others + own > room {
            let why = format!("members' metadata would take more than {room} bytes");
            return Err(GroupError::GroupMaxSizeReached(why));
        }
        Ok(())
    }

    /// Whether all members could agree on a protocol of the request.
    fn speaks_one_of(&self, request: &JoinRequest<'_>) -> bool {
        if self.is_empty() {
            return !request.protocol_type.is_empty() && !request.protocols.is_empty();
        }
        let all_speak = |name: &str| self.members.values().all(|member| member.supports(name));
        self.protocol_type() == request.protocol_type
            && request.protocols.iter().any(|(name, _)| all_speak(name))
    }
}

/// With what a new member's id begins.
fn id_prefix<'a>(request: &JoinRequest<'a>) -> &'a str {
    request.instance_id.unwrap_or(request.client_id)
}

/// An id that nobody has.
pub(super) fn new_member_id(request: &JoinRequest<'_>, scene: &mut Scene<'_>) -> Arc<str> {
    let prefix = id_prefix(request);
    let prefix = prefix.get(..prefix.floor_char_boundary(ID_PREFIX_BYTES_MAX)).unwrap_or_default();
    let uuid = format!("{:032x}", u128::from_be_bytes(scene.random.uuid()));
    let mut id = format!("{prefix}-{uuid}");
    for dash in [20, 16, 12, 8] {
        id.insert(prefix.len() + 1 + dash, '-');
    }
    id.into()
}
