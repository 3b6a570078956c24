//! DescribeLogDirs: which partitions lie in which directory, and how much they take there.

use std::collections::BTreeMap;

use milena_metadata::METADATA_TOPIC;
use milena_protocol::{
    ErrorCode,
    api::{
        DescribeLogDirsRequest, DescribeLogDirsResponse,
        describe_log_dirs::response::{
            DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
        },
    },
};
use milena_storage::{Log, LogDirectory, TopicPartition};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    broker::Broker,
};

/// Kafka's mark for space of which nobody knows.
const UNKNOWN_BYTES: i64 = -1;

pub(super) async fn handle(call: &Call<'_>, request: DescribeLogDirsRequest<'_>) -> Outcome {
    if !call.may(Operation::Describe, Resource::Cluster) {
        return call.answer(&DescribeLogDirsResponse {
            error_code: ErrorCode::ClusterAuthorizationFailed as i16,
            ..Default::default()
        });
    }
    let broker = call.broker();
    let mut described = Vec::with_capacity(broker.directories.len());
    for directory in &broker.directories {
        let path = directory.path().to_string_lossy().into_owned();
        described.push((directory, path, logs_of(directory, &request)));
    }
    let is_cordoned = |directory: &LogDirectory| {
        let image = broker.metadata.look();
        let registered = image.cluster.broker(broker.node_id);
        let cordoned = registered.and_then(|it| it.cordoned_directories.as_ref());
        let id = directory.meta().directory_id;
        id.is_some_and(|id| cordoned.is_some_and(|all| all.contains(&id)))
    };
    let results = described.iter().map(|(directory, path, topics)| {
        if directory.offline().is_some() {
            return DescribeLogDirsResult {
                error_code: ErrorCode::KafkaStorageError as i16,
                log_dir: path,
                ..Default::default()
            };
        }
        let (total_bytes, usable_bytes) = space_of(broker, directory);
        let topics = topics.iter().map(|(name, logs)| DescribeLogDirsTopic {
            name,
            partitions: logs.iter().map(|log| describe(broker, log)).collect(),
        });
        DescribeLogDirsResult {
            log_dir: path,
            topics: topics.collect(),
            total_bytes,
            usable_bytes,
            is_cordoned: is_cordoned(directory),
            ..Default::default()
        }
    });
    call.answer(&DescribeLogDirsResponse { results: results.collect(), ..Default::default() })
}

type Logs = BTreeMap<String, Vec<std::sync::Arc<Log>>>;

/// The logs in a directory that are asked about, by topic.
fn logs_of(directory: &LogDirectory, request: &DescribeLogDirsRequest<'_>) -> Logs {
    let found = match &request.topics {
        None => directory.logs(),
        Some(asked) => {
            let names = asked.iter().flat_map(|asked| {
                let name = |partition: &i32| TopicPartition {
                    topic: asked.topic.into(),
                    partition: *partition,
                };
                asked.partitions.iter().map(name)
            });
            names.filter_map(|name| directory.log(&name)).collect()
        }
    };
    let mut topics = Logs::new();
    for log in found {
        let topic = log.name().topic.to_string();
        if topic != METADATA_TOPIC {
            topics.entry(topic).or_default().push(log);
        }
    }
    for logs in topics.values_mut() {
        logs.sort_by_key(|log| log.name().partition);
        logs.dedup_by_key(|log| log.name().partition);
    }
    topics
}

fn describe(broker: &Broker, log: &Log) -> DescribeLogDirsPartition {
    let name = log.name();
    let topic = broker.partitions.by_name(&name.topic);
    let partition = topic.as_ref().and_then(|topic| topic.partition(name.partition));
    let high_watermark = partition.map(|partition| partition.high_watermark());
    let lag = high_watermark.map_or(0, |mark| (mark.0 - log.appended_end().0).max(0));
    DescribeLogDirsPartition {
        partition_index: name.partition,
        partition_size: i64::try_from(log.size_bytes()).unwrap_or(i64::MAX),
        offset_lag: lag,
        is_future_key: false,
    }
}

fn space_of(broker: &Broker, directory: &LogDirectory) -> (i64, i64) {
    let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    match broker.disk.space(directory.path()) {
        Ok(space) => (bytes(space.total), bytes(space.free)),
        Err(_) => (UNKNOWN_BYTES, UNKNOWN_BYTES),
    }
}
