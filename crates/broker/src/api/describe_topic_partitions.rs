//! DescribeTopicPartitions: partitions of many topics, page by page, in the order of names.

use std::collections::BTreeSet;

use milena_metadata::{
    controller::validate_topic_name,
    image::{MetadataImage, NO_LEADER, Partition},
};
use milena_protocol::{
    ErrorCode,
    api::{
        DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
        describe_topic_partitions::response::{
            Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
        },
    },
};

use super::{Call, Outcome};
use crate::{
    authorizer::{self, NOT_ASKED, Operation, Resource},
    topics,
};

pub(super) async fn handle(
    call: &Call<'_>,
    request: DescribeTopicPartitionsRequest<'_>,
) -> Outcome {
    let from = request.cursor.as_ref().map(|cursor| (cursor.topic_name, cursor.partition_index));
    let is_asked =
        |name| request.topics.is_empty() || request.topics.iter().any(|it| it.name == name);
    // A page begins within what is asked for.
    if from.is_some_and(|(name, partition)| partition < 0 || !is_asked(name)) {
        let refused = |name| refusal(name, ErrorCode::InvalidRequest);
        let topics = request.topics.iter().map(|topic| refused(topic.name)).collect();
        return call.answer(&DescribeTopicPartitionsResponse { topics, ..Default::default() });
    }
    let image = call.broker().image();
    let all = request.topics.is_empty();
    let names: BTreeSet<&str> = if all {
        image.topics.iter().map(|topic| &*topic.name).collect()
    } else {
        request.topics.iter().map(|topic| topic.name).collect()
    };
    let names = names.into_iter().filter(|name| from.is_none_or(|(start, _)| *name >= start));
    let (allowed, denied): (Vec<&str>, Vec<&str>) =
        names.partition(|name| call.may(Operation::Describe, Resource::Topic(name)));
    let limit = call.broker().config().network.request_partitions_max;
    let asked = usize::try_from(request.response_partition_limit).unwrap_or(0);
    let page = Page { image: &image, from, limit: asked.min(limit).max(1) };
    let (mut topics, next_cursor) = page.describe(&allowed, all);
    for topic in &mut topics {
        let name = topic.name.unwrap_or_default();
        topic.topic_authorized_operations =
            authorizer::operations(&topics::OPERATIONS, |operation| {
                call.may(operation, Resource::Topic(name))
            });
    }
    if !all {
        let refused = |name| refusal(name, ErrorCode::TopicAuthorizationFailed);
        topics.extend(denied.into_iter().map(refused));
    }
    call.answer(&DescribeTopicPartitionsResponse { topics, next_cursor, ..Default::default() })
}

/// What goes into one answer.
struct Page<'a> {
    image: &'a MetadataImage,
    from: Option<(&'a str, i32)>,
    /// Partitions at most.
    limit: usize,
}

impl<'a> Page<'a> {
    /// The topics, and where the next page begins.
    fn describe(
        &self,
        names: &[&'a str],
        skip_unknown: bool,
    ) -> (Vec<DescribeTopicPartitionsResponseTopic<'a>>, Option<Cursor<'a>>) {
        let (mut topics, mut left) = (Vec::new(), self.limit);
        for name in names {
            if left == 0 {
                return (topics, Some(Cursor { topic_name: name, partition_index: 0 }));
            }
            let Some(topic) = self.image.topics.by_name(name) else {
                if !skip_unknown {
                    let is_internal = topics::is_internal(name);
                    let refused = refusal(name, unknown(name));
                    topics.push(DescribeTopicPartitionsResponseTopic { is_internal, ..refused });
                }
                continue;
            };
            let first = self.from.filter(|(start, _)| start == name).map_or(0, |(_, first)| first);
            let mut partitions = topic.partitions().skip_while(|(id, _)| *id < first);
            let page = partitions.by_ref().take(left);
            let page: Vec<_> = page.map(|(id, it)| describe(self.image, id, it)).collect();
            left -= page.len();
            topics.push(DescribeTopicPartitionsResponseTopic {
                name: Some(name),
                topic_id: topic.id,
                is_internal: topics::is_internal(name),
                partitions: page,
                ..Default::default()
            });
            if let Some((partition_index, _)) = partitions.next() {
                return (topics, Some(Cursor { topic_name: name, partition_index }));
            }
        }
        (topics, None)
    }
}

fn unknown(name: &str) -> ErrorCode {
    match validate_topic_name(name) {
        Ok(()) => ErrorCode::UnknownTopicOrPartition,
        Err(_) => ErrorCode::InvalidTopicException,
    }
}

fn refusal<'a>(name: &'a str, code: ErrorCode) -> DescribeTopicPartitionsResponseTopic<'a> {
    DescribeTopicPartitionsResponseTopic {
        error_code: code as i16,
        name: Some(name),
        topic_authorized_operations: NOT_ASKED,
        ..Default::default()
    }
}

fn describe(
    image: &MetadataImage,
    id: i32,
    partition: &Partition,
) -> DescribeTopicPartitionsResponsePartition {
    let is_offline = |broker: &i32| !image.cluster.is_active(*broker);
    let has_leader = partition.leader != NO_LEADER;
    let code = if has_leader { ErrorCode::None } else { ErrorCode::LeaderNotAvailable };
    DescribeTopicPartitionsResponsePartition {
        error_code: code as i16,
        partition_index: id,
        leader_id: partition.leader,
        leader_epoch: partition.leader_epoch,
        replica_nodes: partition.replicas.to_vec(),
        isr_nodes: partition.isr.to_vec(),
        eligible_leader_replicas: Some(partition.eligible_leader_replicas().to_vec()),
        last_known_elr: Some(partition.last_known_elr().to_vec()),
        offline_replicas: partition.replicas.iter().copied().filter(is_offline).collect(),
    }
}
