//! Groups whose coordinator assigns (KIP-848): each member tells by heartbeats what it subscribes
//! to and what it has, and is told what it shall have.
//!
//! A change of who is there or of what there is to read begins a new epoch of the group
//! (`subscription`). For it a `target` is computed: who shall have which partition in the end. Each
//! member goes there by itself (`reconcile`): first it gives up what it shall not have, then it
//! gets what nobody has any more. So no partition ever has two owners, and nobody waits for the
//! slowest.
//!
//! Members of the classic protocol are taken in as well (`guest`, `embedded`), and the whole group
//! goes from one protocol to the other when its members do (`migrate`).
//!
//! Every change is a record (`change`, `replay`), and what one event changes is written as a whole
//! (`draft`).

mod change;
mod commit;
mod describe;
mod draft;
mod embedded;
mod guest;
mod hash;
mod heartbeat;
mod join;
mod member;
mod migrate;
mod reconcile;
mod replay;
mod settings;
mod subscription;
mod target;
#[cfg(test)]
mod test;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use milena_metadata::image::Delta;
use milena_protocol::{
    Uuid,
    group::{Key, Value},
};

pub(crate) use describe::{ConsumerDescription, ConsumerMember, TopicAssignment};
pub(crate) use heartbeat::{ConsumerHeartbeat, ConsumerHeartbeatAnswer};

use self::{
    change::{Change, Epoch, TargetEpoch},
    draft::Draft,
    member::Member,
    migrate::Successor,
    subscription::Resolved,
};
use super::{
    super::{Scene, Transition},
    GroupError,
    alarm::Alarm,
    assignor::Assignment,
    offsets::Expiry,
};

/// How long what could not be written is left alone.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct ConsumerGroup {
    id: Arc<str>,
    alarm: Alarm,
    epoch: Epoch,
    target_epoch: TargetEpoch,
    members: BTreeMap<Arc<str>, Member>,
    /// What each member shall have.
    targets: BTreeMap<Arc<str>, Assignment>,
    /// What the regular expressions of its members stand for.
    patterns: BTreeMap<Box<str>, Resolved>,
    has_legacy_topics: bool,
    /// Its last record has been taken away.
    is_gone: bool,

    /// Which member is there for an instance.
    static_members: BTreeMap<Box<str>, Arc<str>>,
    /// How many members subscribe to a topic by its name, or expressions by what they stand for.
    topics: BTreeMap<Box<str>, u32>,
    /// How many members subscribe by an expression.
    pattern_members: BTreeMap<Box<str>, u32>,
    /// How many members have a partition, which is one.
    held: BTreeMap<(Uuid, i32), u32>,

    /// Whether the epoch is one of the topics as they are now.
    is_up_to_date: bool,
    /// What the regular expressions and the names of their topics take.
    pattern_bytes: usize,
    /// The metadata's offset up to which there may be topics that the expressions have not seen.
    new_topics_at: i64,
    /// It is being found out what they stand for; until then it is waited for that.
    resolving_until: Option<Duration>,
    /// What it goes on as, from the end of this event on.
    successor: Option<Successor>,
}

impl ConsumerGroup {
    pub(super) fn new(id: Arc<str>) -> Self {
        Self {
            id,
            alarm: Alarm::default(),
            epoch: Epoch { number: 1, metadata_hash: 0 },
            target_epoch: TargetEpoch { number: 1, at_ms: 0 },
            members: BTreeMap::new(),
            targets: BTreeMap::new(),
            patterns: BTreeMap::new(),
            has_legacy_topics: false,
            is_gone: false,
            static_members: BTreeMap::new(),
            topics: BTreeMap::new(),
            pattern_members: BTreeMap::new(),
            held: BTreeMap::new(),
            is_up_to_date: false,
            pattern_bytes: 0,
            new_topics_at: -1,
            resolving_until: None,
            successor: None,
        }
    }

    pub(super) const fn id(&self) -> &Arc<str> {
        &self.id
    }

    pub(super) const fn alarm(&mut self) -> &mut Alarm {
        &mut self.alarm
    }

    /// Takes in what was written before; whether the group is still there.
    pub(super) fn replay(&mut self, key: &Key<'_>, value: Option<&Value<'_>>) -> bool {
        if let Some(change) = Change::read(key, value) {
            self.apply(change);
        }
        !self.is_gone
    }

    /// Serves from here on: the members' sessions begin.
    pub(super) fn loaded(&mut self, scene: &Scene<'_>) {
        self.new_topics_at = scene.image.position.offset;
        self.begin_sessions(scene);
        self.set_alarm();
    }

    /// Topics have changed: those of the group are looked at with its next heartbeat.
    pub(super) fn on_metadata(&mut self, delta: &Delta, scene: &Scene<'_>) {
        let image = &scene.image.topics;
        let changed = delta.topics.keys().filter_map(|id| image.by_id(*id));
        let mut touched = changed.chain(delta.deleted_topics.values());
        if touched.any(|topic| self.topics.contains_key(&*topic.name)) {
            self.is_up_to_date = false;
        }
        if delta.topics.values().any(|topic| topic.is_created) {
            self.new_topics_at = scene.image.position.offset;
        }
    }

    /// Members that are missed are removed.
    pub(super) fn on_time(&mut self, scene: &mut Scene<'_>) {
        let now = scene.now.elapsed;
        let missed = |(id, member): (&Arc<str>, &Member)| {
            Some((Arc::clone(id), member.deadlines.missed(now)?))
        };
        let missed: Vec<_> = self.members.iter().filter_map(missed).collect();
        for (id, why) in missed {
            if self.successor.is_some() {
                // The others are looked for there.
                return;
            }
            let reason = why.reason();
            tracing::info!(group = %self.id, member = %id, reason, "member removed");
            scene.count(why);
            let fence = |group: &mut Self, draft: &mut Draft, scene: &mut Scene<'_>| {
                group.remove_members(&[id], draft, scene)
            };
            if let Err(error) = self.event(Draft::default(), scene, fence) {
                tracing::error!(group = %self.id, %error, "a lost member is not removed");
                self.alarm.by(now + RETRY);
            }
            scene.effects.may_cut();
        }
        self.set_alarm();
    }

    pub(super) fn is_subscribed_to(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    /// Its offsets are needed as long as somebody reads their topics.
    pub(super) const fn expiry() -> Expiry {
        Expiry::SinceCommit
    }

    pub(super) const fn pattern_bytes(&self) -> usize {
        self.pattern_bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Takes its records away.
    pub(super) fn delete(&mut self, scene: &mut Scene<'_>) -> Result<(), GroupError> {
        self.event(Draft::default(), scene, |group, draft, _| group.erase(draft))
    }

    fn erase(&mut self, draft: &mut Draft) -> Result<(), GroupError> {
        let members: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for id in &members {
            self.change(draft, Change::Current(Arc::clone(id), None))?;
        }
        for id in &members {
            self.change(draft, Change::Target(Arc::clone(id), None))?;
        }
        self.change(draft, Change::TargetEpoch(None))?;
        for id in members {
            self.change(draft, Change::Member(id, None))?;
        }
        let patterns: Vec<Box<str>> = self.patterns.keys().cloned().collect();
        for pattern in patterns {
            self.change(draft, Change::Pattern(pattern, None))?;
        }
        self.change(draft, Change::LegacyTopics(false))?;
        self.change(draft, Change::Epoch(None))
    }

    /// Members that go take their records with them, and a new epoch begins.
    fn remove_members(
        &mut self,
        ids: &[Arc<str>],
        draft: &mut Draft,
        scene: &Scene<'_>,
    ) -> Result<(), GroupError> {
        if self.become_classic_without(ids, draft, scene)? {
            return Ok(());
        }
        for id in ids {
            self.remove_member(id, draft)?;
        }
        self.forget_unused_patterns(draft)?;
        let metadata_hash = self.metadata_hash(scene.image);
        self.begin_epoch(metadata_hash, Transition::EpochLeft, draft, scene)
    }

    fn remove_member(&mut self, id: &Arc<str>, draft: &mut Draft) -> Result<(), GroupError> {
        self.change(draft, Change::Current(Arc::clone(id), None))?;
        self.change(draft, Change::Target(Arc::clone(id), None))?;
        self.change(draft, Change::Member(Arc::clone(id), None))
    }

    fn begin_epoch(
        &mut self,
        metadata_hash: i64,
        why: Transition,
        draft: &mut Draft,
        scene: &Scene<'_>,
    ) -> Result<(), GroupError> {
        let number = self.epoch.number.saturating_add(1);
        let reason = why.reason();
        tracing::info!(group = %self.id, epoch = number, reason, "a new epoch of the group begins");
        scene.count(why);
        self.change(draft, Change::Epoch(Some(Epoch { number, metadata_hash })))
    }

    /// The group wants to be looked at when the first of its members may be missed.
    fn set_alarm(&mut self) {
        let deadlines = self.members.values().filter_map(|member| member.deadlines.first());
        if let Some(first) = deadlines.min() {
            self.alarm.by(first);
        }
    }
}
