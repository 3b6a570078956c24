//! All that can be asked of a consumer besides records: by its owner, its listener, or anybody who
//! has a handle.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use milena_env::timer;
use milena_protocol::{ErrorCode, LeaderEpoch};
use tokio::sync::Mutex as Turn;

use super::{
    CommittedOffset, OffsetAndTimestamp, RebalanceListener, TopicPartition, Watermarks,
    commit::{Offsets, commit, commit_aside},
    config::IsolationLevel,
    group::{Listener, Subscription},
    leaders::list_offsets,
    offsets::fetch_offsets,
    partitions::{EARLIEST, Found, LATEST, Reset, Wanted},
    pattern::Pattern,
    shared::Shared,
    types::known,
};
use crate::{
    cluster::View,
    error::{Error, Result},
    producer::GroupMember,
};

/// A consumer without its records. Copies speak of the same one.
#[derive(Clone, Debug)]
pub struct ConsumerHandle {
    pub(super) shared: Arc<Shared>,
}

impl ConsumerHandle {
    /// Reads these topics as a member of the group, and none that were subscribed to before.
    pub fn subscribe<T: AsRef<str>>(&self, topics: impl IntoIterator<Item = T>) -> Result<()> {
        self.subscribe_to(names(topics), None)
    }

    /// The same, and somebody hears what the group gives and takes.
    pub fn subscribe_with<T: AsRef<str>>(
        &self,
        topics: impl IntoIterator<Item = T>,
        listener: impl RebalanceListener,
    ) -> Result<()> {
        self.subscribe_to(names(topics), Some(Arc::new(Turn::new(Box::new(listener)))))
    }

    /// Reads all topics whose whole name matches, also those that will be there later.
    pub fn subscribe_pattern(&self, pattern: &str) -> Result<()> {
        let pattern = Arc::new(Pattern::new(pattern)?);
        self.subscribe_to(Subscription::Pattern(pattern), None)
    }

    /// The same, and somebody hears what the group gives and takes.
    pub fn subscribe_pattern_with(
        &self,
        pattern: &str,
        listener: impl RebalanceListener,
    ) -> Result<()> {
        let pattern = Arc::new(Pattern::new(pattern)?);
        let listener: Listener = Arc::new(Turn::new(Box::new(listener)));
        self.subscribe_to(Subscription::Pattern(pattern), Some(listener))
    }

    fn subscribe_to(&self, subscription: Subscription, listener: Option<Listener>) -> Result<()> {
        if self.shared.config.group_id.is_none() {
            return Err(Error::config("group.id", "nobody can subscribe without a group"));
        }
        let membership = &self.shared.membership;
        if !membership.is_subscribed() && !self.assignment().is_empty() {
            return Err(mixed());
        }
        membership.subscribe(subscription, listener, self.shared.now());
        Ok(())
    }

    /// Reads these partitions, whoever else does, and no others.
    pub fn assign(&self, partitions: impl IntoIterator<Item = TopicPartition>) -> Result<()> {
        if self.shared.membership.is_subscribed() {
            return Err(mixed());
        }
        self.shared.partitions().assign(partitions.into_iter().collect());
        self.shared.change();
        Ok(())
    }

    /// Leaves the group, or stops to read what was chosen by hand. What was read is committed first
    /// if `enable.auto.commit` says so.
    pub async fn unsubscribe(&self) {
        if self.shared.membership.is_subscribed() {
            self.shared.membership.unsubscribe().await;
        } else {
            self.shared.partitions().assign(BTreeSet::new());
        }
        self.shared.change();
    }

    /// What is read now.
    #[must_use]
    pub fn assignment(&self) -> BTreeSet<TopicPartition> {
        self.shared.partitions().assignment()
    }

    /// What `poll` passes over.
    #[must_use]
    pub fn paused(&self) -> BTreeSet<TopicPartition> {
        self.shared.partitions().paused()
    }

    /// Lets `poll` pass over partitions. The member stays one.
    pub fn pause<'t>(
        &self,
        partitions: impl IntoIterator<Item = &'t TopicPartition>,
    ) -> Result<()> {
        self.shared.partitions().pause(partitions, true)
    }

    /// Lets `poll` give records of them again.
    pub fn resume<'t>(
        &self,
        partitions: impl IntoIterator<Item = &'t TopicPartition>,
    ) -> Result<()> {
        let done = self.shared.partitions().pause(partitions, false);
        self.shared.change();
        self.shared.filled.notify_one();
        done
    }

    /// Lets the next `poll` go on from an offset.
    pub fn seek(&self, partition: &TopicPartition, to: impl Into<CommittedOffset>) -> Result<()> {
        let to = to.into();
        if to.offset < 0 {
            return Err(Error::Invalid(format!("there is no offset {}", to.offset).into()));
        }
        let done = self.shared.partitions().seek(partition, &to);
        self.shared.change();
        done
    }

    /// Lets the next `poll` go on with the first records that there are.
    pub fn seek_to_beginning<'t>(
        &self,
        partitions: impl IntoIterator<Item = &'t TopicPartition>,
    ) -> Result<()> {
        self.seek_to(partitions, Reset::Earliest)
    }

    /// Lets the next `poll` go on with records that come from now on.
    pub fn seek_to_end<'t>(
        &self,
        partitions: impl IntoIterator<Item = &'t TopicPartition>,
    ) -> Result<()> {
        self.seek_to(partitions, Reset::Latest)
    }

    fn seek_to<'t>(
        &self,
        partitions: impl IntoIterator<Item = &'t TopicPartition>,
        reset: Reset,
    ) -> Result<()> {
        let mut partitions = partitions.into_iter();
        let done = partitions.try_for_each(|it| self.shared.partitions().seek_to(it, reset));
        self.shared.change();
        done
    }

    /// The offset of the record that `poll` gives next. It is found out if need be.
    pub async fn position(&self, partition: &TopicPartition) -> Result<i64> {
        let limit = self.shared.config.client.default_api_timeout;
        let mut changed = self.shared.changed.subscribe();
        let wait = async {
            loop {
                if let Some(position) = self.shared.partitions().position(partition)? {
                    return Ok(position.offset);
                }
                if changed.changed().await.is_err() {
                    return Err(Error::Closed);
                }
            }
        };
        let what = format!("find the position in {partition}");
        let late = || Error::Timeout {
            what: what.into(),
            limit,
            key: "default.api.timeout.ms",
            last: self.shared.cluster.trouble(),
        };
        timer::timeout(limit, wait).await.unwrap_or_else(|| Err(late()))
    }

    /// What the last answer to a fetch said of a partition.
    #[must_use]
    pub fn watermarks(&self, partition: &TopicPartition) -> Option<Watermarks> {
        self.shared.partitions().watermarks(partition)
    }

    /// How many records there are that `poll` has not given yet, as far as is known.
    #[must_use]
    pub fn lag(&self, partition: &TopicPartition) -> Option<i64> {
        let partitions = self.shared.partitions();
        let watermarks = partitions.watermarks(partition)?;
        let end = match self.shared.config.isolation_level {
            IsolationLevel::ReadUncommitted => watermarks.high_watermark,
            IsolationLevel::ReadCommitted => watermarks.last_stable_offset,
        };
        let position = partitions.position(partition).ok().flatten()?;
        Some((end - position.offset).max(0))
    }

    /// How far `poll` has given records up to now: what [`commit`](Self::commit) would commit, and
    /// what a producer commits in a transaction.
    #[must_use]
    pub fn positions(&self) -> Offsets {
        self.shared.partitions().positions()
    }

    /// As whom a producer commits offsets in a transaction, so that a member that was replaced
    /// cannot. Nobody without a group.
    #[must_use]
    pub fn group_member(&self) -> Option<GroupMember> {
        let group_id = self.shared.config.group_id.as_deref()?;
        let identity = self.shared.membership.identity();
        let mut member = GroupMember::group(group_id).member(&identity.id, identity.epoch);
        member.group_instance_id = identity.instance_id;
        Some(member)
    }

    /// Commits what `poll` has given up to now, and waits until that is done. Dropping the future
    /// leaves open whether it is.
    pub async fn commit(&self) -> Result<()> {
        let offsets = self.shared.partitions().positions();
        self.commit_offsets(offsets).await
    }

    /// Commits these offsets, each of the next record to read. The group may keep a text beside.
    pub async fn commit_offsets(&self, offsets: Offsets) -> Result<()> {
        commit(&self.shared, &offsets, self.shared.config.client.default_api_timeout).await
    }

    /// Begins to commit what `poll` has given up to now. If it fails, the log tells.
    pub fn commit_async(&self) {
        let offsets = self.shared.partitions().positions();
        commit_aside(&self.shared, offsets);
    }

    /// What the group has committed.
    pub async fn committed(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, CommittedOffset>> {
        let Some(group_id) = self.shared.config.group_id.as_deref() else {
            return Err(Error::config("group.id", "without a group nothing is committed"));
        };
        let cluster = &self.shared.cluster;
        let limit = self.shared.config.client.default_api_timeout;
        let what = format!("read what {group_id} has committed");
        let found = cluster.retry(&what, limit, |_| async {
            let member = self.shared.membership.identity();
            fetch_offsets(cluster, group_id, &member, partitions).await
        });
        let found = found.await?.into_iter();
        Ok(found.filter_map(|(partition, it)| Some((partition, it?))).collect())
    }

    /// The first offsets that there are.
    pub async fn beginning_offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, i64>> {
        let all = partitions.iter().map(|partition| (partition.clone(), EARLIEST)).collect();
        let found = self.find(all).await?.into_iter();
        Ok(found.map(|(partition, found)| (partition, found.offset)).collect())
    }

    /// The offsets behind the last records: of all, or of those that are committed.
    pub async fn end_offsets(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, i64>> {
        let all = partitions.iter().map(|partition| (partition.clone(), LATEST)).collect();
        let found = self.find(all).await?.into_iter();
        Ok(found.map(|(partition, found)| (partition, found.offset)).collect())
    }

    /// The first records that are no older than the given times, in milliseconds since 1970. A
    /// partition without such a record is left out.
    pub async fn offsets_for_times(
        &self,
        times: &BTreeMap<TopicPartition, i64>,
    ) -> Result<BTreeMap<TopicPartition, OffsetAndTimestamp>> {
        if let Some((partition, time)) = times.iter().find(|(_, time)| **time < 0) {
            return Err(Error::Invalid(format!("{time} is no time for {partition}").into()));
        }
        let found = self.find(times.clone()).await?.into_iter();
        let found = found.filter(|(_, found)| found.offset >= 0);
        Ok(found
            .map(|(partition, found)| {
                let (offset, timestamp) = (found.offset, found.timestamp);
                let leader_epoch = known(found.epoch);
                (partition, OffsetAndTimestamp { offset, timestamp, leader_epoch })
            })
            .collect())
    }

    /// Asks the leaders, and asks again those who were not it any more.
    async fn find(
        &self,
        times: BTreeMap<TopicPartition, i64>,
    ) -> Result<BTreeMap<TopicPartition, Found>> {
        let (cluster, config) = (&self.shared.cluster, &self.shared.config);
        cluster.want(times.keys().map(|it| &*it.topic), config.allow_auto_create_topics);
        let limit = config.client.default_api_timeout;
        let attempt = |_| async {
            let mut found = BTreeMap::new();
            // Nobody knows a leader while nobody tells.
            let why = |error| cluster.trouble().map_or(error, |trouble| (*trouble).clone());
            for (node, asked) in by_leader(&cluster.view(), &times).map_err(why)? {
                let answers = list_offsets(cluster, node, config.isolation_level, &asked).await?;
                for (partition, answer) in answers {
                    found.insert(partition, answer?);
                }
            }
            Ok(found)
        };
        cluster.retry("find offsets", limit, attempt).await
    }
}

fn by_leader(
    view: &View,
    times: &BTreeMap<TopicPartition, i64>,
) -> Result<BTreeMap<i32, Vec<(TopicPartition, Wanted)>>> {
    let mut leaders: BTreeMap<i32, Vec<_>> = BTreeMap::new();
    for (partition, time) in times {
        let known = view.partition(&partition.topic, partition.partition);
        let Some((leader, leader_epoch)) = known.and_then(|it| Some((it.leader?, it.leader_epoch)))
        else {
            let (what, code) = (format!("find {partition}"), ErrorCode::LeaderNotAvailable);
            return Err(Error::broker(what, code));
        };
        let leader_epoch = leader_epoch.max(LeaderEpoch::UNKNOWN);
        let wanted = Wanted { incarnation: 0, leader_epoch, value: *time };
        leaders.entry(leader).or_default().push((partition.clone(), wanted));
    }
    Ok(leaders)
}

fn names<T: AsRef<str>>(topics: impl IntoIterator<Item = T>) -> Subscription {
    Subscription::Names(topics.into_iter().map(|topic| topic.as_ref().into()).collect())
}

fn mixed() -> Error {
    let problem =
        "a consumer either subscribes, or chooses its partitions by hand: unsubscribe first";
    Error::Invalid(problem.into())
}
