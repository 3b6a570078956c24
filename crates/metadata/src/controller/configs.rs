//! Settings of topics, brokers, groups and client metrics subscriptions.

use std::collections::{BTreeMap, BTreeSet};

use milena_protocol::{
    ErrorCode,
    api::{
        AlterConfigsRequest, AlterConfigsResponse, IncrementalAlterConfigsRequest,
        IncrementalAlterConfigsResponse,
        alter_configs::response as old_response,
        incremental_alter_configs::{request::AlterableConfig, response},
    },
    metadata::{ConfigRecord, Value},
};

use super::{
    ApiError, ControllerError,
    error::{code, message},
    names::validate_topic_name,
    scene::Scene,
};
use crate::{
    image::{ConfigResource, ResourceType},
    records::Records,
};

/// What a key becomes; `None` deletes it.
type Changes = BTreeMap<Box<str>, Option<Box<str>>>;

pub(super) fn alter_incrementally(
    scene: &mut Scene<'_>,
    request: &IncrementalAlterConfigsRequest<'_>,
) -> Result<(), ControllerError> {
    let asked = request.resources.iter().map(|it| ((it.resource_type, it.resource_name), it));
    let results = alter_all(scene, asked, request.validate_only, |scene, resource, asked| {
        let current = scene.image.configs.of(resource);
        let altered = scene.schema.alter(resource, current, &asked.configs)?;
        let new_value = |it: &AlterableConfig<'_>| (it.name.into(), altered.get(it.name).cloned());
        Ok(asked.configs.iter().map(new_value).collect())
    })?;
    let responses = results.iter().map(|((resource_type, resource_name), result)| {
        response::AlterConfigsResourceResponse {
            error_code: code(result),
            error_message: message(result),
            resource_type: *resource_type,
            resource_name,
        }
    });
    let responses = responses.collect();
    scene.answer(&IncrementalAlterConfigsResponse { throttle_time_ms: 0, responses })
}

/// The old way: what is not named is deleted.
pub(super) fn alter(
    scene: &mut Scene<'_>,
    request: &AlterConfigsRequest<'_>,
) -> Result<(), ControllerError> {
    let asked = request.resources.iter().map(|it| ((it.resource_type, it.resource_name), it));
    let results = alter_all(scene, asked, request.validate_only, |scene, resource, asked| {
        let there = scene.image.configs.of(resource).keys();
        let mut changes: Changes = there.map(|key| (key.clone(), None)).collect();
        let replaced = scene.schema.replace(resource, &asked.configs)?;
        changes.extend(replaced.into_iter().map(|(key, value)| (key, Some(value))));
        Ok(changes)
    })?;
    let responses = results.iter().map(|((resource_type, resource_name), result)| {
        old_response::AlterConfigsResourceResponse {
            error_code: code(result),
            error_message: message(result),
            resource_type: *resource_type,
            resource_name,
        }
    });
    let responses = responses.collect();
    scene.answer(&AlterConfigsResponse { throttle_time_ms: 0, responses })
}

/// Changes every resource once, and says of each what came of it; `changes` tells what its keys are
/// to become.
fn alter_all<'r, R>(
    scene: &mut Scene<'_>,
    asked: impl Iterator<Item = (Name<'r>, R)> + Clone,
    validate_only: bool,
    changes: impl Fn(&Scene<'_>, &ConfigResource, R) -> Result<Changes, ApiError>,
) -> Result<Vec<Judged<'r>>, ControllerError> {
    let duplicates = duplicates(asked.clone().map(|(name, _)| name));
    let mut answered = BTreeSet::new();
    let mut results = Vec::new();
    for (name, asked) in asked.filter(|(name, _)| answered.insert(*name)) {
        let changes = judge_resource(&duplicates, name)
            .and_then(|resource| Ok((changes(scene, &resource, asked)?, resource)));
        let result = match changes {
            Ok((changes, resource)) => alter_one(scene, &resource, &changes)?,
            Err(error) => Err(error),
        };
        results.push((name, result));
    }
    if validate_only {
        scene.outcome.records = Records::default();
    }
    Ok(results)
}

type Name<'a> = (i8, &'a str);
/// What came of one resource.
type Judged<'a> = (Name<'a>, Result<(), ApiError>);

fn duplicates<'a>(names: impl Iterator<Item = Name<'a>>) -> BTreeSet<Name<'a>> {
    let mut seen = BTreeSet::new();
    names.filter(|name| !seen.insert(*name)).collect()
}

fn judge_resource(
    duplicates: &BTreeSet<Name<'_>>,
    (kind, name): Name<'_>,
) -> Result<ConfigResource, ApiError> {
    let Some(known) = ResourceType::from_number(kind) else {
        // A broker of Kafka says so before its controller is asked, which would say 35.
        let message = format!("Unknown resource type {kind}");
        return Err(ApiError::new(ErrorCode::InvalidRequest, message));
    };
    if duplicates.contains(&(kind, name)) {
        return Err(ApiError::new(ErrorCode::InvalidRequest, "Duplicate resource."));
    }
    Ok(ConfigResource::new(known, name))
}

fn alter_one(
    scene: &mut Scene<'_>,
    resource: &ConfigResource,
    changes: &Changes,
) -> Result<Result<(), ApiError>, ControllerError> {
    let image = scene.image;
    let current = image.configs.of(resource);
    let mut config = current.clone();
    for (key, value) in changes {
        match value {
            Some(value) => drop(config.insert(key.clone(), value.clone())),
            None => drop(config.remove(key)),
        }
    }
    let judged = judge_name(resource)
        .and_then(|()| scene.schema.validate(resource, &config))
        .and_then(|()| judge_existence(scene, resource));
    if judged.is_err() {
        return Ok(judged);
    }
    for (name, value) in changes {
        // A broker's setting is written even if it stays: a broker loads its keystores anew then.
        if current.get(name) == value.as_ref() && resource.kind != ResourceType::Broker {
            continue;
        }
        scene.put(&Value::ConfigRecord(ConfigRecord {
            resource_type: resource.kind.number(),
            resource_name: &resource.name,
            name,
            value: value.as_deref(),
        }))?;
    }
    Ok(Ok(()))
}

fn judge_name(resource: &ConfigResource) -> Result<(), ApiError> {
    let invalid = |message: &'static str| Err(ApiError::new(ErrorCode::InvalidRequest, message));
    match resource.kind {
        ResourceType::Topic if resource.name.is_empty() => {
            invalid("Default topic resources are not allowed.")
        }
        ResourceType::Topic => validate_topic_name(&resource.name),
        ResourceType::Broker if resource.name.is_empty() => Ok(()),
        ResourceType::Broker => match resource.name.parse::<i32>() {
            Err(_) => invalid("Unable to parse broker name as a base 10 number."),
            Ok(id) if id < 0 => invalid("Invalid negative broker ID."),
            Ok(_) => Ok(()),
        },
        ResourceType::Group if resource.name.is_empty() => {
            invalid("Default group resources are not allowed.")
        }
        ResourceType::BrokerLogger => invalid("Unknown resource type BROKER_LOGGER"),
        ResourceType::Group | ResourceType::ClientMetrics => Ok(()),
    }
}

fn judge_existence(scene: &Scene<'_>, resource: &ConfigResource) -> Result<(), ApiError> {
    let name = &*resource.name;
    let cluster = &scene.image.cluster;
    match resource.kind {
        ResourceType::Topic if scene.image.topics.by_name(name).is_none() => Err(ApiError::new(
            ErrorCode::UnknownTopicOrPartition,
            format!("The topic '{name}' does not exist."),
        )),
        ResourceType::Broker if !name.is_empty() => {
            let id = name.parse().unwrap_or(-1);
            let is_known = cluster.broker(id).is_some()
                || cluster.controllers().any(|controller| controller.id == id);
            let message = || format!("No node with id {id} found.");
            match is_known {
                true => Ok(()),
                false => Err(ApiError::new(ErrorCode::BrokerIdNotRegistered, message())),
            }
        }
        _ => Ok(()),
    }
}
