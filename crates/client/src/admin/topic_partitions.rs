//! Partitions with all that a cluster knows of their replicas, page by page: topics may have more
//! of them than one answer can hold.

use milena_protocol::{
    ErrorCode, LeaderEpoch,
    api::{
        DescribeTopicPartitionsRequest,
        describe_topic_partitions::{
            request::{Cursor, TopicRequest},
            response::DescribeTopicPartitionsResponsePartition,
        },
    },
};

use super::{Admin, Each, To};
use crate::{
    cluster::Partition,
    error::{Error, Result},
    network::DescribeTopicPartitions,
};

/// A partition, and who else might lead it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionDescription {
    /// Who leads it, who holds it, and who of them is in sync.
    pub partition: Partition,
    /// Who may lead it besides those in sync, without a loss (KIP-966).
    pub eligible: Vec<i32>,
    /// Who was eligible when nobody was left.
    pub last_eligible: Vec<i32>,
}

/// What one answer tells: topics with some of their partitions, and where the next one begins.
type Page = (Each<Box<str>, Vec<PartitionDescription>>, Option<(Box<str>, i32)>);

impl Admin {
    /// The partitions of these topics. Older brokers cannot say; they are asked by
    /// [`describe_topics`](Self::describe_topics).
    pub async fn describe_partitions(
        &self,
        topics: &[&str],
    ) -> Result<Each<Box<str>, Vec<PartitionDescription>>> {
        // Brokers want them, and cursors, in this order.
        let mut topics = topics.to_vec();
        topics.sort_unstable();
        topics.dedup();
        let mut all: Each<Box<str>, Vec<PartitionDescription>> = Each::new();
        let mut next: Option<(Box<str>, i32)> = None;
        loop {
            let left = next.as_ref().map_or("", |(topic, _)| topic);
            let names = topics.iter().filter(|name| **name >= left);
            let cursor = next.as_ref();
            let cursor = cursor.map(|(topic_name, partition_index)| Cursor {
                topic_name,
                partition_index: *partition_index,
            });
            let request = DescribeTopicPartitionsRequest {
                topics: names.map(|name| TopicRequest { name }).collect(),
                cursor,
                ..Default::default()
            };
            let (page, after) = self.page(&request).await?;
            for (name, partitions) in page {
                match (all.last_mut().filter(|(last, _)| *last == name), partitions) {
                    (Some((_, Ok(before))), Ok(more)) => before.extend(more),
                    (_, partitions) => all.push((name, partitions)),
                }
            }
            // Whoever does not come on would be asked for ever.
            next = after.filter(|after| next.as_ref().is_none_or(|before| before < after));
            if next.is_none() {
                return Ok(all);
            }
        }
    }

    async fn page(&self, request: &DescribeTopicPartitionsRequest<'_>) -> Result<Page> {
        let what = "describe partitions";
        self.ask::<DescribeTopicPartitions, _>(what, To::Any, request, |answer| {
            let message = answer.message()?;
            let topics = message.topics.iter().map(|topic| {
                let name: Box<str> = topic.name.unwrap_or_default().into();
                let checked = Error::check(&format!("{what} of {name}"), topic.error_code, None);
                (name, checked.map(|()| topic.partitions.iter().map(described).collect()))
            });
            let next = message.next_cursor.as_ref();
            let next = next.map(|next| (next.topic_name.into(), next.partition_index));
            Ok((topics.collect(), next))
        })
        .await
    }
}

fn described(told: &DescribeTopicPartitionsResponsePartition) -> PartitionDescription {
    let brokers = |ids: &Option<Vec<i32>>| ids.clone().unwrap_or_default();
    let leader = Some(told.leader_id).filter(|id| *id >= 0);
    let is_led = told.error_code == ErrorCode::None as i16;
    PartitionDescription {
        partition: Partition {
            index: told.partition_index,
            leader: leader.filter(|_| is_led),
            leader_epoch: LeaderEpoch(told.leader_epoch),
            replicas: told.replica_nodes.clone(),
            in_sync: told.isr_nodes.clone(),
            offline: told.offline_replicas.clone(),
        },
        eligible: brokers(&told.eligible_leader_replicas),
        last_eligible: brokers(&told.last_known_elr),
    }
}
