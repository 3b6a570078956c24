//! Which partitions a Produce is for, and who may not write to them.

use std::sync::Arc;

use milena_protocol::{ErrorCode, api::ProduceRequest};

use super::{super::Call, Fate, Item, TopicItems};
use crate::{
    authorizer::{Operation, Resource},
    error_map::ToCode,
    partition::table::Topic,
    topics,
    transactions::verification::Standing,
};

/// What Kafka's own admin tools call themselves; they may write to internal topics.
const ADMIN_CLIENT: &str = "__admin_client";

/// Finds the partitions, and refuses what may not be written.
pub(super) fn place(
    call: &Call<'_>,
    request: &ProduceRequest<'_>,
    frame: &[u8],
) -> Vec<TopicItems> {
    let broker = call.broker();
    let mut topics = Vec::with_capacity(request.topic_data.len());
    for data in &request.topic_data {
        let by_id = call.version >= 13;
        let topic = if by_id {
            broker.partitions.by_id(data.topic_id)
        } else {
            broker.partitions.by_name(data.name)
        };
        let name: Box<str> = topic.as_ref().map_or(data.name, |topic| &topic.name).into();
        let refusal = refuse(call, request, topic.as_deref(), &name, by_id);
        let items = data.partition_data.iter().map(|partition| {
            let records = partition.records.as_ref().and_then(|records| records.as_slice());
            let place = match (refusal, &topic) {
                (Some(code), _) => Err(code),
                (None, topic) => Topic::find(topic.as_deref(), partition.index)
                    .map(Arc::clone)
                    .map_err(|absent| absent.code()),
            };
            let code = place.as_ref().err().copied().unwrap_or(ErrorCode::None);
            Item {
                index: partition.index,
                records: range_in(frame, records.unwrap_or_default()),
                place,
                standing: Standing::NotAsked,
                fate: Fate::Refused(code.into()),
            }
        });
        let items = items.collect();
        topics.push(TopicItems { name, id: data.topic_id, items });
    }
    topics
}

/// Why nothing may be written to a topic, if so.
fn refuse(
    call: &Call<'_>,
    request: &ProduceRequest<'_>,
    topic: Option<&Topic>,
    name: &str,
    by_id: bool,
) -> Option<ErrorCode> {
    if by_id && topic.is_none() {
        return Some(ErrorCode::UnknownTopicId);
    }
    if !call.may(Operation::Write, Resource::Topic(name)) {
        return Some(ErrorCode::TopicAuthorizationFailed);
    }
    if topic.is_none() {
        return Some(ErrorCode::UnknownTopicOrPartition);
    }
    if topics::is_internal(name) && call.client_id != Some(ADMIN_CLIENT) {
        return Some(ErrorCode::InvalidTopicException);
    }
    (!matches!(request.acks, -1..=1)).then_some(ErrorCode::InvalidRequiredAcks)
}

/// Where a part of a frame lies in it.
fn range_in(frame: &[u8], part: &[u8]) -> std::ops::Range<usize> {
    if part.is_empty() {
        return 0..0;
    }
    let start = part.as_ptr().addr() - frame.as_ptr().addr();
    start..start + part.len()
}
