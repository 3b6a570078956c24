//! Groups: who reads what together, and how far they have come.
//!
//! [`Groups`] is the core of one partition of `__consumer_offsets`: all groups whose id's hash
//! leads there. A group has committed `offsets` and members, by the `classic` protocol (they
//! agree among themselves) or by the `consumer` protocol (the coordinator assigns).

pub(crate) mod alarm;
mod assignor;
pub(crate) mod classic;
pub(crate) mod consumer;
mod error;
pub(crate) mod offsets;
pub(crate) mod patterns;
pub(crate) mod record;
pub(super) mod regex;
#[cfg(test)]
mod test;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use milena_config::ServerConfig;
use milena_metadata::image::Delta;
use milena_protocol::{
    Offset,
    group::{Key, Value},
};

pub(crate) use error::GroupError;

use self::{
    alarm::{Alarm, Alarms},
    classic::{ClassicGroup, Description},
    consumer::ConsumerGroup,
    offsets::{Commit, CommitRequest, Committed, Expiry, PendingCommits},
};
use super::{Logged, Machine, ReplayError, Scene, Transition, What};
use crate::topics::CONSUMER_OFFSETS;

/// The groups of one partition of `__consumer_offsets`.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// In order: their names are chosen by strangers.
    groups: BTreeMap<Arc<str>, Group>,
    alarms: Alarms,
    pending: PendingCommits,
    /// What the patterns of all groups take, and what they stand for.
    pattern_bytes: usize,
    /// Member ids that were given out, the last one last.
    promised: VecDeque<(Arc<str>, Arc<str>)>,
    /// When it is looked next for offsets that have expired.
    next_expiry: Option<Duration>,
}

#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) members: Members,
    pub(crate) offsets: Committed,
}

/// By which protocol a group's members come together.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "most groups are classic, and need no other place")]
pub(crate) enum Members {
    /// Also the group that has no members and never had: somebody keeps offsets under its name.
    Classic(ClassicGroup),
    Consumer(Box<ConsumerGroup>),
}

impl Members {
    /// Takes the records of a group without members away.
    fn delete(&mut self, scene: &mut Scene<'_>) -> Result<(), GroupError> {
        match self {
            Self::Classic(group) => group.delete(scene),
            Self::Consumer(group) => {
                group.delete(scene)?;
                *self = Self::Classic(ClassicGroup::new(Arc::clone(group.id())));
                Ok(())
            }
        }
    }
}

impl Group {
    /// A group that nobody has heard of: no members, no offsets.
    fn new(id: &Arc<str>) -> Self {
        Self {
            members: Members::Classic(ClassicGroup::new(Arc::clone(id))),
            offsets: Committed::default(),
        }
    }

    pub(crate) fn id(&self) -> &Arc<str> {
        match &self.members {
            Members::Classic(group) => group.id(),
            Members::Consumer(group) => group.id(),
        }
    }

    /// The group, where its members agree among themselves.
    #[cfg(test)]
    pub(crate) const fn classic(&self) -> Option<&ClassicGroup> {
        match &self.members {
            Members::Classic(group) => Some(group),
            Members::Consumer(_) => None,
        }
    }

    fn alarm(&mut self) -> &mut Alarm {
        match &mut self.members {
            Members::Classic(group) => group.alarm(),
            Members::Consumer(group) => group.alarm(),
        }
    }

    fn replay(&mut self, offset: Offset, key: &Key<'_>, value: Option<&Value<'_>>) {
        match (key, value) {
            (Key::OffsetCommit(key), Some(Value::OffsetCommit(value))) => {
                self.offsets.put(key.topic, key.partition, Commit::read(offset, value));
            }
            (Key::OffsetCommit(key), None) => self.offsets.remove(key.topic, key.partition),
            (Key::LegacyOffsetCommit(key), Some(Value::LegacyOffsetCommit(value))) => {
                self.offsets.put(key.topic, key.partition, Commit::read_legacy(offset, value));
            }
            (Key::LegacyOffsetCommit(key), None) => self.offsets.remove(key.topic, key.partition),
            (Key::GroupMetadata(_), Some(Value::GroupMetadata(value))) => {
                self.members = Members::Classic(ClassicGroup::replay(self.id(), value));
            }
            (Key::GroupMetadata(_), None) => {
                if matches!(self.members, Members::Classic(_)) {
                    self.members = Members::Classic(ClassicGroup::new(Arc::clone(self.id())));
                }
            }
            (
                Key::ConsumerGroupMetadata(_)
                | Key::ConsumerGroupPartitionMetadata(_)
                | Key::ConsumerGroupMemberMetadata(_)
                | Key::ConsumerGroupTargetAssignmentMetadata(_)
                | Key::ConsumerGroupTargetAssignmentMember(_)
                | Key::ConsumerGroupCurrentMemberAssignment(_)
                | Key::ConsumerGroupRegularExpression(_),
                _,
            ) => self.replay_consumer(key, value),
            _ => {}
        }
    }

    fn replay_consumer(&mut self, key: &Key<'_>, value: Option<&Value<'_>>) {
        if value.is_some() && matches!(self.members, Members::Classic(_)) {
            self.members = Members::Consumer(Box::new(ConsumerGroup::new(Arc::clone(self.id()))));
        }
        if let Members::Consumer(group) = &mut self.members
            && !group.replay(key, value)
        {
            self.members = Members::Classic(ClassicGroup::new(Arc::clone(self.id())));
        }
    }

    fn loaded(&mut self, scene: &mut Scene<'_>) {
        match &mut self.members {
            Members::Classic(group) => group.loaded(scene),
            Members::Consumer(group) => group.loaded(scene),
        }
    }

    fn on_time(&mut self, scene: &mut Scene<'_>) {
        match &mut self.members {
            Members::Classic(group) => group.on_time(scene),
            Members::Consumer(group) => {
                group.on_time(scene);
                self.hand_over_if_classic(scene);
            }
        }
    }

    /// Whether this commit may be made; it also shows that its member is alive.
    fn check_commit(
        &mut self,
        request: &CommitRequest<'_>,
        scene: &mut Scene<'_>,
    ) -> Result<(), GroupError> {
        match &mut self.members {
            Members::Classic(group) => group.check_commit(&request.committer, scene),
            Members::Consumer(group) => group.check_commit(request),
        }
    }

    /// Whether it may be made as part of a transaction. Older producers do not say who commits.
    fn check_commit_in_transaction(&self, request: &CommitRequest<'_>) -> Result<(), GroupError> {
        match &self.members {
            Members::Classic(group) => group.check_commit_in_transaction(&request.committer),
            Members::Consumer(group) => group.check_commit_in_transaction(request),
        }
    }

    fn check_fetch(&self, member_id: Option<&str>, epoch: i32) -> Result<(), GroupError> {
        match &self.members {
            Members::Classic(_) => Ok(()),
            Members::Consumer(group) => group.check_fetch(member_id, epoch),
        }
    }

    fn check_offset_delete(&self) -> Result<(), GroupError> {
        match &self.members {
            Members::Classic(group) => group.check_offset_delete(),
            Members::Consumer(_) => Ok(()),
        }
    }

    /// Whether a member reads the topic, as far as the group knows.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.members {
            Members::Classic(group) => group.is_subscribed_to(topic),
            Members::Consumer(group) => group.is_subscribed_to(topic),
        }
    }

    fn expiry(&self) -> Expiry {
        match &self.members {
            Members::Classic(group) => group.expiry(),
            Members::Consumer(_) => ConsumerGroup::expiry(),
        }
    }

    pub(crate) fn has_no_members(&self) -> bool {
        match &self.members {
            Members::Classic(group) => group.is_empty(),
            Members::Consumer(group) => group.is_empty(),
        }
    }

    /// What the patterns of its members take, and what they stand for.
    const fn pattern_bytes(&self) -> usize {
        match &self.members {
            Members::Classic(_) => 0,
            Members::Consumer(group) => group.pattern_bytes(),
        }
    }

    /// Whether nothing would be lost with it.
    fn is_nothing(&self) -> bool {
        self.offsets.is_empty()
            && match &self.members {
                Members::Classic(group) => group.is_nothing(),
                // Its last record takes it away.
                Members::Consumer(_) => false,
            }
    }
}

impl Groups {
    pub(crate) fn get(&self, id: &str) -> Option<&Group> {
        self.groups.get(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    /// Lets something happen to a group that is there.
    pub(crate) fn on_group<T>(
        &mut self,
        id: &str,
        event: impl FnOnce(&mut Group) -> T,
    ) -> Option<T> {
        let group = self.groups.get_mut(id)?;
        let before = group.pattern_bytes();
        let came = event(group);
        self.pattern_bytes = self.pattern_bytes - before + group.pattern_bytes();
        let id = Arc::clone(group.id());
        self.alarms.set(&id, group.alarm());
        if group.is_nothing() && !self.pending.has_group(&id) {
            self.groups.remove(&id);
        }
        Some(came)
    }

    /// The same to a group that comes into being with it, unless nothing comes of it.
    pub(crate) fn on_new_group<T>(
        &mut self,
        id: &str,
        event: impl FnOnce(&mut Group) -> T,
    ) -> Option<T> {
        if !self.groups.contains_key(id) {
            let id: Arc<str> = id.into();
            self.groups.insert(Arc::clone(&id), Group::new(&id));
        }
        self.on_group(id, event)
    }
}

/// A group as ListGroups tells of it.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) id: Arc<str>,
    pub(crate) protocol_type: Box<str>,
    pub(crate) state: &'static str,
    pub(crate) kind: &'static str,
}

impl Groups {
    pub(crate) fn list(&self) -> Vec<Listed> {
        let list = |group: &Group| {
            let (kind, state, protocol_type) = match &group.members {
                Members::Classic(classic) => {
                    ("classic", classic.state(), classic.protocol_type().into())
                }
                Members::Consumer(group) => ("consumer", group.state(), "consumer".into()),
            };
            Listed { id: Arc::clone(group.id()), protocol_type, state, kind }
        };
        self.iter().map(list).collect()
    }

    pub(crate) fn describe_classic(&self, id: &str) -> Result<Description, GroupError> {
        match self.get(id).map(|group| &group.members) {
            Some(Members::Classic(group)) => Ok(group.describe()),
            Some(Members::Consumer(_)) => Err(GroupError::OtherProtocol(id.to_owned())),
            None => Err(GroupError::GroupIdNotFound(id.to_owned())),
        }
    }

    /// DeleteGroups: all that is left of a group without members.
    pub(crate) fn delete_group(
        &mut self,
        id: &str,
        scene: &mut Scene<'_>,
    ) -> Result<(), GroupError> {
        let pending = self.pending.of_group(id);
        let delete = |group: &mut Group| {
            if !group.has_no_members() {
                return Err(GroupError::NonEmptyGroup);
            }
            tracing::info!(group = id, "group deleted by request");
            scene.count(Transition::DeletedByRequest);
            group.delete(&pending, scene)
        };
        let missing = || Err(GroupError::GroupIdNotFound(id.to_owned()));
        self.on_group(id, delete).unwrap_or_else(missing)?;
        self.forget_pending(id, &pending);
        Ok(())
    }
}

impl Machine for Groups {
    const TOPIC: &'static str = CONSUMER_OFFSETS;

    fn load_bytes(config: &ServerConfig) -> u32 {
        config.groups.offsets.load_bytes
    }

    fn replay(&mut self, record: &Logged<'_>) -> Result<(), ReplayError> {
        let (key, value) = match (record.what, record.transaction) {
            (What::Record { key, value }, _) => (key, value),
            (What::Marker { is_commit }, Some((producer, _))) => {
                self.end_transaction(producer, is_commit);
                return Ok(());
            }
            (What::Marker { .. }, None) => return Ok(()),
        };
        let Some(key) = record::read_key(key)? else { return Ok(()) };
        let Some(id) = group_of(&key) else { return Ok(()) };
        let value = value.map(|value| record::read_value(&key, value)).transpose()?;
        match (&key, value, record.transaction) {
            (Key::OffsetCommit(it), Some(Value::OffsetCommit(value)), Some((producer, _))) => {
                let commit = Commit::read(record.offset, &value);
                self.pending.put(producer, it.group, it.topic, it.partition, commit);
                // It is there, if only for what may come of it.
                self.on_new_group(id, |_| ());
            }
            (_, Some(value), _) => {
                self.on_new_group(id, |group| group.replay(record.offset, &key, Some(&value)));
            }
            (_, None, _) => {
                if let Key::OffsetCommit(it) = &key {
                    self.pending.forget(it.group, it.topic, it.partition);
                }
                self.on_group(id, |group| group.replay(record.offset, &key, None));
            }
        }
        Ok(())
    }

    fn loaded(&mut self, scene: &mut Scene<'_>) {
        let ids: Vec<_> = self.groups.keys().cloned().collect();
        for id in ids {
            self.on_group(&id, |group| group.loaded(scene));
        }
        self.next_expiry = Some(scene.now.elapsed + expiry_interval(scene));
    }

    fn on_time(&mut self, scene: &mut Scene<'_>) {
        let now = scene.now.elapsed;
        while let Some((at, id)) = self.alarms.pop(now) {
            self.on_group(&id, |group| {
                if group.alarm().went_off(at) {
                    group.on_time(scene);
                    scene.effects.may_cut();
                }
            });
        }
        if self.next_expiry.is_some_and(|at| at <= now) {
            self.next_expiry = Some(now + expiry_interval(scene));
            self.expire_offsets(scene);
        }
    }

    fn next_wake(&self) -> Option<Duration> {
        [self.alarms.next(), self.next_expiry].into_iter().flatten().min()
    }

    fn on_metadata(&mut self, delta: &Delta, scene: &mut Scene<'_>) {
        for topic in delta.deleted_topics.values() {
            self.forget_topic(topic, scene);
        }
        if delta.topics.is_empty() && delta.deleted_topics.is_empty() {
            return;
        }
        for group in self.groups.values_mut() {
            if let Members::Consumer(group) = &mut group.members {
                group.on_metadata(delta, scene);
            }
        }
    }
}

/// `offsets.retention.check.interval.ms`
fn expiry_interval(scene: &Scene<'_>) -> Duration {
    Duration::from_millis(scene.config.groups.offsets.expiry_check_interval_ms)
}

/// Whose record it is, where it is one of the kinds that are served here.
const fn group_of<'a>(key: &Key<'a>) -> Option<&'a str> {
    Some(match key {
        Key::LegacyOffsetCommit(it) => it.group,
        Key::OffsetCommit(it) => it.group,
        Key::GroupMetadata(it) => it.group,
        Key::ConsumerGroupMetadata(it) => it.group_id,
        Key::ConsumerGroupPartitionMetadata(it) => it.group_id,
        Key::ConsumerGroupMemberMetadata(it) => it.group_id,
        Key::ConsumerGroupTargetAssignmentMetadata(it) => it.group_id,
        Key::ConsumerGroupTargetAssignmentMember(it) => it.group_id,
        Key::ConsumerGroupCurrentMemberAssignment(it) => it.group_id,
        Key::ConsumerGroupRegularExpression(it) => it.group_id,
        _ => return None,
    })
}
