//! Replicas move to other brokers. A reassignment is in the partition itself: who comes, who goes;
//! it ends when those who stay are in sync (`election`).

use std::collections::BTreeSet;

use milena_protocol::{
    ErrorCode,
    api::{
        AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
        ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
        alter_partition_reassignments::{
            request::ReassignablePartition,
            response::{ReassignablePartitionResponse, ReassignableTopicResponse},
        },
        list_partition_reassignments::response::{
            OngoingPartitionReassignment, OngoingTopicReassignment,
        },
    },
    metadata::{PartitionChangeRecord, Value},
};

use super::{
    ApiError, ControllerError,
    assignment::check_assignment,
    election::{Change, allows_unclean_election, election_of},
    error::{code, message},
    scene::Scene,
};
use crate::image::{MetadataImage, Partition, Topic};

pub(super) fn alter(
    scene: &mut Scene<'_>,
    request: &AlterPartitionReassignmentsRequest<'_>,
) -> Result<(), ControllerError> {
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let may_change_factor = request.allow_replication_factor_change;
            let decided = decide(scene, topic.name, asked, may_change_factor);
            let result = match decided {
                Ok(Some(record)) => Ok(scene.put(&Value::PartitionChangeRecord(record))?),
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            partitions.push((asked.partition_index, result));
        }
        results.push((topic.name, partitions));
    }
    let responses = results.iter().map(|(name, partitions)| ReassignableTopicResponse {
        name,
        partitions: partitions
            .iter()
            .map(|(partition_index, result)| ReassignablePartitionResponse {
                partition_index: *partition_index,
                error_code: code(result),
                error_message: message(result),
            })
            .collect(),
    });
    let responses = responses.collect();
    scene.answer(&AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: request.allow_replication_factor_change,
        responses,
        error_message: None,
        ..AlterPartitionReassignmentsResponse::default()
    })
}

fn decide(
    scene: &Scene<'_>,
    name: &str,
    asked: &ReassignablePartition,
    may_change_factor: bool,
) -> Result<Option<PartitionChangeRecord>, ApiError> {
    let unknown = |message: String| ApiError::new(ErrorCode::UnknownTopicOrPartition, message);
    let id = asked.partition_index;
    let topic = scene.image.topics.by_name(name);
    let topic = topic.ok_or_else(|| unknown(format!("Unable to find a topic named {name}.")))?;
    let partition = topic.partition(id);
    let partition =
        partition.ok_or_else(|| unknown(format!("Unable to find partition {name}:{id}.")))?;
    match &asked.replicas {
        Some(replicas) => {
            check_assignment(&scene.image.cluster, replicas, None)?;
            if !may_change_factor {
                check_factor(partition, replicas)?;
            }
            Ok(reassign(scene, topic, id, partition, replicas))
        }
        None => cancel(scene, topic, id, partition),
    }
}

fn check_factor(partition: &Partition, replicas: &[i32]) -> Result<(), ApiError> {
    let removing = partition.removing_replicas();
    let now = partition.replicas.iter().filter(|replica| !removing.contains(replica)).count();
    if now == replicas.len() {
        return Ok(());
    }
    let message = format!("The replication factor is changed from {now} to {}", replicas.len());
    Err(ApiError::new(ErrorCode::InvalidReplicationFactor, message))
}

fn reassign(
    scene: &Scene<'_>,
    topic: &Topic,
    id: i32,
    partition: &Partition,
    target: &[i32],
) -> Option<PartitionChangeRecord> {
    let current: BTreeSet<i32> = partition.replicas.iter().copied().collect();
    let wanted: BTreeSet<i32> = target.iter().copied().collect();
    let mut change = Change::new(topic, id, partition);
    change.removing = current.difference(&wanted).copied().collect();
    change.adding = wanted.difference(&current).copied().collect();
    change.replicas = target.iter().chain(&change.removing).copied().collect();
    change.decide(scene)
}

/// Back to what was before: those who were coming go again.
fn cancel(
    scene: &Scene<'_>,
    topic: &Topic,
    id: i32,
    partition: &Partition,
) -> Result<Option<PartitionChangeRecord>, ApiError> {
    if !partition.is_reassigning() {
        let message = "No partition reassignment is in progress.";
        return Err(ApiError::new(ErrorCode::NoReassignmentInProgress, message));
    }
    let invalid = |message: String| ApiError::new(ErrorCode::InvalidReplicaAssignment, message);
    let mut change = Change::new(topic, id, partition);
    change.election = election_of(scene, &topic.name);
    change.replicas.retain(|replica| !partition.adding_replicas().contains(replica));
    change.isr.retain(|replica| !partition.adding_replicas().contains(replica));
    if change.isr.is_empty() {
        let Some(first) = change.replicas.first() else {
            let message = "Invalid replica assignment: addingReplicas contains all replicas.";
            return Err(invalid(message.to_owned()));
        };
        if !allows_unclean_election(scene, &topic.name) {
            return Err(invalid(format!(
                "Unable to revert partition assignment for {}:{id} because it would require an \
                 unclean leader election.",
                topic.name
            )));
        }
        change.isr = vec![*first];
    }
    (change.removing, change.adding) = (Vec::new(), Vec::new());
    Ok(change.decide(scene))
}

/// Answers ListPartitionReassignments from an image.
#[must_use]
pub fn list<'i>(
    image: &'i MetadataImage,
    request: &ListPartitionReassignmentsRequest<'_>,
) -> ListPartitionReassignmentsResponse<'i> {
    let ongoing = |id: i32, partition: &Partition| {
        partition.is_reassigning().then(|| OngoingPartitionReassignment {
            partition_index: id,
            replicas: partition.replicas.to_vec(),
            adding_replicas: partition.adding_replicas().to_vec(),
            removing_replicas: partition.removing_replicas().to_vec(),
        })
    };
    let named = |topic: &'i Topic, partitions: Vec<OngoingPartitionReassignment>| {
        let name = &*topic.name;
        (!partitions.is_empty()).then_some(OngoingTopicReassignment { name, partitions })
    };
    let topics = match &request.topics {
        None => {
            let all = image.topics.sorted().into_iter().filter_map(|topic| {
                let partitions = topic.partitions().filter_map(|(id, it)| ongoing(id, it));
                named(topic, partitions.collect())
            });
            all.collect()
        }
        Some(asked) => {
            let asked = asked.iter().filter_map(|asked| {
                let topic = image.topics.by_name(asked.name)?;
                let partitions = asked.partition_indexes.iter();
                let partitions =
                    partitions.filter_map(|id| ongoing(*id, topic.partition(*id)?)).collect();
                named(topic, partitions)
            });
            asked.collect()
        }
    };
    ListPartitionReassignmentsResponse {
        topics,
        error_message: None,
        ..ListPartitionReassignmentsResponse::default()
    }
}
