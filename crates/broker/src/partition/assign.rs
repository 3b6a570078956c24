//! What the metadata assign to this broker: partitions come, change and go. Runs on the metadata
//! thread, before anybody hears of the change.

use std::{path::PathBuf, sync::Arc};

use milena_config::TopicConfig;
use milena_metadata::{
    Publisher,
    image::{
        ConfigResource, Delta, MetadataImage, Partition as Assignment, ResourceType,
        Topic as TopicImage,
    },
};
use milena_protocol::{LeaderEpoch, Uuid};
use milena_storage::{Log, LogConfig, LogDirectory, StorageError, TopicPartition};

use super::{
    Leader, Partition,
    table::{Partitions, Topic},
};
use crate::{
    broker::SharedConfig,
    log_config::{entries, log_config, topic_config},
};

/// Creates, changes and deletes the partitions that are here.
#[derive(Debug)]
pub(crate) struct Assigner {
    node_id: i32,
    directories: Vec<Arc<LogDirectory>>,
    /// Where one lies that could not be opened.
    closed: Option<PathBuf>,
    partitions: Arc<Partitions>,
    config: SharedConfig,
}

impl Assigner {
    pub(crate) fn new(
        node_id: i32,
        directories: Vec<Arc<LogDirectory>>,
        closed: Option<PathBuf>,
        partitions: Arc<Partitions>,
        config: SharedConfig,
    ) -> Self {
        Self { node_id, directories, closed, partitions, config }
    }

    fn take_in(&self, image: &MetadataImage, topic: &TopicImage, changed: &[i32]) {
        let _alone = self.partitions.change();
        let config = self.config.load();
        let settings = topic_config(&config, image, &topic.name);
        // One for all logs of the topic: there may be very many.
        let of_logs = log_config(&config, &settings);
        let known = self.partitions.by_id(topic.id);
        let mut here = known.map_or_else(|| Topic::new(&topic.name, topic.id), |t| (*t).clone());
        for index in changed {
            let Some(assigned) = topic.partition(*index) else { continue };
            if !assigned.replicas.contains(&self.node_id) {
                continue;
            }
            if let Some(partition) = here.partition(*index) {
                partition.assigned(&Assigned::of(assigned, self.node_id));
                partition.set_min_in_sync(min_in_sync(&settings, assigned));
                continue;
            }
            let name = TopicPartition { topic: (*topic.name).into(), partition: *index };
            let wanted = assigned.directory(self.node_id).unwrap_or(Uuid::ZERO);
            match self.open(&name, topic.id, wanted, &of_logs) {
                Ok(log) => {
                    let min_in_sync = min_in_sync(&settings, assigned);
                    let assigned = Assigned::of(assigned, self.node_id);
                    let end = log.durable_end();
                    log.begin_epoch(assigned.leader_epoch);
                    let leader =
                        Leader::new(assigned.leader_epoch, &assigned.others_in_sync, end, end);
                    let partition = Partition::new(log, leader, min_in_sync);
                    here.set(*index, Some(partition));
                }
                Err(error) => {
                    here.miss(*index);
                    tracing::error!(partition = %name, %error, "partition not opened");
                }
            }
        }
        self.partitions.insert(here);
    }

    /// The log where it is, or else in the wanted directory, or the one with the fewest logs.
    fn open(
        &self,
        name: &TopicPartition,
        topic_id: Uuid,
        wanted: Uuid,
        config: &Arc<LogConfig>,
    ) -> Result<Arc<Log>, StorageError> {
        let existing = self.directories.iter().find_map(|directory| directory.log(name));
        if let Some(log) = existing
            && (log.topic_id() == topic_id || log.topic_id() == Uuid::ZERO)
        {
            log.configure(Arc::clone(config))?;
            return Ok(log);
        }
        let online = || self.directories.iter().filter(|directory| directory.offline().is_none());
        let is_wanted = |d: &&Arc<LogDirectory>| d.meta().directory_id == Some(wanted);
        // It may lie in one that could not be opened, with all its records.
        let fewest = || online().filter(|_| self.closed.is_none()).min_by_key(|d| d.log_count());
        let Some(directory) = online().find(is_wanted).or_else(fewest) else {
            let first = || self.directories.first().map(|d| d.path().to_owned());
            let path = self.closed.clone().or_else(first).unwrap_or_default();
            let reason = "and the partition may lie there".to_owned();
            return Err(StorageError::Offline { path, reason });
        };
        directory.create(name.clone(), topic_id, Arc::clone(config))
    }

    fn let_go(&self, topic: &TopicImage) {
        let _alone = self.partitions.change();
        self.partitions.remove(topic.id);
        for (index, assigned) in topic.partitions() {
            if !assigned.replicas.contains(&self.node_id) {
                continue;
            }
            let name = TopicPartition { topic: (*topic.name).into(), partition: index };
            for directory in &self.directories {
                // Another topic may have the name by now.
                if directory.log(&name).is_some_and(|log| log.topic_id() == topic.id)
                    && let Err(error) = directory.delete(&name)
                {
                    tracing::error!(partition = %name, %error, "partition not deleted");
                }
            }
        }
    }

    /// Settings of brokers have changed: this one's are made anew, and topics that inherit them.
    fn change_settings(&self, image: &MetadataImage) {
        let own = self.node_id.to_string();
        let of = |name: &str| {
            entries(image.configs.of(&ConfigResource::new(ResourceType::Broker, name)))
        };
        let before = self.config.load_full();
        let changed = match before.changed(&of(""), &of(&own)) {
            Ok(changed) => Arc::new(changed),
            Err(error) => return tracing::error!(%error, "changed settings cannot be used"),
        };
        self.config.store(Arc::clone(&changed));
        if changed.topic_defaults != before.topic_defaults || changed.logs != before.logs {
            for topic in self.partitions.all() {
                self.reconfigure(image, &topic.name);
            }
        }
    }

    fn reconfigure(&self, image: &MetadataImage, topic: &str) {
        let _alone = self.partitions.change();
        let Some(here) = self.partitions.by_name(topic) else { return };
        let config = self.config.load();
        let settings = topic_config(&config, image, topic);
        let of_logs = log_config(&config, &settings);
        let known = image.topics.by_name(topic);
        for partition in here.partitions() {
            if let Some(assigned) = known.and_then(|topic| topic.partition(partition.index())) {
                partition.set_min_in_sync(min_in_sync(&settings, assigned));
            }
            if let Err(error) = partition.log.configure(Arc::clone(&of_logs)) {
                tracing::error!(partition = %partition.log.name(), %error, "not reconfigured");
            }
        }
    }
}

/// `min.insync.replicas`, of which no more can be asked than there are replicas.
fn min_in_sync(settings: &TopicConfig, assigned: &Assignment) -> usize {
    let wanted = settings.min_insync_replicas.max(1).unsigned_abs() as usize;
    wanted.min(assigned.replicas.len())
}

/// What metadata say about a partition, as one of its brokers sees it.
#[derive(Clone, Debug)]
pub(crate) struct Assigned {
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) others_in_sync: Vec<i32>,
}

impl Assigned {
    fn of(assigned: &Assignment, node_id: i32) -> Self {
        Self {
            leader_epoch: LeaderEpoch(assigned.leader_epoch),
            others_in_sync: assigned.isr.iter().copied().filter(|id| *id != node_id).collect(),
        }
    }
}

impl Publisher for Assigner {
    fn publish(&mut self, delta: &Delta, image: &Arc<MetadataImage>) {
        let is_settings = |it: &ConfigResource| it.kind == ResourceType::Broker;
        if delta.configs.iter().any(is_settings) {
            self.change_settings(image);
        }
        // Those that go before others: another topic of the same name may come.
        delta.deleted_topics.values().for_each(|topic| self.let_go(topic));
        for (id, changed) in &delta.topics {
            if let Some(topic) = image.topics.by_id(*id) {
                let changed: Vec<i32> = changed.partitions.iter().copied().collect();
                self.take_in(image, topic, &changed);
            }
        }
        for resource in &delta.configs {
            if resource.kind == ResourceType::Topic {
                self.reconfigure(image, &resource.name);
            }
        }
    }
}
