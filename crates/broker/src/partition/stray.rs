//! Partitions in the log directories that the metadata do not know: their topic was deleted while
//! this broker was down, or somebody put them there, or the metadata are not the right ones. They
//! are set aside under Kafka's `-stray` suffix and reported, and never deleted.

use std::{collections::BTreeMap, sync::Arc};

use milena_metadata::{METADATA_TOPIC, image::MetadataImage};
use milena_protocol::Uuid;
use milena_storage::{Log, LogDirectory, StorageError, TopicPartition};

/// To be done when the metadata are known, before anything is served.
pub(crate) fn set_aside(
    directories: &[Arc<LogDirectory>],
    image: &MetadataImage,
    node_id: i32,
) -> Result<(), StorageError> {
    for directory in directories {
        for log in directory.logs() {
            if is_assigned(&log, image, node_id) {
                continue;
            }
            let name = log.name();
            directory.set_aside(name)?;
            tracing::warn!(
                partition = %name,
                topic_id = %log.topic_id(),
                directory = %directory.path().display(),
                "the metadata do not know this partition; its folder is kept under the suffix \
                 -stray: remove it if its records are of no use"
            );
        }
    }
    Ok(())
}

/// A partition, and the directory to which it is to move.
pub(crate) type Wanted = (TopicPartition, Arc<LogDirectory>);

/// What moves from one directory to another had left when the last process ended: copies that are
/// not whole go, and of two that hold the same one stays. To be done before anything is served;
/// says which moves are still wanted.
pub(crate) fn settle_moves(directories: &[Arc<LogDirectory>]) -> Result<Vec<Wanted>, StorageError> {
    let mut wanted = Vec::new();
    if directories.len() < 2 {
        return Ok(wanted);
    }
    let mut kept: BTreeMap<TopicPartition, (&Arc<LogDirectory>, Arc<Log>)> = BTreeMap::new();
    for directory in directories {
        for log in directory.logs() {
            let name = log.name().clone();
            let Some((other, has)) = kept.get(&name) else {
                kept.insert(name, (directory, log));
                continue;
            };
            // Nothing was appended to either before the other was gone, unless somebody copied
            // folders by hand: then nothing is lost but what neither can tell.
            let is_longer = log.appended_end() > has.appended_end();
            let (stays, goes) = if is_longer { (directory, *other) } else { (*other, directory) };
            tracing::warn!(
                partition = %name,
                stays = %stays.path().display(),
                goes = %goes.path().display(),
                "in two log directories: a move was cut short; the shorter one is kept under the \
                 suffix -stray"
            );
            goes.set_aside(&name)?;
            if is_longer {
                kept.insert(name, (directory, log));
            }
        }
    }
    let is_somewhere = |name: &TopicPartition| kept.contains_key(name);
    for directory in directories {
        let names = directory.forget_copies(&is_somewhere)?;
        wanted.extend(names.into_iter().map(|name| (name, Arc::clone(directory))));
    }
    Ok(wanted)
}

fn is_assigned(log: &Log, image: &MetadataImage, node_id: i32) -> bool {
    let name = log.name();
    if *name.topic == *METADATA_TOPIC {
        return true;
    }
    // Kafka before 2.8 did not write down which topic it was.
    let topic = match log.topic_id() {
        Uuid::ZERO => image.topics.by_name(&name.topic),
        id => image.topics.by_id(id),
    };
    let assigned = topic.and_then(|topic| topic.partition(name.partition));
    assigned.is_some_and(|assigned| assigned.replicas.contains(&node_id))
}
