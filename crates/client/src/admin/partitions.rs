//! Partitions: added, emptied, led and held by others.

use milena_protocol::{
    ErrorCode,
    api::{
        AlterPartitionReassignmentsRequest, CreatePartitionsRequest, DeleteRecordsRequest,
        ElectLeadersRequest, ListPartitionReassignmentsRequest,
        alter_partition_reassignments::request::{ReassignablePartition, ReassignableTopic},
        create_partitions::request::{CreatePartitionsAssignment, CreatePartitionsTopic},
        delete_records::request::{DeleteRecordsPartition, DeleteRecordsTopic},
        elect_leaders::request::TopicPartitions,
    },
};

use super::{Admin, Each, To, by_topic, done, unless_later};
use crate::{
    TopicPartition,
    error::{Error, Result},
    network::{
        AlterPartitionReassignments, CreatePartitions, DeleteRecords, ElectLeaders,
        ListPartitionReassignments,
    },
};

/// A partition that is on its way to other brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reassignment {
    /// Which partition.
    pub partition: TopicPartition,
    /// Who holds it or is to hold it.
    pub replicas: Vec<i32>,
    /// Who of them is new.
    pub adding: Vec<i32>,
    /// Who of them will not hold it any more.
    pub removing: Vec<i32>,
}

/// How many partitions a topic is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MorePartitions {
    /// Which topic.
    pub topic: Box<str>,
    /// How many in all.
    pub total: i32,
    /// Which brokers hold each of the new ones, the preferred leader first; else the controller
    /// chooses.
    pub placed: Option<Vec<Vec<i32>>>,
}

impl Admin {
    /// Gives topics more partitions.
    pub async fn create_partitions(
        &self,
        topics: &[MorePartitions],
        validate_only: bool,
    ) -> Result<Each<Box<str>>> {
        let assigned = |replicas: &Vec<Vec<i32>>| {
            let of_one =
                |brokers: &Vec<i32>| CreatePartitionsAssignment { broker_ids: brokers.clone() };
            replicas.iter().map(of_one).collect()
        };
        let topics = topics.iter().map(|wanted| CreatePartitionsTopic {
            name: &wanted.topic,
            count: wanted.total,
            assignments: wanted.placed.as_ref().map(assigned),
        });
        let request = CreatePartitionsRequest {
            topics: topics.collect(),
            timeout_ms: self.request_timeout_ms(),
            validate_only,
        };
        self.ask::<CreatePartitions, _>("add partitions", To::Controller, &request, |answer| {
            let message = answer.message()?;
            let topics = message.results.iter().map(|topic| {
                let what = format!("add partitions to {}", topic.name);
                (topic.name.into(), done(what, topic.error_code, topic.error_message, ()))
            });
            unless_later(topics.collect())
        })
        .await
    }

    /// Deletes the records before these offsets (-1: all that are there now), and says where each
    /// partition begins then.
    pub async fn delete_records(
        &self,
        before: &[(TopicPartition, i64)],
    ) -> Result<Each<TopicPartition, i64>> {
        let partitions = before.iter().map(|(partition, offset)| (partition, *offset));
        let (led, mut all) = self.by_leader("delete records", partitions).await?;
        for (leader, partitions) in led {
            let topics =
                by_topic(partitions.iter().map(|(partition, offset)| (partition, *offset)));
            let topics = topics.into_iter().map(|(name, partitions)| DeleteRecordsTopic {
                name,
                partitions: partitions
                    .into_iter()
                    .map(|(partition_index, offset)| DeleteRecordsPartition {
                        partition_index,
                        offset,
                    })
                    .collect(),
            });
            let request = DeleteRecordsRequest {
                topics: topics.collect(),
                timeout_ms: self.request_timeout_ms(),
            };
            let read = |answer: &crate::network::Answer<DeleteRecords>| {
                let mut each = Each::new();
                for topic in &answer.message()?.topics {
                    for told in &topic.partitions {
                        let partition = TopicPartition::new(topic.name, told.partition_index);
                        let what = format!("delete records of {partition}");
                        each.push((
                            partition,
                            done(what, told.error_code, None, told.low_watermark),
                        ));
                    }
                }
                unless_later(each)
            };
            let to = To::Broker(leader);
            all.extend(self.ask::<DeleteRecords, _>("delete records", to, &request, read).await?);
        }
        Ok(all)
    }

    /// Has the preferred replica lead each of these partitions (all of them, if none is given), or
    /// any that is there, which loses what only others had.
    pub async fn elect_leaders(
        &self,
        partitions: Option<&[TopicPartition]>,
        unclean: bool,
    ) -> Result<Each<TopicPartition>> {
        let topics = partitions.map(|partitions| {
            let topics = by_topic(partitions.iter().map(|partition| (partition, ())));
            let topics = topics.into_iter().map(|(topic, partitions)| TopicPartitions {
                topic,
                partitions: partitions.into_iter().map(|(partition, ())| partition).collect(),
            });
            topics.collect()
        });
        let request = ElectLeadersRequest {
            election_type: i8::from(unclean),
            topic_partitions: topics,
            timeout_ms: self.request_timeout_ms(),
        };
        self.ask::<ElectLeaders, _>("elect leaders", To::Controller, &request, |answer| {
            let message = answer.message()?;
            Error::check("elect leaders", message.error_code, None)?;
            let mut each = Each::new();
            for topic in &message.replica_election_results {
                for told in &topic.partition_result {
                    let partition = TopicPartition::new(topic.topic, told.partition_id);
                    let what = format!("elect the leader of {partition}");
                    let code = match ErrorCode::from_number(told.error_code) {
                        // It is led as was asked for.
                        Some(ErrorCode::ElectionNotNeeded) => 0,
                        _ => told.error_code,
                    };
                    each.push((partition, done(what, code, told.error_message, ())));
                }
            }
            unless_later(each)
        })
        .await
    }

    /// Has other brokers hold partitions; without any, what is under way is given up.
    pub async fn reassign_partitions(
        &self,
        wanted: &[(TopicPartition, Option<Vec<i32>>)],
    ) -> Result<Each<TopicPartition>> {
        let topics = by_topic(wanted.iter().map(|(partition, replicas)| (partition, replicas)));
        let topics = topics.into_iter().map(|(name, partitions)| ReassignableTopic {
            name,
            partitions: partitions
                .into_iter()
                .map(|(partition_index, replicas)| ReassignablePartition {
                    partition_index,
                    replicas: replicas.clone(),
                })
                .collect(),
        });
        let request = AlterPartitionReassignmentsRequest {
            timeout_ms: self.request_timeout_ms(),
            allow_replication_factor_change: true,
            topics: topics.collect(),
        };
        let what = "reassign partitions";
        self.ask::<AlterPartitionReassignments, _>(what, To::Controller, &request, |answer| {
            let message = answer.message()?;
            Error::check(what, message.error_code, message.error_message)?;
            let mut each = Each::new();
            for topic in &message.responses {
                for told in &topic.partitions {
                    let partition = TopicPartition::new(topic.name, told.partition_index);
                    let what = format!("reassign {partition}");
                    each.push((partition, done(what, told.error_code, told.error_message, ())));
                }
            }
            unless_later(each)
        })
        .await
    }

    /// The partitions that are on their way to other brokers.
    pub async fn list_reassignments(&self) -> Result<Vec<Reassignment>> {
        let timeout_ms = self.request_timeout_ms();
        let request = ListPartitionReassignmentsRequest { timeout_ms, topics: None };
        let what = "list reassignments";
        self.ask::<ListPartitionReassignments, _>(what, To::Controller, &request, |answer| {
            let message = answer.message()?;
            Error::check(what, message.error_code, message.error_message)?;
            let topics = message.topics.iter().flat_map(|topic| {
                topic.partitions.iter().map(|told| Reassignment {
                    partition: TopicPartition::new(topic.name, told.partition_index),
                    replicas: told.replicas.clone(),
                    adding: told.adding_replicas.clone(),
                    removing: told.removing_replicas.clone(),
                })
            });
            Ok(topics.collect())
        })
        .await
    }
}
