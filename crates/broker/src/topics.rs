//! What the broker knows about topics beside their metadata.

use std::collections::BTreeSet;

use milena_metadata::controller::CreateTopics;
use milena_protocol::{
    ErrorCode,
    api::{
        CreateTopicsRequest, CreateTopicsResponse,
        create_topics::{
            request::{CreatableTopic, CreatableTopicConfig},
            response::CreatableTopicResult,
        },
    },
};

use crate::{authorizer::Operation, broker::Broker};

/// Where group coordinators keep their state.
pub(crate) const CONSUMER_OFFSETS: &str = "__consumer_offsets";

/// Topics that only the broker itself writes to.
const INTERNAL: [&str; 3] = [CONSUMER_OFFSETS, "__transaction_state", "__share_group_state"];

/// What may be done to a topic.
pub(crate) const OPERATIONS: [Operation; 8] = [
    Operation::Read,
    Operation::Write,
    Operation::Create,
    Operation::Describe,
    Operation::Delete,
    Operation::Alter,
    Operation::DescribeConfigs,
    Operation::AlterConfigs,
];

pub(crate) fn is_internal(name: &str) -> bool {
    INTERNAL.contains(&name)
}

/// Creates topics as the broker's own settings say. Whether that worked shows in the image.
pub(crate) async fn create_with_defaults(broker: &Broker, names: BTreeSet<&str>) {
    let config = broker.config();
    let brokers = broker.image().cluster.brokers().count();
    let segment_bytes = config.groups.offsets.topic.segment_bytes.to_string();
    let topics = names.into_iter().map(|name| {
        let topic = CreatableTopic {
            name,
            num_partitions: -1,
            replication_factor: -1,
            ..Default::default()
        };
        if name != CONSUMER_OFFSETS {
            return topic;
        }
        let offsets = &config.groups.offsets.topic;
        let set = |name, value| CreatableTopicConfig { name, value: Some(value) };
        CreatableTopic {
            num_partitions: offsets.partitions,
            replication_factor: offsets.replication_factor(brokers),
            configs: vec![
                set("cleanup.policy", "compact"),
                set("compression.type", "producer"),
                set("segment.bytes", &segment_bytes),
            ],
            ..topic
        }
    });
    let request = CreateTopicsRequest { topics: topics.collect(), ..Default::default() };
    match broker.metadata.call::<CreateTopics>(&request).await {
        Ok(answer) => answer.message().iter().for_each(note_refusal),
        Err(error) => tracing::warn!(%error, "topics were not created on first use"),
    }
}

/// Without its topic no group is served, and only the broker's own settings can be to blame. Topics
/// of clients are theirs to look after.
fn note_refusal(response: &CreateTopicsResponse<'_>) {
    let there = [ErrorCode::None as i16, ErrorCode::TopicAlreadyExists as i16];
    let is_refused = |it: &&CreatableTopicResult<'_>| {
        it.name == CONSUMER_OFFSETS && !there.contains(&it.error_code)
    };
    for topic in response.topics.iter().filter(is_refused) {
        let reason = topic.error_message.unwrap_or_default();
        tracing::error!(
            topic = topic.name,
            reason,
            "the topic of groups cannot be created; groups are served when offsets.topic.* and the \
             brokers allow for it"
        );
    }
}
