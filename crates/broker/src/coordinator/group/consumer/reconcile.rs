//! A member's way to its target, step by step: it gives up what it shall not have, then it is in
//! the new epoch and gets what nobody else has any more, and the rest as others give it up.

use milena_metadata::image::MetadataImage;
use milena_protocol::Uuid;

use super::{
    super::{
        super::{Scene, Transition},
        GroupError,
        assignor::Assignment,
    },
    Change, ConsumerGroup, Draft,
    member::{Current, Member, Owned, State},
};

/// What a member says it has; `None` where it does not say.
pub(super) type Claimed<'a> = Option<&'a [(Uuid, Vec<i32>)]>;

/// Whether any of `owned` is among what the member says it has. If it does not say, it may be.
pub(super) fn claims_any(claimed: Claimed<'_>, owned: &Owned) -> bool {
    let has = |topic, partition| {
        owned.get(topic).is_some_and(|partitions| partitions.contains_key(partition))
    };
    claimed.is_none_or(|claimed| {
        claimed.iter().any(|(topic, partitions)| partitions.iter().any(|it| has(topic, it)))
    })
}

/// Whether the member says that it has nothing but what is in `owned`.
pub(super) fn claims_only(claimed: Claimed<'_>, owned: &Owned) -> bool {
    let has_all = |(topic, partitions): &(Uuid, Vec<i32>)| {
        owned.get(topic).is_some_and(|it| partitions.iter().all(|one| it.contains_key(one)))
    };
    claimed.is_some_and(|claimed| claimed.iter().all(has_all))
}

impl ConsumerGroup {
    /// Takes a member as far as it can go now. Whether what it has is another than before.
    pub(super) fn reconcile(
        &mut self,
        id: &std::sync::Arc<str>,
        claimed: Claimed<'_>,
        is_subscription_new: bool,
        draft: &mut Draft,
        scene: &Scene<'_>,
    ) -> Result<bool, GroupError> {
        let Some(member) = self.members.get(id) else { return Ok(false) };
        let epoch = self.target_epoch.number;
        if !is_subscription_new && member.current.is_reconciled_to(epoch) {
            return Ok(false);
        }
        let step =
            Step { group: self, member, target: self.target(id), claimed, image: scene.image };
        let next = step.next(is_subscription_new)?;
        let current = &member.current;
        if next == *current {
            return Ok(false);
        }
        let is_other = next.assigned != current.assigned;
        let (state, at) = (next.state, next.epoch);
        tracing::debug!(group = %self.id, member = %id, epoch = at, ?state, "member reconciled");
        scene.count(Transition::Reconciled);
        self.change(draft, Change::Current(std::sync::Arc::clone(id), Some(next)))?;
        if let Some(member) = self.members.get_mut(id) {
            member.begin_revocation(scene.now.elapsed);
        }
        Ok(is_other)
    }
}

struct Step<'a> {
    group: &'a ConsumerGroup,
    member: &'a Member,
    target: &'a Assignment,
    claimed: Claimed<'a>,
    image: &'a MetadataImage,
}

impl Step<'_> {
    fn next(&self, is_subscription_new: bool) -> Result<Current, GroupError> {
        let current = &self.member.current;
        match current.state {
            State::Stable if current.epoch != self.group.target_epoch.number => {
                Ok(self.towards_target(current.epoch))
            }
            State::UnrevokedPartitions if !claims_any(self.claimed, &current.revoking) => {
                Ok(self.towards_target(current.epoch))
            }
            State::Stable | State::UnrevokedPartitions if is_subscription_new => {
                Ok(self.without_unsubscribed())
            }
            State::Stable | State::UnrevokedPartitions => Ok(current.clone()),
            State::UnreleasedPartitions => Ok(self.towards_target(current.epoch)),
            // Where it stands only a newer broker could tell: it begins anew.
            State::Unknown if self.claimed.is_none_or(|claimed| !claimed.is_empty()) => {
                let why = "the member is in a state that is not known here; it must join anew";
                Err(GroupError::FencedMemberEpoch(why.to_owned()))
            }
            State::Unknown => Ok(self.towards_target(self.group.target_epoch.number)),
        }
    }

    /// Where the member could be now on its way to the target.
    fn towards_target(&self, epoch: i32) -> Current {
        let current = &self.member.current;
        let (mut kept, mut revoking) = (Owned::new(), Owned::new());
        for (topic, partitions) in &current.assigned {
            let target = self.target.get(topic).filter(|_| self.subscribes(*topic));
            for (partition, since) in partitions {
                let stays = target.is_some_and(|target| target.contains(partition));
                let to = if stays { &mut kept } else { &mut revoking };
                to.entry(*topic).or_default().insert(*partition, *since);
            }
        }
        if !revoking.is_empty() && claims_any(self.claimed, &revoking) {
            return self.at(epoch, State::UnrevokedPartitions, kept, revoking);
        }
        let epoch = self.group.target_epoch.number;
        let mut state = State::Stable;
        for (topic, partitions) in self.target.iter().filter(|(topic, _)| self.subscribes(**topic))
        {
            for partition in partitions {
                if kept.get(topic).is_some_and(|kept| kept.contains_key(partition)) {
                    continue;
                }
                if self.is_free(*topic, *partition) {
                    kept.entry(*topic).or_default().insert(*partition, epoch);
                } else {
                    state = State::UnreleasedPartitions;
                }
            }
        }
        self.at(epoch, state, kept, Owned::new())
    }

    /// What the member has, without the topics that it does not want any more.
    fn without_unsubscribed(&self) -> Current {
        let current = &self.member.current;
        let (mut kept, mut revoking) = (current.assigned.clone(), current.revoking.clone());
        let unwanted = kept.extract_if(.., |topic, _| !self.subscribes(*topic));
        let unwanted: Vec<_> = unwanted.collect();
        if unwanted.is_empty() {
            return current.clone();
        }
        for (topic, partitions) in unwanted {
            revoking.entry(topic).or_default().extend(partitions);
        }
        if claims_any(self.claimed, &revoking) {
            self.at(current.epoch, State::UnrevokedPartitions, kept, revoking)
        } else {
            self.at(current.epoch, current.state, kept, current.revoking.clone())
        }
    }

    fn at(&self, epoch: i32, state: State, assigned: Owned, revoking: Owned) -> Current {
        let previous_epoch = self.member.current.epoch;
        Current { epoch, previous_epoch, state, assigned, revoking }
    }

    fn subscribes(&self, topic: Uuid) -> bool {
        let topic = self.image.topics.by_id(topic);
        topic.is_some_and(|topic| self.group.subscribes(&self.member.metadata, topic))
    }

    /// Whether nobody has the partition, or only the member itself, which has given it up.
    fn is_free(&self, topic: Uuid, partition: i32) -> bool {
        let holders = self.group.held.get(&(topic, partition)).copied().unwrap_or_default();
        let current = &self.member.current;
        let is_own = current.revoking.get(&topic).is_some_and(|it| it.contains_key(&partition));
        holders == u32::from(is_own)
    }
}
