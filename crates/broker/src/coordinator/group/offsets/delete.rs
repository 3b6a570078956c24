//! Offsets go when somebody says so, and with their topic.

use std::{collections::BTreeSet, sync::Arc};

use milena_metadata::image::Topic;
use milena_protocol::{
    Uuid,
    group::{Key, OffsetCommitKey},
};

use super::super::{
    super::{Scene, Transition},
    Group, GroupError, Groups, record,
};

/// Why the offset of one partition is not deleted: the group reads the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IsSubscribed;

impl Groups {
    /// OffsetDelete: the partitions of each topic, and what became of the topic.
    pub(crate) fn delete_offsets(
        &mut self,
        group: &str,
        topics: &[(&str, Vec<i32>)],
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Result<(), IsSubscribed>>, GroupError> {
        if group.is_empty() {
            return Err(GroupError::InvalidGroupId);
        }
        let pending = self.pending.of_group(group);
        let delete = |group: &mut Group| {
            group.check_offset_delete()?;
            let mut deleted = Vec::with_capacity(topics.len());
            for (topic, partitions) in topics {
                if group.is_subscribed_to(topic) {
                    deleted.push(Err(IsSubscribed));
                    continue;
                }
                for partition in partitions {
                    let is_pending = pending.contains(&((*topic).into(), *partition));
                    if is_pending || group.offsets.get(topic, *partition).is_some() {
                        group.delete_offset(topic, *partition, Transition::OffsetDeleted, scene)?;
                    }
                }
                deleted.push(Ok(()));
            }
            Ok(deleted)
        };
        let missing = || Err(GroupError::GroupIdNotFound(group.to_owned()));
        let deleted = self.on_group(group, delete).unwrap_or_else(missing)?;
        for ((topic, partitions), _) in topics.iter().zip(&deleted).filter(|(_, it)| it.is_ok()) {
            for partition in partitions {
                self.pending.forget(group, topic, *partition);
            }
        }
        // It may have been there for these alone.
        self.on_group(group, |_| ());
        Ok(deleted)
    }

    /// The ends of all these places were pushed.
    pub(in super::super) fn forget_pending(
        &mut self,
        group: &str,
        places: &BTreeSet<(Box<str>, i32)>,
    ) {
        for (topic, partition) in places {
            self.pending.forget(group, topic, *partition);
        }
        self.on_group(group, |_| ());
    }

    /// A topic is gone, and with it what groups had committed for it.
    pub(crate) fn forget_topic(&mut self, topic: &Topic, scene: &mut Scene<'_>) {
        // What transactions commit does not say which topic of the name it is for.
        let pending = self.pending.of_topic(&topic.name);
        for (id, partition) in &pending {
            self.on_group(id, |group| {
                let gone = [(topic.name.as_ref().into(), vec![*partition])];
                group.delete_each(&gone, Transition::OffsetOfDeletedTopic, scene);
            });
            self.pending.forget(id, &topic.name, *partition);
            self.on_group(id, |_| ());
        }
        let with_it = |group: &&Group| group.offsets.topics.contains_key(&*topic.name);
        let groups: Vec<Arc<str>> =
            self.iter().filter(with_it).map(|group| Arc::clone(group.id())).collect();
        for id in groups {
            self.on_group(&id, |group| {
                let is_its = |it: &Uuid| *it == topic.id || *it == Uuid::ZERO;
                let of_topic = group.offsets.topics.get(&*topic.name);
                let partitions = of_topic.into_iter().flatten();
                let gone: Vec<i32> = partitions
                    .filter(|(_, commit)| is_its(&commit.topic_id))
                    .map(|(partition, _)| *partition)
                    .collect();
                let gone = [(topic.name.as_ref().into(), gone)];
                group.delete_each(&gone, Transition::OffsetOfDeletedTopic, scene);
            });
        }
    }
}

impl Group {
    /// Deletes offsets that do not belong together.
    pub(super) fn delete_each(
        &mut self,
        gone: &[(Box<str>, Vec<i32>)],
        why: Transition,
        scene: &mut Scene<'_>,
    ) {
        for (topic, partitions) in gone {
            for partition in partitions {
                if let Err(error) = self.delete_offset(topic, *partition, why, scene) {
                    tracing::error!(group = %self.id(), %error, "offset not deleted");
                }
                scene.effects.may_cut();
            }
        }
    }

    fn delete_offset(
        &mut self,
        topic: &str,
        partition: i32,
        why: Transition,
        scene: &mut Scene<'_>,
    ) -> Result<(), GroupError> {
        let id = Arc::clone(self.id());
        let key = Key::OffsetCommit(OffsetCommitKey { group: &id, topic, partition });
        record::push(scene, &key, None)?;
        self.offsets.remove(topic, partition);
        scene.count(why);
        Ok(())
    }

    /// Takes the group's last traces away, and what transactions have not committed yet.
    pub(crate) fn delete(
        &mut self,
        pending: &BTreeSet<(Box<str>, i32)>,
        scene: &mut Scene<'_>,
    ) -> Result<(), GroupError> {
        let mut all: Vec<(Box<str>, Vec<i32>)> = Vec::new();
        for (topic, partition) in pending {
            if self.offsets.get(topic, *partition).is_none() {
                all.push((topic.clone(), vec![*partition]));
            }
        }
        for (topic, partitions) in &self.offsets.topics {
            all.push((topic.clone(), partitions.keys().copied().collect()));
        }
        self.delete_each(&all, Transition::OffsetDeleted, scene);
        self.members.delete(scene)
    }
}
