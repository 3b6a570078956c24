//! The coordinators of this broker, and how the rest of it asks them.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use milena_config::ServerConfig;
use milena_env::{Clock, Random};
use milena_metadata::{
    Publisher,
    image::{Delta, MetadataImage, Topic},
};
use milena_protocol::LeaderEpoch;
use tokio::sync::mpsc::{self, UnboundedReceiver};

use super::{
    Counters, Machine, Reply, Runtime, Scene, Timekeeper,
    group::{GroupError, Groups, patterns::Patterns},
    partition_of,
    runtime::Tools,
    timekeeper::Timed,
    transaction::{self, Errand, Transactions, run_errands},
};
use crate::{
    broker::{Broker, SharedConfig},
    partition::{Partition, assign::Assigner, table::Partitions},
    topics::CONSUMER_OFFSETS,
};

#[derive(Debug)]
pub(crate) struct Coordinators {
    pub(crate) groups: Arc<Runtime<Groups>>,
    pub(crate) patterns: Patterns,
    pub(crate) transactions: Arc<Runtime<Transactions>>,
    config: SharedConfig,
    timekeeper: Mutex<Timekeeper>,
    /// Until they are carried out, from the start on.
    errands: Mutex<Option<UnboundedReceiver<Errand>>>,
}

impl Coordinators {
    pub(crate) fn new(
        clock: &Arc<dyn Clock>,
        config: &SharedConfig,
        mut random: Random,
    ) -> Arc<Self> {
        let timekeeper = Timekeeper::new();
        let (send, errands) = mpsc::unbounded_channel();
        let tools = Tools {
            clock: Arc::clone(clock),
            config: Arc::clone(config),
            waker: timekeeper.waker(),
            errands: send,
        };
        let mut chance = || Random::from_seed(random.next_u64());
        Arc::new(Self {
            groups: Runtime::new(tools.clone(), chance()),
            patterns: Patterns::default(),
            transactions: Runtime::new(tools, chance()),
            config: Arc::clone(config),
            timekeeper: Mutex::new(timekeeper),
            errands: Mutex::new(Some(errands)),
        })
    }

    /// Time begins to pass for them, their logs are loaded, and what they ask for is done.
    pub(crate) fn start(&self, broker: &Arc<Broker>) -> io::Result<()> {
        let groups = Arc::downgrade(&self.groups) as Weak<dyn Timed>;
        let transactions = Arc::downgrade(&self.transactions) as Weak<dyn Timed>;
        let mut errands = self.errands.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(errands) = errands.take() else { return Ok(()) };
        let (clock, broker) = (Arc::clone(&broker.clock), Arc::downgrade(broker));
        let work = move || run_errands(errands, broker);
        self.timekeeper().start(clock, vec![groups, transactions], work)
    }

    /// Before the log directories are closed.
    pub(crate) fn stop(&self) {
        self.timekeeper().stop();
        for (coordinator, counters) in self.counters() {
            for (event, reason, count) in counters.snapshot() {
                tracing::debug!(coordinator, event, reason, count, "happened");
            }
        }
        let transaction::Census { transactional_ids, ongoing, markers, retries } =
            self.census_of_transactions();
        tracing::debug!(transactional_ids, ongoing, markers, retries, "transactions at the end");
    }

    /// What has happened to each kind that is coordinated.
    pub(crate) fn counters(&self) -> [(&'static str, &Counters); 2] {
        [("group", self.groups.counters()), ("transaction", self.transactions.counters())]
    }

    /// A partition has moved to another log directory: its core is loaded from there.
    pub(crate) fn moved(&self, partition: &Arc<Partition>) {
        self.groups.moved(partition);
        self.transactions.moved(partition);
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

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
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

    fn follow<M: Machine>(&self, runtime: &Runtime<M>, delta: &Delta, image: &Arc<MetadataImage>) {
        for topic in delta.deleted_topics.values().filter(|it| &*it.name == M::TOPIC) {
            topic.partitions().for_each(|(index, _)| runtime.resigned(index));
        }
        if let Some(topic) = image.topics.by_name(M::TOPIC)
            && let Some(changed) = delta.topics.get(&topic.id)
        {
            self.lead(runtime, topic, changed.partitions.iter().copied());
        }
        runtime.on_metadata(delta, image);
    }

    fn lead<M: Machine>(
        &self,
        runtime: &Runtime<M>,
        topic: &Topic,
        changed: impl Iterator<Item = i32>,
    ) {
        let here = self.partitions.by_id(topic.id);
        for index in changed {
            let leads = topic.partition(index).filter(|it| it.leader == self.node_id);
            let partition = here.as_ref().and_then(|topic| topic.partition(index));
            match (leads, partition) {
                (Some(assigned), Some(partition)) => {
                    runtime.elected(partition, LeaderEpoch(assigned.leader_epoch));
                }
                _ => runtime.resigned(index),
            }
        }
    }
}

impl Publisher for Follower {
    fn publish(&mut self, delta: &Delta, image: &Arc<MetadataImage>) {
        self.assigner.publish(delta, image);
        self.follow(&self.coordinators.groups, delta, image);
        self.follow(&self.coordinators.transactions, delta, image);
    }
}
