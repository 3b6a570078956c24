//! What the broker knows about topics beside their metadata.

use std::collections::BTreeSet;

use milena_metadata::controller::CreateTopics;
use milena_protocol::api::{
    CreateTopicsRequest,
    create_topics::request::{CreatableTopic, CreatableTopicConfig},
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
    if let Err(error) = broker.metadata.call::<CreateTopics>(&request).await {
        tracing::warn!(%error, "topics were not created on first use");
    }
}
