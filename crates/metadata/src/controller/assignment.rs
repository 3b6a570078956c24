//! Which brokers have the replicas of new partitions: chosen here or by whoever asks.

use milena_protocol::{
    ErrorCode, Uuid,
    metadata::{PartitionRecord, Value},
};

use super::{ApiError, ControllerError, placement::Placer, scene::Scene};
use crate::image::Cluster;

/// The replicas of a new partition, and which of them are in the ISR from the start.
pub(super) struct NewPartition {
    pub(super) replicas: Vec<i32>,
    pub(super) isr: Vec<i32>,
}

/// Finds brokers for so many partitions.
pub(super) fn place(
    scene: &mut Scene<'_>,
    replication_factor: i16,
    count: i32,
) -> Result<Vec<NewPartition>, ApiError> {
    let mut placer = Placer::new(&scene.image.cluster, scene.random);
    placer.check(replication_factor)?;
    let mut partitions = Vec::with_capacity(count.max(0) as usize);
    for _ in 0..count {
        let replicas = placer.place(replication_factor, scene.random);
        let isr = active(&scene.image.cluster, &replicas);
        if isr.is_empty() {
            let message = "All brokers are currently fenced or in controlled shutdown.";
            return Err(ApiError::new(ErrorCode::InvalidReplicationFactor, message));
        }
        partitions.push(NewPartition { replicas, isr });
    }
    Ok(partitions)
}

/// Whether replicas that somebody chose can be: brokers that are there, each once, and as many as
/// for the other partitions.
pub(super) fn check_assignment(
    cluster: &Cluster,
    brokers: &[i32],
    replication_factor: Option<usize>,
) -> Result<(), ApiError> {
    let invalid = |message: String| ApiError::new(ErrorCode::InvalidReplicaAssignment, message);
    if brokers.is_empty() {
        let message = "The manual partition assignment includes an empty replica list.";
        return Err(invalid(message.to_owned()));
    }
    let mut in_order = brokers.to_vec();
    in_order.sort_unstable();
    let mut previous = None;
    for broker in in_order {
        if cluster.broker(broker).is_none() {
            return Err(invalid(format!(
                "The manual partition assignment includes broker {broker}, but no such broker is \
                 registered."
            )));
        }
        if previous == Some(broker) {
            return Err(invalid(format!(
                "The manual partition assignment includes the broker {broker} more than once."
            )));
        }
        previous = Some(broker);
    }
    match replication_factor {
        Some(factor) if factor != brokers.len() => Err(invalid(format!(
            "The manual partition assignment includes a partition with {} replica(s), but this is \
             not consistent with previous partitions, which have {factor} replica(s).",
            brokers.len()
        ))),
        _ => Ok(()),
    }
}

pub(super) fn active(cluster: &Cluster, brokers: &[i32]) -> Vec<i32> {
    brokers.iter().copied().filter(|broker| cluster.is_active(*broker)).collect()
}

/// Puts the records of new partitions, numbered from `first` on.
pub(super) fn put_partitions(
    scene: &mut Scene<'_>,
    topic_id: Uuid,
    first: i32,
    partitions: &[NewPartition],
) -> Result<(), ControllerError> {
    for (partition_id, partition) in (first..).zip(partitions) {
        let directories = partition.replicas.iter().map(|id| default_directory(scene, *id));
        let record = PartitionRecord {
            partition_id,
            topic_id,
            directories: directories.collect(),
            leader: partition.isr.first().copied().unwrap_or(-1),
            isr: partition.isr.clone(),
            replicas: partition.replicas.clone(),
            leader_epoch: 0,
            partition_epoch: 0,
            ..PartitionRecord::default()
        };
        scene.put(&Value::PartitionRecord(record))?;
    }
    Ok(())
}

/// A broker with one directory puts everything there; one with several chooses and says so later.
pub(super) fn default_directory(scene: &Scene<'_>, broker: i32) -> Uuid {
    match scene.image.cluster.broker(broker).map(|broker| broker.directories.as_slice()) {
        Some([only]) => *only,
        _ => Uuid::ZERO,
    }
}
