//! Groups as stories: who asks what, what is answered, what is written down. No socket, no disk,
//! and time passes when the story says so.

mod classic;
mod consumer;
mod offsets;

use milena_metadata::image::ResourceType;
use milena_protocol::{
    Uuid,
    group::{Key, Value},
    metadata::{
        ConfigRecord, PartitionRecord, RemoveTopicRecord, TopicRecord, Value as MetadataRecord,
    },
};

use super::{Groups, record};
use crate::coordinator::{
    Machine,
    test::{Answer, Pair, Stage},
};

/// A partition of `__consumer_offsets`, its log, and the world around it.
pub(crate) type Rig = Stage<Groups>;

impl Rig {
    pub(crate) fn new(settings: &[(&str, &str)]) -> Self {
        let mut rig = Self::empty(settings);
        rig.happens(|groups, scene| groups.loaded(scene));
        rig
    }

    /// What was written from this place of the log on.
    pub(crate) fn written(&self, from: usize) -> Vec<(Key<'_>, Option<Value<'_>>)> {
        self.log[from..].iter().map(read).collect()
    }

    /// A topic comes into being, or gets more partitions.
    pub(crate) fn topic(&mut self, name: &str, partitions: i32) -> Uuid {
        let known = self.image.topics.by_name(name).map(|it| (it.id, it.partition_count() as i32));
        let (id, have) = known.unwrap_or_else(|| (Uuid::from_be_bytes(self.random.uuid()), 0));
        let mut records = Vec::new();
        if have == 0 {
            records.push(MetadataRecord::TopicRecord(TopicRecord { name, topic_id: id }));
        }
        records.extend((have..partitions).map(|partition_id| {
            MetadataRecord::PartitionRecord(PartitionRecord {
                partition_id,
                topic_id: id,
                replicas: vec![1],
                isr: vec![1],
                leader: 1,
                ..Default::default()
            })
        }));
        self.metadata(&records);
        id
    }

    pub(crate) fn delete_topic(&mut self, topic_id: Uuid) {
        self.metadata(&[MetadataRecord::RemoveTopicRecord(RemoveTopicRecord { topic_id })]);
    }

    pub(crate) fn configure_group(&mut self, group: &str, key: &str, value: &str) {
        self.metadata(&[MetadataRecord::ConfigRecord(ConfigRecord {
            resource_type: ResourceType::Group.number(),
            resource_name: group,
            name: key,
            value: Some(value),
        })]);
    }
}

fn read((key, value): &Pair) -> (Key<'_>, Option<Value<'_>>) {
    let key = record::read_key(key).unwrap().unwrap();
    let value = value.as_deref().map(|value| record::read_value(&key, value).unwrap());
    (key, value)
}
