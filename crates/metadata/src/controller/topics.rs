//! Creating and deleting topics.

use std::collections::BTreeMap;

use milena_protocol::{
    ErrorCode, Uuid,
    api::{
        CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
        create_topics::{
            request::CreatableTopic,
            response::{CreatableTopicConfigs, CreatableTopicResult},
        },
        delete_topics::response::DeletableTopicResult,
    },
    metadata::{ConfigRecord, RemoveTopicRecord, TopicRecord, Value},
};

use super::{
    ApiError, ControllerError,
    assignment::{NewPartition, active, check_assignment, place, put_partitions},
    error::{code, message},
    names::validate_topic_name,
    scene::Scene,
    schema::EffectiveConfig,
};
use crate::{
    METADATA_TOPIC,
    image::{Config, ConfigResource, ResourceType},
    records::Records,
};

/// Records that one request may bring about; Kafka's limit.
const RECORDS_MAX: usize = 10_000;

/// A topic that will be there.
struct Created {
    id: Uuid,
    partitions: i32,
    replication_factor: i16,
    configs: Vec<EffectiveConfig>,
}

pub(super) fn create(
    scene: &mut Scene<'_>,
    request: &CreateTopicsRequest<'_>,
) -> Result<(), ControllerError> {
    let mut seen = BTreeMap::new();
    for topic in &request.topics {
        *seen.entry(topic.name).or_insert(0) += 1;
    }
    let is_excessive = is_excessive(scene, &request.topics);
    let mut results = Vec::with_capacity(seen.len());
    for topic in &request.topics {
        // A name that is given several times is answered once.
        let Some(times) = seen.remove(topic.name) else { continue };
        let result = if is_excessive {
            let message = "Excessively large number of partitions per request.";
            Err(ApiError::new(ErrorCode::PolicyViolation, message))
        } else if times > 1 {
            Err(ApiError::new(ErrorCode::InvalidRequest, "Duplicate topic name."))
        } else {
            create_one(scene, topic)?
        };
        results.push((topic.name, result));
    }
    if scene.outcome.records.len() > RECORDS_MAX {
        scene.outcome.records = Records::default();
        for (_, result) in &mut results {
            let message = "Unable to perform excessively large batch operation.";
            *result = Err(ApiError::new(ErrorCode::PolicyViolation, message));
        }
    }
    if request.validate_only {
        scene.outcome.records = Records::default();
    }
    let topics = results.iter().map(|(name, result)| to_response(name, result)).collect();
    scene.answer(&CreateTopicsResponse { topics, throttle_time_ms: 0 })
}

fn is_excessive(scene: &Scene<'_>, topics: &[CreatableTopic<'_>]) -> bool {
    let default = scene.options.default_partitions;
    let partitions = topics.iter().map(|topic| match topic.num_partitions {
        -1 if topic.assignments.is_empty() => default.max(0) as usize,
        -1 => topic.assignments.len(),
        partitions => partitions.max(0) as usize,
    });
    partitions.sum::<usize>() > scene.options.partitions_per_request_max
}

fn create_one(
    scene: &mut Scene<'_>,
    topic: &CreatableTopic<'_>,
) -> Result<Result<Created, ApiError>, ControllerError> {
    let judged = judge_name(scene, topic.name).and_then(|()| {
        let config = judge_config(scene, topic)?;
        Ok((config, new_partitions(scene, topic)?))
    });
    let (config, partitions) = match judged {
        Ok(judged) => judged,
        Err(error) => return Ok(Err(error)),
    };
    let topic_id = Uuid::from_be_bytes(scene.random.uuid());
    scene.put(&Value::TopicRecord(TopicRecord { name: topic.name, topic_id }))?;
    for (name, value) in &config {
        scene.put(&Value::ConfigRecord(ConfigRecord {
            resource_type: ResourceType::Topic.number(),
            resource_name: topic.name,
            name,
            value: Some(value),
        }))?;
    }
    put_partitions(scene, topic_id, 0, &partitions)?;
    Ok(Ok(Created {
        id: topic_id,
        partitions: partitions.len() as i32,
        replication_factor: partitions.first().map_or(0, |it| it.replicas.len() as i16),
        configs: scene.schema.effective_topic_configs(scene.image, &config),
    }))
}

fn judge_name(scene: &Scene<'_>, name: &str) -> Result<(), ApiError> {
    if name == METADATA_TOPIC {
        let message = "Creation of internal topic __cluster_metadata is prohibited.";
        return Err(ApiError::new(ErrorCode::InvalidRequest, message));
    }
    if scene.image.topics.by_name(name).is_some() {
        let message = format!("Topic '{name}' already exists.");
        return Err(ApiError::new(ErrorCode::TopicAlreadyExists, message));
    }
    validate_topic_name(name)?;
    if let Some(other) = scene.image.topics.colliding_with(name) {
        let message = format!("Topic '{name}' collides with existing topic: {other}");
        return Err(ApiError::new(ErrorCode::InvalidTopicException, message));
    }
    Ok(())
}

fn judge_config(scene: &Scene<'_>, topic: &CreatableTopic<'_>) -> Result<Config, ApiError> {
    let mut config = Config::new();
    for setting in &topic.configs {
        let Some(value) = setting.value else {
            let message = format!("Null value not supported for topic configs: {}", setting.name);
            return Err(ApiError::new(ErrorCode::InvalidConfig, message));
        };
        config.insert(setting.name.into(), value.into());
    }
    scene.schema.validate(&ConfigResource::topic(topic.name), &config)?;
    Ok(config)
}

fn new_partitions(
    scene: &mut Scene<'_>,
    topic: &CreatableTopic<'_>,
) -> Result<Vec<NewPartition>, ApiError> {
    if !topic.assignments.is_empty() {
        return assigned_partitions(scene, topic);
    }
    let replication_factor = match topic.replication_factor {
        -1 => scene.options.default_replication_factor,
        factor if factor <= 0 => {
            let message =
                "Replication factor must be larger than 0, or -1 to use the default value.";
            return Err(ApiError::new(ErrorCode::InvalidReplicationFactor, message));
        }
        factor => factor,
    };
    let count = match topic.num_partitions {
        -1 => scene.options.default_partitions,
        count if count <= 0 => {
            let message = "Number of partitions was set to an invalid non-positive value.";
            return Err(ApiError::new(ErrorCode::InvalidPartitions, message));
        }
        count => count,
    };
    place(scene, replication_factor, count).map_err(|error| {
        let why = error.message;
        let message =
            format!("Unable to replicate the partition {replication_factor} time(s): {why}");
        ApiError::new(error.code, message)
    })
}

fn assigned_partitions(
    scene: &Scene<'_>,
    topic: &CreatableTopic<'_>,
) -> Result<Vec<NewPartition>, ApiError> {
    let refuse = |what: &str| {
        let message =
            format!("A manual partition assignment was specified, but {what} was not set to -1.");
        Err(ApiError::new(ErrorCode::InvalidRequest, message))
    };
    if topic.replication_factor != -1 {
        return refuse("replication factor");
    }
    if topic.num_partitions != -1 {
        return refuse("numPartitions");
    }
    let invalid = |message: String| ApiError::new(ErrorCode::InvalidReplicaAssignment, message);
    let mut partitions = BTreeMap::new();
    let mut replication_factor = None;
    for assignment in &topic.assignments {
        let index = assignment.partition_index;
        if partitions.contains_key(&index) {
            return Err(invalid(format!(
                "Found multiple manual partition assignments for partition {index}"
            )));
        }
        let brokers = &assignment.broker_ids;
        check_assignment(&scene.image.cluster, brokers, replication_factor)?;
        replication_factor = Some(brokers.len());
        let isr = active(&scene.image.cluster, brokers);
        if isr.is_empty() {
            return Err(invalid(format!(
                "All brokers specified in the manual partition assignment for partition {index} \
                 are fenced or in controlled shutdown."
            )));
        }
        partitions.insert(index, NewPartition { replicas: brokers.clone(), isr });
    }
    if partitions.keys().zip(0..).any(|(index, expected)| *index != expected) {
        let message = "partitions should be a consecutive 0-based integer sequence";
        return Err(invalid(message.to_owned()));
    }
    Ok(partitions.into_values().collect())
}

fn to_response<'r>(
    name: &'r str,
    result: &'r Result<Created, ApiError>,
) -> CreatableTopicResult<'r> {
    let mut response = CreatableTopicResult {
        name,
        error_code: code(result),
        error_message: message(result),
        ..CreatableTopicResult::default()
    };
    if let Ok(created) = result {
        response.topic_id = created.id;
        response.num_partitions = created.partitions;
        response.replication_factor = created.replication_factor;
        let configs = created.configs.iter().map(|config| CreatableTopicConfigs {
            name: &config.name,
            value: config.value.as_deref(),
            read_only: config.is_read_only,
            config_source: config.source,
            is_sensitive: config.is_sensitive,
        });
        response.configs = Some(configs.collect());
    }
    response
}

pub(super) fn delete(
    scene: &mut Scene<'_>,
    request: &DeleteTopicsRequest<'_>,
) -> Result<(), ControllerError> {
    let asked = request
        .topics
        .iter()
        .map(|topic| (topic.name, topic.topic_id))
        .chain(request.topic_names.iter().map(|name| (Some(*name), Uuid::ZERO)));
    let mut times = BTreeMap::new();
    for one in asked {
        *times.entry(one).or_insert(0) += 1;
    }
    let mut results = Vec::with_capacity(times.len());
    let mut chosen = BTreeMap::new();
    for (&(name, id), &times) in &times {
        match find_to_delete(scene, name, id, times) {
            Ok((name, id)) => chosen.entry(id).or_insert_with(Vec::new).push(name),
            Err(error) => results.push((name.map(ToOwned::to_owned), id, Err(error))),
        }
    }
    for (id, mut names) in chosen {
        let result = match names.len() {
            1 => {
                scene.put(&Value::RemoveTopicRecord(RemoveTopicRecord { topic_id: id }))?;
                Ok(())
            }
            _ => {
                let message = "The provided topic name maps to an ID that was already supplied.";
                Err(ApiError::new(ErrorCode::InvalidRequest, message))
            }
        };
        results.push((names.pop(), id, result));
    }
    let responses = results.iter().map(|(name, id, result)| DeletableTopicResult {
        name: name.as_deref(),
        topic_id: *id,
        error_code: code(result),
        error_message: message(result),
    });
    let responses = responses.collect();
    scene.answer(&DeleteTopicsResponse { responses, throttle_time_ms: 0 })
}

fn find_to_delete(
    scene: &Scene<'_>,
    name: Option<&str>,
    id: Uuid,
    times: usize,
) -> Result<(String, Uuid), ApiError> {
    let invalid = |message: &'static str| ApiError::new(ErrorCode::InvalidRequest, message);
    if !scene.options.delete_topic_enable {
        return Err(ApiError::new(ErrorCode::TopicDeletionDisabled, "Topic deletion is disabled."));
    }
    let topics = &scene.image.topics;
    let topic = match (name, id) {
        (None, Uuid::ZERO) => return Err(invalid("Neither topic name nor id were specified.")),
        (Some(_), Uuid::ZERO) if times > 1 => return Err(invalid("Duplicate topic name.")),
        (Some(name), Uuid::ZERO) => topics.by_name(name).ok_or_else(ApiError::unknown_topic)?,
        (Some(_), _) => return Err(invalid("You may not specify both topic name and topic id.")),
        (None, _) if times > 1 => return Err(invalid("Duplicate topic id.")),
        (None, id) => topics.by_id(id).ok_or_else(ApiError::unknown_topic_id)?,
    };
    Ok((topic.name.to_string(), topic.id))
}
