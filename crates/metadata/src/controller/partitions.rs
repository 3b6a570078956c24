//! More partitions for a topic.

use std::collections::BTreeMap;

use milena_protocol::{
    ErrorCode,
    api::{
        CreatePartitionsRequest, CreatePartitionsResponse,
        create_partitions::{
            request::CreatePartitionsTopic, response::CreatePartitionsTopicResult,
        },
    },
};

use super::{
    ApiError, ControllerError,
    assignment::{NewPartition, active, check_assignment, place, put_partitions},
    error::{code, message},
    scene::Scene,
};
use crate::{image::Topic, records::Records};

pub(super) fn create(
    scene: &mut Scene<'_>,
    request: &CreatePartitionsRequest<'_>,
) -> Result<(), ControllerError> {
    let mut seen = BTreeMap::new();
    for topic in &request.topics {
        *seen.entry(topic.name).or_insert(0) += 1;
    }
    let mut results = Vec::with_capacity(seen.len());
    for topic in &request.topics {
        // A name that is given several times is answered once.
        let Some(times) = seen.remove(topic.name) else { continue };
        let result = if times > 1 {
            Err(ApiError::new(ErrorCode::InvalidRequest, "Duplicate topic name."))
        } else {
            create_one(scene, topic)?
        };
        results.push((topic.name, result));
    }
    if request.validate_only {
        scene.outcome.records = Records::default();
    }
    let results = results.iter().map(|(name, result)| CreatePartitionsTopicResult {
        name,
        error_code: code(result),
        error_message: message(result),
    });
    scene.answer(&CreatePartitionsResponse { throttle_time_ms: 0, results: results.collect() })
}

fn create_one(
    scene: &mut Scene<'_>,
    asked: &CreatePartitionsTopic<'_>,
) -> Result<Result<(), ApiError>, ControllerError> {
    let image = scene.image;
    let Some(topic) = image.topics.by_name(asked.name) else {
        return Ok(Err(ApiError::unknown_topic()));
    };
    match new_partitions(scene, asked, topic) {
        Ok(partitions) => {
            let first = topic.partition_count() as i32;
            put_partitions(scene, topic.id, first, &partitions)?;
            Ok(Ok(()))
        }
        Err(error) => Ok(Err(error)),
    }
}

fn new_partitions(
    scene: &mut Scene<'_>,
    asked: &CreatePartitionsTopic<'_>,
    topic: &Topic,
) -> Result<Vec<NewPartition>, ApiError> {
    let there = topic.partition_count() as i32;
    let replication_factor = topic.replication_factor();
    let few = |message| Err(ApiError::new(ErrorCode::InvalidPartitions, message));
    if asked.count == there {
        return few(format!("Topic already has {there} partition(s)."));
    }
    if asked.count < there {
        return few(format!(
            "The topic {} currently has {there} partition(s); {} would not be an increase.",
            asked.name, asked.count
        ));
    }
    let additional = asked.count - there;
    if additional as usize > scene.options.partitions_per_request_max {
        let message = "Excessively large number of partitions per request.";
        return Err(ApiError::new(ErrorCode::PolicyViolation, message));
    }
    let Some(assignments) = &asked.assignments else {
        return place(scene, replication_factor as i16, additional);
    };
    let invalid = |message| ApiError::new(ErrorCode::InvalidReplicaAssignment, message);
    if assignments.len() != additional as usize {
        return Err(invalid(format!(
            "Attempted to add {additional} additional partition(s), but only {} assignment(s) were \
             specified.",
            assignments.len()
        )));
    }
    let cluster = &scene.image.cluster;
    let assigned = assignments.iter().zip(there..).map(|(assignment, id)| {
        check_assignment(cluster, &assignment.broker_ids, Some(replication_factor))?;
        let replicas = assignment.broker_ids.clone();
        let isr = active(cluster, &replicas);
        if isr.is_empty() {
            return Err(invalid(format!(
                "All brokers specified in the manual partition assignment for partition {id} are \
                 fenced or in controlled shutdown."
            )));
        }
        Ok(NewPartition { replicas, isr })
    });
    assigned.collect()
}
