//! Where partitions begin and end, and which record was the first since a time.

use std::collections::BTreeMap;

use milena_protocol::{
    ErrorCode,
    api::{
        ListOffsetsRequest,
        list_offsets::request::{ListOffsetsPartition, ListOffsetsTopic},
    },
};

use super::{Admin, Each, To, by_topic, done, unless_later};
use crate::{
    TopicPartition,
    error::{Error, Result},
    network::{Answer, ListOffsets},
};

/// Which offset is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The first that there still is.
    Earliest,
    /// Behind the last one.
    Latest,
    /// That of the record with the greatest timestamp.
    MaxTimestamp,
    /// That of the first record that is no older, in milliseconds since 1970.
    Timestamp(i64),
}

/// An offset that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundOffset {
    /// Nothing if there is no such record.
    pub offset: Option<i64>,
    /// The record's time, if it was looked for by time.
    pub timestamp: Option<i64>,
    /// The leader epoch in which it was written, if it is known.
    pub leader_epoch: Option<i32>,
}

/// Partitions under their leaders.
pub(super) type Led<T> = BTreeMap<i32, Vec<(TopicPartition, T)>>;

impl OffsetSpec {
    const fn timestamp(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Earliest => -2,
            Self::MaxTimestamp => -3,
            Self::Timestamp(timestamp) => timestamp,
        }
    }
}

impl Admin {
    /// Looks offsets up. With `read_committed` the end is before the first open transaction.
    pub async fn list_offsets(
        &self,
        wanted: &[(TopicPartition, OffsetSpec)],
        read_committed: bool,
    ) -> Result<Each<TopicPartition, FoundOffset>> {
        let attempt = |_| async {
            let found = self.list_offsets_once(wanted, read_committed).await?;
            let errors = found.iter().filter_map(|(_, found)| found.as_ref().err());
            // To look again costs nothing, and another broker is, or soon will be, the leader.
            match errors.into_iter().find(|error| error.code().is_some_and(is_about_leader)) {
                Some(error) => Err(error.clone()),
                None => Ok(found),
            }
        };
        self.cluster.retry("list offsets", self.limit(), attempt).await
    }

    async fn list_offsets_once(
        &self,
        wanted: &[(TopicPartition, OffsetSpec)],
        read_committed: bool,
    ) -> Result<Each<TopicPartition, FoundOffset>> {
        let what = "list offsets";
        let wanted = wanted.iter().map(|(partition, spec)| (partition, *spec));
        let (led, mut all) = self.by_leader(what, wanted).await?;
        for (leader, partitions) in led {
            let topics = by_topic(partitions.iter().map(|(partition, spec)| (partition, *spec)));
            let of_one = |(partition_index, spec): (i32, OffsetSpec)| ListOffsetsPartition {
                partition_index,
                current_leader_epoch: -1,
                timestamp: spec.timestamp(),
            };
            let topics = topics.into_iter().map(|(name, partitions)| ListOffsetsTopic {
                name,
                partitions: partitions.into_iter().map(of_one).collect(),
            });
            let request = ListOffsetsRequest {
                replica_id: -1,
                isolation_level: i8::from(read_committed),
                topics: topics.collect(),
                timeout_ms: self.request_timeout_ms(),
            };
            all.extend(self.ask(what, To::Broker(leader), &request, found).await?);
        }
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(all)
    }

    /// Finds who leads each partition; what nobody leads has its result already.
    pub(super) async fn by_leader<'p, T, U>(
        &self,
        what: &str,
        partitions: impl IntoIterator<Item = (&'p TopicPartition, T)>,
    ) -> Result<(Led<T>, Each<TopicPartition, U>)> {
        let partitions: Vec<_> = partitions.into_iter().collect();
        let mut names: Vec<&str> = partitions.iter().map(|(one, _)| &*one.topic).collect();
        names.sort_unstable();
        names.dedup();
        let topics: BTreeMap<_, _> = self.describe_topics(&names).await?.into_iter().collect();
        let mut led = Led::new();
        let mut lost = Each::new();
        for (partition, value) in partitions {
            let broker = |code| Error::broker(format!("{what} of {partition}"), code);
            let leader = match topics.get(&*partition.topic) {
                Some(Ok(topic)) => match topic.partition(partition.partition) {
                    Some(known) => {
                        known.leader.ok_or_else(|| broker(ErrorCode::LeaderNotAvailable))
                    }
                    None => Err(broker(ErrorCode::UnknownTopicOrPartition)),
                },
                Some(Err(error)) => Err(error.clone()),
                None => Err(broker(ErrorCode::UnknownTopicOrPartition)),
            };
            match leader {
                Ok(leader) => led.entry(leader).or_default().push((partition.clone(), value)),
                Err(error) => lost.push((partition.clone(), Err(error))),
            }
        }
        Ok((led, lost))
    }
}

const fn is_about_leader(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NotLeaderOrFollower
            | ErrorCode::FencedLeaderEpoch
            | ErrorCode::UnknownLeaderEpoch
    )
}

fn found(answer: &Answer<ListOffsets>) -> Result<Each<TopicPartition, FoundOffset>> {
    let known = |number: i64| Some(number).filter(|number| *number >= 0);
    let mut each = Each::new();
    for topic in &answer.message()?.topics {
        for told in &topic.partitions {
            let partition = TopicPartition::new(topic.name, told.partition_index);
            let what = format!("list offsets of {partition}");
            let offset = FoundOffset {
                offset: known(told.offset),
                timestamp: known(told.timestamp),
                leader_epoch: Some(told.leader_epoch).filter(|epoch| *epoch >= 0),
            };
            each.push((partition, done(what, told.error_code, None, offset)));
        }
    }
    unless_later(each)
}
