//! DescribeLogDirs: which partitions lie in which directory, and how much they take there.

use std::{collections::BTreeMap, sync::Arc};

use milena_metadata::METADATA_TOPIC;
use milena_protocol::{
    ErrorCode, Offset,
    api::{
        DescribeLogDirsRequest, DescribeLogDirsResponse,
        describe_log_dirs::{
            request::DescribableLogDirTopic,
            response::{DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic},
        },
    },
};
use milena_storage::{Log, LogDirectory, Relocation, TopicPartition};

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
        described.push((directory, path, logs_of(broker, directory, &request)));
    }
    let is_cordoned = |directory: &LogDirectory| {
        let image = broker.metadata.look();
        let registered = image.cluster.broker(broker.node_id);
        let cordoned = registered.and_then(|it| it.cordoned_directories.as_ref());
        let id = directory.meta().directory_id;
        id.is_some_and(|id| cordoned.is_some_and(|all| all.contains(&id)))
    };
    let away = |path| DescribeLogDirsResult {
        error_code: ErrorCode::KafkaStorageError as i16,
        log_dir: path,
        ..Default::default()
    };
    let results = described.iter().map(|(directory, path, topics)| {
        if directory.offline().is_some() {
            return away(path);
        }
        let (total_bytes, usable_bytes) = space_of(broker, directory);
        let topics = topics.iter().map(|(name, logs)| DescribeLogDirsTopic {
            name,
            partitions: logs.iter().map(|held| describe(broker, held)).collect(),
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
    let closed: Vec<_> = broker.closed_directories.iter().map(|it| it.to_string_lossy()).collect();
    let results = results.chain(closed.iter().map(|path| away(path)));
    call.answer(&DescribeLogDirsResponse { results: results.collect(), ..Default::default() })
}

/// What a directory holds of a partition.
enum Held {
    Log(Arc<Log>),
    /// A copy that will take the log's place.
    Copy(Arc<Relocation>),
}

impl Held {
    fn name(&self) -> &TopicPartition {
        match self {
            Self::Log(log) => log.name(),
            Self::Copy(copy) => copy.log().name(),
        }
    }
}

type Logs = BTreeMap<String, Vec<Held>>;

/// The logs and copies in a directory that are asked about, by topic.
fn logs_of(
    broker: &Broker,
    directory: &Arc<LogDirectory>,
    request: &DescribeLogDirsRequest<'_>,
) -> Logs {
    let found: Vec<Arc<Log>> = match &request.topics {
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
    let is_asked = |name: &TopicPartition| {
        request.topics.as_ref().is_none_or(|asked| {
            let names = |it: &DescribableLogDirTopic<'_>| {
                *it.topic == *name.topic && it.partitions.contains(&name.partition)
            };
            asked.iter().any(names)
        })
    };
    let copies = broker.relocations.copies_in(directory).into_iter();
    let copies = copies.filter(|copy| is_asked(copy.log().name())).map(Held::Copy);
    for held in found.into_iter().map(Held::Log).chain(copies) {
        let topic = held.name().topic.to_string();
        if topic != METADATA_TOPIC {
            topics.entry(topic).or_default().push(held);
        }
    }
    for logs in topics.values_mut() {
        logs.sort_by_key(|held| held.name().partition);
        // Also a copy that has just become the log.
        logs.dedup_by_key(|held| held.name().partition);
    }
    topics
}

fn describe(broker: &Broker, held: &Held) -> DescribeLogDirsPartition {
    let name = held.name();
    let (bytes, end, should_reach) = match held {
        Held::Log(log) => {
            let topic = broker.partitions.by_name(&name.topic);
            let partition = topic.as_ref().and_then(|topic| topic.partition(name.partition));
            let high_watermark = partition.map_or(Offset::ZERO, |it| it.high_watermark());
            (log.size_bytes(), log.appended_end(), high_watermark)
        }
        Held::Copy(copy) => (copy.copied_bytes(), copy.copied_end(), copy.log().appended_end()),
    };
    DescribeLogDirsPartition {
        partition_index: name.partition,
        partition_size: i64::try_from(bytes).unwrap_or(i64::MAX),
        offset_lag: (should_reach.0 - end.0).max(0),
        is_future_key: matches!(held, Held::Copy(_)),
    }
}

fn space_of(broker: &Broker, directory: &LogDirectory) -> (i64, i64) {
    let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    match broker.disk.space(directory.path()) {
        Ok(space) => (bytes(space.total), bytes(space.free)),
        Err(_) => (UNKNOWN_BYTES, UNKNOWN_BYTES),
    }
}
