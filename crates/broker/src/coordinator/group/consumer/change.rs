//! What can change in a consumer group: each change is one record, and is made in one place,
//! whether it happens now or is read from the log.

use std::sync::Arc;

use super::{
    super::assignor::Assignment,
    ConsumerGroup, Draft,
    member::{Current, GONE, Member, Metadata},
    subscription::Resolved,
};
use crate::coordinator::group::GroupError;

/// With nothing in it where the key is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Epoch(Option<Epoch>),
    /// Kafka before 4.1 kept here what it knew of the topics. Only that it is there is of interest:
    /// it goes at the next chance.
    LegacyTopics(bool),
    Member(Arc<str>, Option<Metadata>),
    TargetEpoch(Option<TargetEpoch>),
    Target(Arc<str>, Option<Assignment>),
    Current(Arc<str>, Option<Current>),
    Pattern(Box<str>, Option<Resolved>),
}

/// How often the members or their topics have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Epoch {
    pub(super) number: i32,
    /// Of all that is known of the topics.
    pub(super) metadata_hash: i64,
}

/// For which epoch the target assignment was made, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TargetEpoch {
    pub(super) number: i32,
    pub(super) at_ms: i64,
}

impl ConsumerGroup {
    /// Makes a change that is written down when all that the event changes is known.
    pub(super) fn change(&mut self, draft: &mut Draft, change: Change) -> Result<(), GroupError> {
        draft.write(&self.id, &change)?;
        draft.undo.push(self.apply(change));
        Ok(())
    }

    /// Makes a change, and tells which one would take it back.
    pub(super) fn apply(&mut self, change: Change) -> Change {
        match change {
            Change::Epoch(epoch) => {
                let before = (!self.is_gone).then_some(self.epoch);
                self.is_gone = epoch.is_none();
                self.epoch = epoch.unwrap_or(self.epoch);
                Change::Epoch(before)
            }
            Change::LegacyTopics(is_there) => {
                Change::LegacyTopics(std::mem::replace(&mut self.has_legacy_topics, is_there))
            }
            Change::TargetEpoch(target) => {
                let target = target.unwrap_or(TargetEpoch { number: -1, at_ms: 0 });
                Change::TargetEpoch(Some(std::mem::replace(&mut self.target_epoch, target)))
            }
            Change::Target(id, Some(target)) => {
                let before = self.targets.insert(Arc::clone(&id), target);
                Change::Target(id, before)
            }
            Change::Target(id, None) => {
                let before = self.targets.remove(&id);
                Change::Target(id, before)
            }
            Change::Member(id, metadata) => self.apply_member(id, metadata),
            Change::Current(id, current) => self.apply_current(id, current),
            Change::Pattern(pattern, resolved) => {
                for topic in resolved.iter().flat_map(|it| &it.topics) {
                    count(&mut self.topics, topic);
                    self.pattern_bytes += topic.len();
                }
                let before = match resolved {
                    Some(resolved) => self.patterns.insert(pattern.clone(), resolved),
                    None => self.patterns.remove(&pattern),
                };
                for topic in before.iter().flat_map(|it| &it.topics) {
                    discount(&mut self.topics, topic);
                    self.pattern_bytes -= topic.len();
                }
                Change::Pattern(pattern, before)
            }
        }
    }

    fn apply_member(&mut self, id: Arc<str>, metadata: Option<Metadata>) -> Change {
        let before = self.members.get(&id).map(|member| member.metadata.clone());
        if let Some(mut metadata) = metadata {
            for topic in metadata.topics.iter() {
                count(&mut self.topics, topic);
            }
            if !metadata.pattern.is_empty() {
                self.pattern_bytes += metadata.pattern.len();
                count(&mut self.pattern_members, &metadata.pattern);
            }
            if let Some(instance) = &metadata.instance_id {
                self.static_members.insert(instance.clone(), Arc::clone(&id));
            }
            let shared = self.members.values().next().map(|member| &member.metadata.topics);
            if let Some(shared) = shared.filter(|shared| **shared == metadata.topics) {
                metadata.topics = Arc::clone(shared);
            }
            self.members.entry(Arc::clone(&id)).or_default().metadata = metadata;
        } else if let Some(member) = self.members.remove(&id) {
            self.release(&member.current);
            let of_instance = member.metadata.instance_id.as_ref();
            if let Some(instance) = of_instance
                && self.static_members.get(instance) == Some(&id)
            {
                self.static_members.remove(instance);
            }
        }
        if let Some(before) = &before {
            for topic in before.topics.iter() {
                discount(&mut self.topics, topic);
            }
            self.pattern_bytes -= before.pattern.len();
            discount(&mut self.pattern_members, &before.pattern);
        }
        Change::Member(id, before)
    }

    fn apply_current(&mut self, id: Arc<str>, current: Option<Current>) -> Change {
        if current.is_none() && !self.members.contains_key(&id) {
            return Change::Current(id, None);
        }
        let gone = Current { epoch: GONE, previous_epoch: GONE, ..Current::default() };
        let current = current.unwrap_or(gone);
        for partition in current.held() {
            *self.held.entry(partition).or_default() += 1;
        }
        let member: &mut Member = self.members.entry(Arc::clone(&id)).or_default();
        let before = std::mem::replace(&mut member.current, current);
        self.release(&before);
        Change::Current(id, Some(before))
    }

    fn release(&mut self, current: &Current) {
        for partition in current.held() {
            if let Some(holders) = self.held.get_mut(&partition) {
                *holders -= 1;
                if *holders == 0 {
                    self.held.remove(&partition);
                }
            }
        }
    }
}

type Counts = std::collections::BTreeMap<Box<str>, u32>;

fn count(counts: &mut Counts, name: &str) {
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => drop(counts.insert(name.into(), 1)),
    }
}

fn discount(counts: &mut Counts, name: &str) {
    if let Some(count) = counts.get_mut(name) {
        *count -= 1;
        if *count == 0 {
            counts.remove(name);
        }
    }
}
