//! Metadata: which brokers there are, and which of them leads which partition. Topics that do not
//! exist are created where client and broker allow it.

use std::collections::BTreeSet;

use milena_metadata::{
    controller::validate_topic_name,
    image::{MetadataImage, NO_LEADER, Partition, Topic},
};
use milena_protocol::{
    ErrorCode, Uuid,
    api::{
        MetadataRequest, MetadataResponse,
        metadata::{
            request::MetadataRequestTopic,
            response::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic},
        },
    },
};

use super::{Call, Outcome};
use crate::{
    authorizer::{self, NOT_ASKED, Operation, Resource},
    topics,
};

pub(super) async fn handle(call: &Call<'_>, request: MetadataRequest<'_>) -> Outcome {
    let all = match &request.topics {
        None => true,
        Some(topics) => call.version == 0 && topics.is_empty(),
    };
    // Before version 12 nobody can ask by id.
    let is_by_id = |topic: &MetadataRequestTopic<'_>| topic.topic_id != Uuid::ZERO;
    let is_too_new = |topic| is_by_id(topic) || topic.name.is_none();
    if call.version < 12 && request.topics.iter().flatten().any(is_too_new) {
        return refuse_all(call, request.topics.as_deref().unwrap_or_default());
    }
    if !all && (request.allow_auto_topic_creation || call.version < 4) {
        create_missing(call, request.topics.as_deref().unwrap_or_default()).await;
    }
    let broker = call.broker();
    let image = broker.image();
    let mut topics = Vec::new();
    let describe = |topic: &'_ std::sync::Arc<Topic>| {
        let operations = request.include_topic_authorized_operations.then(|| {
            authorizer::operations(&topics::OPERATIONS, |operation| {
                call.may(operation, Resource::Topic(&topic.name))
            })
        });
        (std::sync::Arc::clone(topic), operations.unwrap_or(NOT_ASKED))
    };
    let mut found = Vec::new();
    if all {
        let visible = image.topics.sorted().into_iter();
        let visible = visible.filter(|t| call.may(Operation::Describe, Resource::Topic(&t.name)));
        found.extend(visible.map(describe));
    } else {
        let mut seen = BTreeSet::new();
        for wanted in request.topics.iter().flatten() {
            // Who gives a name beside the id means the id.
            let name = wanted.name.filter(|_| !is_by_id(wanted));
            let known = match name {
                Some(name) => image.topics.by_name(name),
                None => image.topics.by_id(wanted.topic_id),
            };
            let wanted =
                MetadataRequestTopic { name, topic_id: wanted.topic_id, ..Default::default() };
            match refuse(call, &wanted, known.map(|topic| &**topic)) {
                Some(refused) => topics.push(refused),
                None => {
                    let Some(known) = known else { continue };
                    if seen.insert(known.id) {
                        found.push(describe(known));
                    }
                }
            }
        }
    }
    topics.extend(found.iter().map(|(topic, operations)| MetadataResponseTopic {
        name: Some(&topic.name),
        topic_id: topic.id,
        is_internal: topics::is_internal(&topic.name),
        partitions: topic.partitions().map(|(id, p)| describe_partition(&image, id, p)).collect(),
        topic_authorized_operations: *operations,
        ..Default::default()
    }));
    let listener = broker.listener_name(call.client.listener);
    let brokers = image.cluster.brokers().filter(|broker| !broker.is_fenced);
    let brokers = brokers.filter_map(|broker| {
        let endpoint = broker.endpoint(listener)?;
        Some(MetadataResponseBroker {
            node_id: broker.id,
            host: &endpoint.host,
            port: endpoint.port.into(),
            rack: broker.rack.as_deref(),
            ..Default::default()
        })
    });
    let cluster_authorized_operations = if request.include_cluster_authorized_operations {
        authorizer::operations(&authorizer::CLUSTER_OPERATIONS, |operation| {
            call.may(operation, Resource::Cluster)
        })
    } else {
        NOT_ASKED
    };
    call.answer(&MetadataResponse {
        brokers: brokers.collect(),
        cluster_id: Some(&broker.cluster_id),
        controller_id: broker.node_id,
        topics,
        cluster_authorized_operations,
        ..Default::default()
    })
}

/// The request makes no sense as a whole, which is said of each of its topics: there was no other
/// place for it in these versions.
fn refuse_all(call: &Call<'_>, topics: &[MetadataRequestTopic<'_>]) -> Outcome {
    let error_code = ErrorCode::InvalidRequest as i16;
    let refused = topics.iter().map(|topic| MetadataResponseTopic {
        error_code,
        name: Some(topic.name.unwrap_or_default()),
        topic_id: topic.topic_id,
        topic_authorized_operations: NOT_ASKED,
        ..Default::default()
    });
    call.answer(&MetadataResponse { error_code, topics: refused.collect(), ..Default::default() })
}

/// Why a topic is not described, if so; one that may not be seen is as good as absent.
fn refuse<'a>(
    call: &Call<'_>,
    wanted: &MetadataRequestTopic<'a>,
    known: Option<&Topic>,
) -> Option<MetadataResponseTopic<'a>> {
    let name = known.map(|topic| &*topic.name).or(wanted.name);
    let may = name.is_some_and(|name| call.may(Operation::Describe, Resource::Topic(name)));
    let code = match (wanted.name, known) {
        (None, None) => ErrorCode::UnknownTopicId,
        (None, Some(_)) if !may => ErrorCode::UnknownTopicId,
        (Some(_), _) if !may => ErrorCode::TopicAuthorizationFailed,
        (Some(name), None) => match validate_topic_name(name) {
            Ok(()) => ErrorCode::UnknownTopicOrPartition,
            Err(_) => ErrorCode::InvalidTopicException,
        },
        (_, Some(_)) => return None,
    };
    Some(MetadataResponseTopic {
        error_code: code as i16,
        name: wanted.name,
        topic_id: wanted.topic_id,
        is_internal: wanted.name.is_some_and(topics::is_internal),
        topic_authorized_operations: NOT_ASKED,
        ..Default::default()
    })
}

/// Creates the topics of the request that do not exist, as far as that is allowed. Whether it
/// worked shows in the image.
async fn create_missing(call: &Call<'_>, wanted: &[MetadataRequestTopic<'_>]) {
    let broker = call.broker();
    if !broker.config().new_topics.auto_create {
        return;
    }
    let image = broker.image();
    let missing: BTreeSet<&str> = wanted
        .iter()
        .filter_map(|topic| topic.name)
        .filter(|name| image.topics.by_name(name).is_none() && validate_topic_name(name).is_ok())
        .filter(|name| {
            call.may(Operation::Create, Resource::Cluster)
                || call.may(Operation::Create, Resource::Topic(name))
        })
        .collect();
    drop(image);
    if !missing.is_empty() {
        topics::create_with_defaults(broker, missing).await;
    }
}

pub(super) fn describe_partition(
    image: &MetadataImage,
    id: i32,
    partition: &Partition,
) -> MetadataResponsePartition {
    let is_offline = |broker: &i32| !image.cluster.is_active(*broker);
    let code =
        if partition.leader == NO_LEADER { ErrorCode::LeaderNotAvailable } else { ErrorCode::None };
    MetadataResponsePartition {
        error_code: code as i16,
        partition_index: id,
        leader_id: partition.leader,
        leader_epoch: partition.leader_epoch,
        replica_nodes: partition.replicas.to_vec(),
        isr_nodes: partition.isr.to_vec(),
        offline_replicas: partition.replicas.iter().copied().filter(is_offline).collect(),
        ..Default::default()
    }
}
