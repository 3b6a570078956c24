//! What the broker knows about topics beside their metadata.

use std::collections::BTreeSet;

use milena_config::server::InternalTopic;
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

/// Where transaction coordinators keep theirs.
pub(crate) const TRANSACTION_STATE: &str = "__transaction_state";

/// Topics that only the broker itself writes to.
const INTERNAL: [&str; 3] = [CONSUMER_OFFSETS, TRANSACTION_STATE, "__share_group_state"];

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
    let offsets = Settings::of_offsets(&config.groups.offsets.topic);
    let transactions = Settings::of_transactions(&config.transactions.topic, brokers);
    let topics = names.into_iter().map(|name| match name {
        CONSUMER_OFFSETS => offsets.topic(name, brokers),
        TRANSACTION_STATE => transactions.topic(name, brokers),
        _ => CreatableTopic {
            name,
            num_partitions: -1,
            replication_factor: -1,
            ..Default::default()
        },
    });
    let request = CreateTopicsRequest { topics: topics.collect(), ..Default::default() };
    match broker.metadata.call::<CreateTopics>(&request).await {
        Ok(answer) => answer.message().iter().for_each(note_refusal),
        Err(error) => tracing::warn!(%error, "topics were not created on first use"),
    }
}

/// How a topic of coordinators is created.
struct Settings<'a> {
    topic: &'a InternalTopic,
    configs: Vec<(&'static str, String)>,
}

impl<'a> Settings<'a> {
    fn of_offsets(topic: &'a InternalTopic) -> Self {
        let configs = vec![
            ("cleanup.policy", "compact".to_owned()),
            ("compression.type", "producer".to_owned()),
            ("segment.bytes", topic.segment_bytes.to_string()),
        ];
        Self { topic, configs }
    }

    fn of_transactions(topic: &'a InternalTopic, brokers: usize) -> Self {
        let configs = vec![
            ("cleanup.policy", "compact".to_owned()),
            ("compression.type", "uncompressed".to_owned()),
            ("min.insync.replicas", topic.min_insync_replicas(brokers).to_string()),
            ("segment.bytes", topic.segment_bytes.to_string()),
            ("unclean.leader.election.enable", "false".to_owned()),
        ];
        Self { topic, configs }
    }

    fn topic<'b>(&'b self, name: &'b str, brokers: usize) -> CreatableTopic<'b> {
        let set = |(name, value): &'b (&'static str, String)| CreatableTopicConfig {
            name,
            value: Some(value),
        };
        CreatableTopic {
            name,
            num_partitions: self.topic.partitions,
            replication_factor: self.topic.replication_factor(brokers),
            configs: self.configs.iter().map(set).collect(),
            ..Default::default()
        }
    }
}

/// Without its topic no coordinator serves, and only the broker's own settings can be to blame.
/// Topics of clients are theirs to look after.
fn note_refusal(response: &CreateTopicsResponse<'_>) {
    let there = [ErrorCode::None as i16, ErrorCode::TopicAlreadyExists as i16];
    let is_refused =
        |it: &&CreatableTopicResult<'_>| is_internal(it.name) && !there.contains(&it.error_code);
    for topic in response.topics.iter().filter(is_refused) {
        let reason = topic.error_message.unwrap_or_default();
        tracing::error!(
            topic = topic.name,
            reason,
            "the topic of a coordinator cannot be created; its clients are served when its \
             settings and the brokers allow for it"
        );
    }
}
