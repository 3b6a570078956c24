//! Where brokers keep their logs, and which partitions lie where.

use milena_protocol::api::{
    AlterReplicaLogDirsRequest, DescribeLogDirsRequest,
    alter_replica_log_dirs::request::{AlterReplicaLogDir, AlterReplicaLogDirTopic},
};

use super::{Admin, Each, To, by_topic, done, unless_later};
use crate::{
    TopicPartition,
    error::{Error, Result},
    network::{AlterReplicaLogDirs, DescribeLogDirs},
};

/// A log directory of a broker.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LogDir {
    /// The broker.
    pub broker: i32,
    /// Its path there.
    pub path: Box<str>,
    /// Why it cannot be used, if so.
    pub error: Option<Error>,
    /// How large its file system is, in bytes.
    pub total_bytes: Option<u64>,
    /// How much of it is free, in bytes.
    pub usable_bytes: Option<u64>,
    /// What is in it.
    pub replicas: Vec<LogDirReplica>,
}

/// A partition in a log directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogDirReplica {
    /// Which partition.
    pub partition: TopicPartition,
    /// How large its log is.
    pub bytes: u64,
    /// How many records it is behind.
    pub lag: i64,
    /// Whether it will take the place of the one in another directory.
    pub is_future: bool,
}

impl Admin {
    /// The log directories of all brokers, with what is in them.
    pub async fn describe_log_dirs(&self) -> Result<Vec<LogDir>> {
        let mut all = Vec::new();
        for broker in self.broker_ids().await? {
            let request = DescribeLogDirsRequest { topics: None };
            let what = "describe log directories";
            let to = To::Broker(broker);
            let dirs = self.ask::<DescribeLogDirs, _>(what, to, &request, |answer| {
                let message = answer.message()?;
                Error::check(what, message.error_code, None)?;
                let bytes = |count: i64| u64::try_from(count).ok();
                let dirs = message.results.iter().map(|told| {
                    let replicas = told.topics.iter().flat_map(|topic| {
                        topic.partitions.iter().map(|one| LogDirReplica {
                            partition: TopicPartition::new(topic.name, one.partition_index),
                            bytes: bytes(one.partition_size).unwrap_or(0),
                            lag: one.offset_lag,
                            is_future: one.is_future_key,
                        })
                    });
                    let mut replicas: Vec<_> = replicas.collect();
                    replicas.sort_by(|one, other| one.partition.cmp(&other.partition));
                    let what = format!("use {} of broker {broker}", told.log_dir);
                    LogDir {
                        broker,
                        path: told.log_dir.into(),
                        error: Error::check(&what, told.error_code, None).err(),
                        total_bytes: bytes(told.total_bytes),
                        usable_bytes: bytes(told.usable_bytes),
                        replicas,
                    }
                });
                Ok(dirs.collect::<Vec<_>>())
            });
            all.extend(dirs.await?);
        }
        Ok(all)
    }

    /// Has a broker keep partitions in another of its directories.
    pub async fn move_replicas(
        &self,
        broker: i32,
        path: &str,
        partitions: &[TopicPartition],
    ) -> Result<Each<TopicPartition>> {
        let topics = by_topic(partitions.iter().map(|partition| (partition, ())));
        let topics = topics.into_iter().map(|(name, partitions)| AlterReplicaLogDirTopic {
            name,
            partitions: partitions.into_iter().map(|(partition, ())| partition).collect(),
        });
        let dirs = vec![AlterReplicaLogDir { path, topics: topics.collect() }];
        let request = AlterReplicaLogDirsRequest { dirs };
        let (what, to) = ("move replicas", To::Broker(broker));
        self.ask::<AlterReplicaLogDirs, _>(what, to, &request, |answer| {
            let mut each = Each::new();
            for topic in &answer.message()?.results {
                for told in &topic.partitions {
                    let partition = TopicPartition::new(topic.topic_name, told.partition_index);
                    let what = format!("move {partition} to {path}");
                    each.push((partition, done(what, told.error_code, None, ())));
                }
            }
            unless_later(each)
        })
        .await
    }
}
