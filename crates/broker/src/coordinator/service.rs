//! The coordinators of this broker, and how the rest of it asks them.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use milena_env::{Clock, Random};
use milena_metadata::{
    Publisher,
    image::{Delta, MetadataImage, Topic},
};
use milena_protocol::LeaderEpoch;

use super::{
    Reply, Runtime, Scene, Timekeeper,
    group::{GroupError, Groups, patterns::Patterns},
    partition_of,
    timekeeper::Timed,
};
use crate::{
    broker::SharedConfig,
    partition::{Partition, assign::Assigner, table::Partitions},
    topics::CONSUMER_OFFSETS,
};

#[derive(Debug)]
pub(crate) struct Coordinators {
    pub(crate) groups: Arc<Runtime<Groups>>,
    pub(crate) patterns: Patterns,
    config: SharedConfig,
    timekeeper: Mutex<Timekeeper>,
}

impl Coordinators {
    pub(crate) fn new(clock: &Arc<dyn Clock>, config: &SharedConfig, random: Random) -> Arc<Self> {
        let timekeeper = Timekeeper::new();
        let waker = timekeeper.waker();
        let groups = Runtime::new(Arc::clone(clock), Arc::clone(config), random, waker);
        let (config, timekeeper) = (Arc::clone(config), Mutex::new(timekeeper));
        Arc::new(Self { groups, patterns: Patterns::default(), config, timekeeper })
    }

    /// Time begins to pass for them, and their logs are loaded.
    pub(crate) fn start(&self, clock: Arc<dyn Clock>) -> io::Result<()> {
        let groups: Weak<dyn Timed> = Arc::downgrade(&self.groups) as Weak<dyn Timed>;
        self.timekeeper().start(clock, vec![groups])
    }

    /// Before the log directories are closed.
    pub(crate) fn stop(&self) {
        self.timekeeper().stop();
        for (event, reason, count) in self.groups.counters().snapshot() {
            tracing::debug!(event, reason, count, "happened to groups");
        }
    }

    /// A partition has moved to another log directory: its core is loaded from there.
    pub(crate) fn moved(&self, partition: &Arc<Partition>) {
        let (name, index) = (partition.log.name(), partition.index());
        if *name.topic == *CONSUMER_OFFSETS && self.groups.partitions().contains(&index) {
            self.groups.elected(partition, partition.leader_epoch());
        }
    }

    /// Has the core that keeps this group do something, and waits until its answer is true.
    pub(crate) async fn ask_group<T>(
        &self,
        image: &MetadataImage,
        group: &str,
        event: impl FnOnce(&mut Groups, &mut Scene<'_>) -> Result<T, GroupError>,
    ) -> Result<T, GroupError> {
        let partition = self.partition_of_group(image, group);
        self.groups.ask(partition, self.limit(), event).await?
    }

    /// The same where the answer may come later.
    pub(crate) async fn wait_for_group<T>(
        &self,
        image: &MetadataImage,
        group: &str,
        event: impl FnOnce(&mut Groups, &mut Scene<'_>, Reply<T>),
    ) -> Result<T, GroupError> {
        let partition = self.partition_of_group(image, group);
        Ok(self.groups.wait(partition, self.limit(), event).await?)
    }

    /// Where the group's state lies.
    pub(crate) fn partition_of_group(&self, image: &MetadataImage, group: &str) -> i32 {
        let topic = image.topics.by_name(CONSUMER_OFFSETS);
        let partitions = topic.map_or_else(
            || self.config.load().groups.offsets.topic.partitions,
            |topic| topic.partition_count() as i32,
        );
        partition_of(group, partitions)
    }

    /// `offsets.commit.timeout.ms`
    pub(crate) fn limit(&self) -> Duration {
        Duration::from_millis(self.config.load().groups.offsets.commit_timeout_ms)
    }

    fn timekeeper(&self) -> std::sync::MutexGuard<'_, Timekeeper> {
        self.timekeeper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What follows from the metadata: partitions come and go, and with them what they coordinate.
#[derive(Debug)]
pub(crate) struct Follower {
    node_id: i32,
    assigner: Assigner,
    partitions: Arc<Partitions>,
    coordinators: Arc<Coordinators>,
}

impl Follower {
    pub(crate) fn new(
        node_id: i32,
        assigner: Assigner,
        partitions: Arc<Partitions>,
        coordinators: Arc<Coordinators>,
    ) -> Self {
        Self { node_id, assigner, partitions, coordinators }
    }

    fn follow(&self, topic: &Topic, changed: impl Iterator<Item = i32>) {
        let here = self.partitions.by_id(topic.id);
        for index in changed {
            let leads = topic.partition(index).filter(|it| it.leader == self.node_id);
            let partition = here.as_ref().and_then(|topic| topic.partition(index));
            match (leads, partition) {
                (Some(assigned), Some(partition)) => {
                    let epoch = LeaderEpoch(assigned.leader_epoch);
                    self.coordinators.groups.elected(partition, epoch);
                }
                _ => self.coordinators.groups.resigned(index),
            }
        }
    }
}

impl Publisher for Follower {
    fn publish(&mut self, delta: &Delta, image: &Arc<MetadataImage>) {
        self.assigner.publish(delta, image);
        for topic in delta.deleted_topics.values().filter(|it| &*it.name == CONSUMER_OFFSETS) {
            topic.partitions().for_each(|(index, _)| self.coordinators.groups.resigned(index));
        }
        if let Some(topic) = image.topics.by_name(CONSUMER_OFFSETS)
            && let Some(changed) = delta.topics.get(&topic.id)
        {
            self.follow(topic, changed.partitions.iter().copied());
        }
        self.coordinators.groups.on_metadata(delta, image);
    }
}
