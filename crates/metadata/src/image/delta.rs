//! What changed between two images.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use milena_protocol::Uuid;

use super::{MetadataImage, configs::ConfigResource, topics::Topic};

/// What changed in a topic that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicDelta {
    /// The topic is new.
    pub is_created: bool,
    /// Partitions that are new or changed.
    pub partitions: BTreeSet<i32>,
}

/// What changed between two images; how it is now, the later image tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delta {
    /// Topics that are there and were not, or not so.
    pub topics: BTreeMap<Uuid, TopicDelta>,
    /// Topics that are gone, as they were last.
    pub deleted_topics: BTreeMap<Uuid, Arc<Topic>>,
    pub configs: BTreeSet<ConfigResource>,
    /// Brokers that came, went, or changed.
    pub brokers: BTreeSet<i32>,
    pub features_changed: bool,
    pub client_quotas_changed: bool,
    pub scram_changed: bool,
    /// Access rules or delegation tokens.
    pub security_changed: bool,
    pub producer_ids_changed: bool,
}

impl Delta {
    /// Everything in which two images differ, found by looking at all of both.
    #[must_use]
    pub fn between(old: &MetadataImage, new: &MetadataImage) -> Self {
        let mut delta = Self::default();
        for topic in new.topics.iter() {
            let before = old.topics.by_id(topic.id);
            if before.is_some_and(|before| Arc::ptr_eq(before, topic)) {
                continue;
            }
            let changed: BTreeSet<i32> = topic
                .partitions()
                .filter(|(id, now)| before.and_then(|it| it.partition(*id)) != Some(*now))
                .map(|(id, _)| id)
                .collect();
            if before.is_none() || !changed.is_empty() {
                let is_created = before.is_none();
                delta.topics.insert(topic.id, TopicDelta { is_created, partitions: changed });
            }
        }
        let gone = old.topics.iter().filter(|topic| new.topics.by_id(topic.id).is_none());
        delta.deleted_topics = gone.map(|topic| (topic.id, Arc::clone(topic))).collect();
        let resources = old.configs.sorted().into_iter().chain(new.configs.sorted());
        let changed = resources.filter(|(name, _)| old.configs.of(name) != new.configs.of(name));
        delta.configs = changed.map(|(name, _)| name.clone()).collect();
        let brokers = old.cluster.brokers().chain(new.cluster.brokers()).map(|broker| broker.id);
        let changed = brokers.filter(|id| old.cluster.broker(*id) != new.cluster.broker(*id));
        delta.brokers = changed.collect();
        delta.features_changed = old.features != new.features;
        delta.client_quotas_changed = old.client_quotas != new.client_quotas;
        delta.scram_changed = old.scram != new.scram;
        delta.security_changed = old.security != new.security;
        delta.producer_ids_changed = old.next_producer_id != new.next_producer_id;
        delta
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn partition(&mut self, topic: Uuid, partition: i32) {
        self.topics.entry(topic).or_default().partitions.insert(partition);
    }

    pub(super) fn topic_created(&mut self, topic: Uuid) {
        self.topics.entry(topic).or_default().is_created = true;
    }

    pub(super) fn topic_deleted(&mut self, topic: Arc<Topic>) {
        let was_created_since = self.topics.remove(&topic.id).is_some_and(|t| t.is_created);
        if !was_created_since {
            self.deleted_topics.insert(topic.id, topic);
        }
    }
}
