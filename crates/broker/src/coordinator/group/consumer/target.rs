//! Who shall have which partition in the end: computed for an epoch of the group, by the assignor
//! that most members like.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use milena_metadata::image::MetadataImage;
use milena_protocol::Uuid;

use super::{
    super::{
        super::{Scene, Transition},
        GroupError,
        assignor::{self, Assignment, Assignor},
    },
    Change, ConsumerGroup, Draft,
    change::TargetEpoch,
    hash,
    member::Member,
    settings::{Settings, assignors, default_assignor},
};

/// Nothing, for those who shall have nothing.
pub(super) static NOTHING: Assignment = Assignment::new();

/// Members with the same names and the same expression subscribe to the same topics.
type Subscriptions<'a> = BTreeMap<(*const BTreeSet<Box<str>>, &'a str), BTreeSet<Uuid>>;

impl ConsumerGroup {
    /// Computes the target of the group's epoch, if that is not done and enough time has passed
    /// since the last one.
    pub(super) fn update_target(
        &mut self,
        settings: Settings,
        draft: &mut Draft,
        scene: &Scene<'_>,
    ) -> Result<(), GroupError> {
        let (now, last) = (scene.now.wall_ms, self.target_epoch);
        if last.number >= self.epoch.number {
            return Ok(());
        }
        let interval_ms = i64::from(settings.assignment_interval_ms);
        if last.at_ms != 0 && interval_ms != 0 && now < last.at_ms.saturating_add(interval_ms) {
            return Ok(());
        }
        let assignor = self.preferred_assignor(scene);
        let targets = self.assign(assignor, scene.image);
        let (number, assignor) = (self.epoch.number, assignor.name());
        tracing::info!(group = %self.id, epoch = number, assignor, "target assignment computed");
        scene.count(Transition::Target);
        for (id, target) in targets {
            if self.targets.get(&id) != Some(&target) {
                self.change(draft, Change::Target(id, Some(target)))?;
            }
        }
        self.change(draft, Change::TargetEpoch(Some(TargetEpoch { number, at_ms: now })))
    }

    /// What most members ask for.
    pub(super) fn preferred_assignor(&self, scene: &Scene<'_>) -> Assignor {
        let votes = |assignor: &Assignor| {
            let is_for =
                |member: &&Member| member.metadata.assignor.as_deref() == Some(assignor.name());
            self.members.values().filter(is_for).count()
        };
        let mut best = (0, default_assignor(scene.config));
        for assignor in assignors(scene.config) {
            let votes = votes(&assignor);
            if votes > best.0 {
                best = (votes, assignor);
            }
        }
        best.1
    }

    /// Has everything assigned anew.
    fn assign(&self, assignor: Assignor, image: &MetadataImage) -> Vec<(Arc<str>, Assignment)> {
        let mut subscriptions = Subscriptions::new();
        for member in self.members.values() {
            let metadata = &member.metadata;
            let key = (Arc::as_ptr(&metadata.topics), &*metadata.pattern);
            subscriptions.entry(key).or_insert_with(|| self.subscribed_ids(member, image));
        }
        let mut members = BTreeMap::new();
        for (id, member) in &self.members {
            let metadata = &member.metadata;
            let key = (Arc::as_ptr(&metadata.topics), &*metadata.pattern);
            let Some(topics) = subscriptions.get(&key) else { continue };
            let as_seen = assignor::Member {
                instance_id: metadata.instance_id.as_deref(),
                rack_id: metadata.rack_id.as_deref(),
                topics,
                assigned: self.target(id),
            };
            members.insert(&**id, as_seen);
        }
        let knows_racks = members.values().any(|member| member.rack_id.is_some());
        let ids: BTreeSet<Uuid> = subscriptions.values().flatten().copied().collect();
        let mut topics = BTreeMap::new();
        for topic in ids.iter().filter_map(|id| image.topics.by_id(*id)) {
            let partitions = topic.partition_count() as i32;
            let racks = |index| hash::racks_of(topic, index, image).collect();
            let racks = if knows_racks { (0..partitions).map(racks).collect() } else { Vec::new() };
            topics.insert(topic.id, assignor::Topic { partitions, racks });
        }
        let assigned = assignor.assign(&members, &topics);
        assigned.into_iter().map(|(id, target)| (id.into(), target)).collect()
    }

    fn subscribed_ids(&self, member: &Member, image: &MetadataImage) -> BTreeSet<Uuid> {
        let by_name = member.metadata.topics.iter();
        let by_pattern = self.patterns.get(&member.metadata.pattern);
        let by_pattern = by_pattern.into_iter().flat_map(|resolved| &resolved.topics);
        by_name.chain(by_pattern).filter_map(|name| image.topics.id(name)).collect()
    }

    /// What a member shall have.
    pub(super) fn target(&self, id: &str) -> &Assignment {
        self.targets.get(id).unwrap_or(&NOTHING)
    }
}
