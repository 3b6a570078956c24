//! Who produces to a partition.

use milena_protocol::api::{DescribeProducersRequest, describe_producers::request::TopicRequest};

use super::{Admin, Each, To, by_topic, done, unless_later};
use crate::{
    TopicPartition,
    error::Result,
    network::{Answer, DescribeProducers},
};

/// An idempotent or transactional producer that a partition remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActiveProducer {
    /// Its id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i32,
    /// The sequence of its last record.
    pub last_sequence: i32,
    /// When it last produced, in milliseconds since 1970.
    pub last_timestamp: i64,
    /// Who wrote its last marker, as a count of coordinators.
    pub coordinator_epoch: Option<i32>,
    /// Where its open transaction begins.
    pub transaction_start: Option<i64>,
}

impl Admin {
    /// The producers that these partitions remember.
    pub async fn describe_producers(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Each<TopicPartition, Vec<ActiveProducer>>> {
        let what = "describe producers";
        let wanted = partitions.iter().map(|partition| (partition, ()));
        let (led, mut all) = self.by_leader(what, wanted).await?;
        for (leader, partitions) in led {
            let topics = by_topic(partitions.iter().map(|(partition, ())| (partition, ())));
            let topics = topics.into_iter().map(|(name, partitions)| TopicRequest {
                name,
                partition_indexes: partitions.into_iter().map(|(number, ())| number).collect(),
            });
            let request = DescribeProducersRequest { topics: topics.collect() };
            all.extend(self.ask(what, To::Broker(leader), &request, active).await?);
        }
        Ok(all)
    }
}

fn active(answer: &Answer<DescribeProducers>) -> Result<Each<TopicPartition, Vec<ActiveProducer>>> {
    let mut each = Each::new();
    for topic in &answer.message()?.topics {
        for told in &topic.partitions {
            let partition = TopicPartition::new(topic.name, told.partition_index);
            let what = format!("describe the producers of {partition}");
            let producers = told.active_producers.iter().map(|one| ActiveProducer {
                id: one.producer_id,
                epoch: one.producer_epoch,
                last_sequence: one.last_sequence,
                last_timestamp: one.last_timestamp,
                coordinator_epoch: Some(one.coordinator_epoch).filter(|epoch| *epoch >= 0),
                transaction_start: Some(one.current_txn_start_offset).filter(|at| *at >= 0),
            });
            let producers = producers.collect();
            each.push((partition, done(what, told.error_code, told.error_message, producers)));
        }
    }
    unless_later(each)
}
