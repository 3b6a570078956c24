//! AlterReplicaLogDirs: partitions move to other log directories of this broker. It answers when a
//! move is wanted; how far it is DescribeLogDirs tells.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use milena_protocol::{
    ErrorCode,
    api::{
        AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse,
        alter_replica_log_dirs::response::{
            AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
        },
    },
};
use milena_storage::{LogDirectory, TopicPartition, names};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    broker::Broker,
};

pub(super) async fn handle(call: &Call<'_>, request: AlterReplicaLogDirsRequest<'_>) -> Outcome {
    let may = call.may(Operation::Alter, Resource::Cluster);
    // A partition that is named twice goes where it is named last.
    let mut wanted: BTreeMap<&str, BTreeMap<i32, &str>> = BTreeMap::new();
    for asked in &request.dirs {
        for topic in &asked.topics {
            let partitions = topic.partitions.iter().map(|index| (*index, asked.path));
            wanted.entry(topic.name).or_default().extend(partitions);
        }
    }
    let results = wanted.into_iter().map(|(topic, partitions)| {
        let result = |(index, path)| {
            let altered = if may {
                alter(call.broker(), topic, index, Path::new(path))
            } else {
                Err(ErrorCode::ClusterAuthorizationFailed)
            };
            AlterReplicaLogDirPartitionResult {
                partition_index: index,
                error_code: altered.err().unwrap_or(ErrorCode::None) as i16,
            }
        };
        AlterReplicaLogDirTopicResult {
            topic_name: topic,
            partitions: partitions.into_iter().map(result).collect(),
        }
    });
    call.answer(&AlterReplicaLogDirsResponse { results: results.collect(), ..Default::default() })
}

fn alter(broker: &Broker, topic: &str, index: i32, path: &Path) -> Result<(), ErrorCode> {
    let copy = names::marked_partition_folder(topic, index, names::Mark::Future, 0);
    if copy.len() > names::NAME_CHARS_MAX {
        return Err(ErrorCode::InvalidTopicException);
    }
    let to = online(broker, path)?;
    let here = broker.partitions.by_name(topic);
    let Some(partition) = here.as_ref().and_then(|topic| topic.partition(index)) else {
        let is_known =
            broker.image().topics.by_name(topic).is_some_and(|it| it.partition(index).is_some());
        return Err(if is_known {
            ErrorCode::ReplicaNotAvailable
        } else {
            ErrorCode::UnknownTopicOrPartition
        });
    };
    let name: &TopicPartition = partition.log.name();
    match broker.directory_of(&partition.log) {
        _ if partition.log.is_offline() => return Err(ErrorCode::KafkaStorageError),
        None => return Err(ErrorCode::ReplicaNotAvailable),
        Some(from) if Arc::ptr_eq(from, to) => broker.relocations.cancel(name),
        Some(from) => broker.relocations.want(name.clone(), from, to),
    }
    Ok(())
}

/// The log directory that lies at a path, if it can be written to.
fn online<'a>(broker: &'a Broker, path: &Path) -> Result<&'a Arc<LogDirectory>, ErrorCode> {
    match broker.directories.iter().find(|directory| directory.path() == path) {
        Some(directory) if directory.offline().is_none() => Ok(directory),
        Some(_) => Err(ErrorCode::KafkaStorageError),
        None if broker.closed_directories.iter().any(|closed| closed == path) => {
            Err(ErrorCode::KafkaStorageError)
        }
        None => Err(ErrorCode::LogDirNotFound),
    }
}
