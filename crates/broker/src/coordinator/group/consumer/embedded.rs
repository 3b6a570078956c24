//! What consumers of the classic protocol tell each other inside its messages: topics by name, in
//! Kafka's "consumer" format.

use std::collections::BTreeSet;

use bytes::Bytes;
use milena_metadata::image::MetadataImage;
use milena_protocol::{
    Uuid,
    consumer::{
        ConsumerProtocolAssignment, ConsumerProtocolSubscription, assignment::body::TopicPartition,
    },
    wire::{Message, Writer},
};

use super::{super::assignor::Assignment, member::Owned};

/// What a consumer subscribes to and has.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) topics: BTreeSet<Box<str>>,
    pub(super) owned: Vec<(Uuid, Vec<i32>)>,
    pub(super) rack_id: Option<Box<str>>,
}

impl Subscription {
    /// `None` where nobody understands it.
    pub(super) fn read(bytes: &[u8], image: &MetadataImage) -> Option<Self> {
        let (version, body) = split(bytes)?;
        let version = version.min(ConsumerProtocolSubscription::VERSION_MAX);
        let told = ConsumerProtocolSubscription::decode(body, version).ok()?.message;
        let owned = told.owned_partitions.into_iter();
        let owned = owned.filter_map(|it| Some((image.topics.id(it.topic)?, it.partitions)));
        Some(Self {
            topics: told.topics.into_iter().map(Into::into).collect(),
            owned: owned.collect(),
            rack_id: told.rack_id.filter(|rack| !rack.is_empty()).map(Into::into),
        })
    }
}

/// What a member was given. Nothing where nobody understands it, or where it holds something that
/// would be lost: data of an assignor of the members' own.
pub(super) fn read_assignment(bytes: &[u8], image: &MetadataImage) -> Option<Assignment> {
    if bytes.is_empty() {
        return Some(Assignment::new());
    }
    let (version, body) = split(bytes)?;
    let version = version.min(ConsumerProtocolAssignment::VERSION_MAX);
    let told = ConsumerProtocolAssignment::decode(body, version).ok()?.message;
    if told.user_data.is_some_and(|data| !data.is_empty()) {
        return None;
    }
    let topics = told.assigned_partitions.into_iter();
    let by_id = |it: TopicPartition<'_>| {
        Some((image.topics.id(it.topic)?, it.partitions.into_iter().collect()))
    };
    Some(topics.filter_map(by_id).collect())
}

/// What a member is given, in the version in which it told its subscription.
pub(super) fn write_assignment<'a>(
    partitions: impl Iterator<Item = (Uuid, Vec<i32>)>,
    subscription: &[u8],
    image: &'a MetadataImage,
) -> Bytes {
    let version = split(subscription).map_or(0, |(version, _)| version);
    let version = version.min(ConsumerProtocolAssignment::VERSION_MAX);
    let by_name = |(id, partitions): (Uuid, Vec<i32>)| {
        Some(TopicPartition { topic: &image.topics.by_id(id)?.name, partitions })
    };
    let assigned_partitions: Vec<TopicPartition<'a>> = partitions.filter_map(by_name).collect();
    let assignment = ConsumerProtocolAssignment { assigned_partitions, user_data: None };
    let mut writer = Writer::with_capacity(64);
    let body = assignment.encode(&mut writer, version).and_then(|()| writer.finish());
    // Names of topics fit into any text.
    let body = body.ok().and_then(|written| written.into_body()).unwrap_or_default();
    [&version.to_be_bytes()[..], &body].concat().into()
}

/// The partitions without what is known of them beside.
pub(super) fn owned(owned: &Owned) -> impl Iterator<Item = (Uuid, Vec<i32>)> {
    owned.iter().map(|(id, partitions)| (*id, partitions.keys().copied().collect()))
}

fn split(bytes: &[u8]) -> Option<(i16, &[u8])> {
    let (version, body) = bytes.split_first_chunk()?;
    let version = i16::from_be_bytes(*version);
    (version >= 0).then_some((version, body))
}
