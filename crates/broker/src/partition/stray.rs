//! Partitions in the log directories that the metadata do not know: their topic was deleted while
//! this broker was down, or somebody put them there, or the metadata are not the right ones. They
//! are set aside under Kafka's `-stray` suffix and reported, and never deleted.

use std::sync::Arc;

use milena_metadata::{METADATA_TOPIC, image::MetadataImage};
use milena_protocol::Uuid;
use milena_storage::{Log, LogDirectory, StorageError};

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
