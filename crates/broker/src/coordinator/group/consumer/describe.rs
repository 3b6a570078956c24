//! ConsumerGroupDescribe: the group as its coordinator sees it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use milena_metadata::image::MetadataImage;
use milena_protocol::Uuid;

use super::{
    super::{super::Scene, GroupError, Groups, Members},
    ConsumerGroup,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConsumerDescription {
    pub(crate) state: &'static str,
    pub(crate) epoch: i32,
    pub(crate) assignment_epoch: i32,
    pub(crate) assignor: &'static str,
    pub(crate) members: Vec<ConsumerMember>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConsumerMember {
    pub(crate) id: Arc<str>,
    pub(crate) instance_id: Option<Box<str>>,
    pub(crate) rack_id: Option<Box<str>>,
    pub(crate) epoch: i32,
    pub(crate) client_id: Box<str>,
    pub(crate) client_host: Box<str>,
    pub(crate) topics: Vec<Box<str>>,
    pub(crate) pattern: Box<str>,
    /// What it has, also what it is to give up; by the topics' names.
    pub(crate) assignment: Vec<TopicAssignment>,
    pub(crate) target: Vec<TopicAssignment>,
    pub(crate) is_classic: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicAssignment {
    pub(crate) id: Uuid,
    pub(crate) name: Arc<str>,
    pub(crate) partitions: Vec<i32>,
}

impl Groups {
    pub(crate) fn describe_consumer(
        &self,
        id: &str,
        scene: &Scene<'_>,
    ) -> Result<ConsumerDescription, GroupError> {
        match self.get(id).map(|group| &group.members) {
            Some(Members::Consumer(group)) => Ok(group.describe(scene)),
            Some(Members::Classic(_)) => Err(GroupError::OtherProtocol(id.to_owned())),
            None => Err(GroupError::GroupIdNotFound(id.to_owned())),
        }
    }
}

impl ConsumerGroup {
    /// Kafka's name of the state; a dead group is one that is not there.
    pub(in super::super) fn state(&self) -> &'static str {
        let target = self.target_epoch.number;
        if self.members.is_empty() {
            "Empty"
        } else if self.epoch.number > target {
            "Assigning"
        } else if self.members.values().any(|member| !member.current.is_reconciled_to(target)) {
            "Reconciling"
        } else {
            "Stable"
        }
    }

    pub(super) fn describe(&self, scene: &Scene<'_>) -> ConsumerDescription {
        let members = self.members.iter().map(|(id, member)| {
            let metadata = &member.metadata;
            let mut has: BTreeMap<Uuid, BTreeSet<i32>> = BTreeMap::new();
            for (topic, partition) in member.current.held() {
                has.entry(topic).or_default().insert(partition);
            }
            ConsumerMember {
                id: Arc::clone(id),
                instance_id: metadata.instance_id.clone(),
                rack_id: metadata.rack_id.clone(),
                epoch: member.current.epoch,
                client_id: metadata.client_id.clone(),
                client_host: metadata.client_host.clone(),
                topics: metadata.topics.iter().cloned().collect(),
                pattern: metadata.pattern.clone(),
                assignment: named(&has, scene.image),
                target: named(self.target(id), scene.image),
                is_classic: metadata.classic.is_some(),
            }
        });
        ConsumerDescription {
            state: self.state(),
            epoch: self.epoch.number,
            assignment_epoch: self.target_epoch.number,
            assignor: self.preferred_assignor(scene).name(),
            members: members.collect(),
        }
    }
}

/// Of topics that are there.
fn named(
    assignment: &BTreeMap<Uuid, BTreeSet<i32>>,
    image: &MetadataImage,
) -> Vec<TopicAssignment> {
    let named = |(id, partitions): (&Uuid, &BTreeSet<i32>)| {
        let name = Arc::clone(&image.topics.by_id(*id)?.name);
        Some(TopicAssignment { id: *id, name, partitions: partitions.iter().copied().collect() })
    };
    assignment.iter().filter_map(named).collect()
}
