//! ConsumerGroupHeartbeat: the one request by which members of a consumer group live. They say what
//! they want and have, and are told what they get.

use std::rc::Rc;

use milena_metadata::GROUP_VERSION;
use milena_protocol::{
    ErrorCode,
    api::{
        ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
        consumer_group_heartbeat::response::{Assignment, TopicPartitions},
    },
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    coordinator::group::consumer::{ConsumerHeartbeat, ConsumerHeartbeatAnswer},
    error_map::ToCode,
};

pub(super) async fn handle(call: &Call<'_>, request: ConsumerGroupHeartbeatRequest<'_>) -> Outcome {
    let refuse = |code: ErrorCode, message: Option<&str>| {
        call.answer(&ConsumerGroupHeartbeatResponse {
            error_code: code as i16,
            error_message: message,
            ..Default::default()
        })
    };
    if !is_served(call) {
        return refuse(ErrorCode::UnsupportedVersion, None);
    }
    if !call.may(Operation::Read, Resource::Group(request.group_id)) {
        return refuse(ErrorCode::GroupAuthorizationFailed, None);
    }
    let may_see = |topic: &str| call.may(Operation::Describe, Resource::Topic(topic));
    if !request.subscribed_topic_names.iter().flatten().all(|topic| may_see(topic)) {
        return refuse(ErrorCode::TopicAuthorizationFailed, None);
    }
    let owned = request
        .topic_partitions
        .map(|owned| owned.into_iter().map(|topic| (topic.topic_id, topic.partitions)).collect());
    let pattern = request.subscribed_topic_regex.unwrap_or_default();
    let pattern_fault = match pattern {
        "" => None,
        pattern => call.broker().coordinators.patterns.judge(pattern).await.err(),
    };
    let host = call.client_host();
    let beat = ConsumerHeartbeat {
        version: call.version,
        group: request.group_id,
        member_id: request.member_id,
        member_epoch: request.member_epoch,
        instance_id: request.instance_id,
        rack_id: request.rack_id,
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        topics: request.subscribed_topic_names,
        pattern: request.subscribed_topic_regex,
        assignor: request.server_assignor,
        owned,
        client_id: call.client_id.unwrap_or_default(),
        client_host: &host,
        pattern_fault,
    };
    let asked = call.ask_group(beat.group, |groups, scene| groups.consumer_heartbeat(&beat, scene));
    match asked.await {
        Ok(mut answer) => {
            let unresolved = std::mem::take(&mut answer.unresolved);
            if !unresolved.is_empty() {
                tokio::task::spawn_local(resolve(call, beat.group.to_owned(), unresolved));
            }
            tell(call, answer)
        }
        Err(error) => refuse(error.code(), Some(&error.to_string())),
    }
}

/// Whether there may be consumer groups: this broker and the whole cluster must allow it.
pub(super) fn is_served(call: &Call<'_>) -> bool {
    let broker = call.broker();
    let is_allowed = broker.config().groups.protocols.iter().any(|it| it == "consumer");
    is_allowed && broker.image().features.level(GROUP_VERSION) > 0
}

/// Finds out which topics that the caller may know of the group's regular expressions stand for.
/// Its members hear of it by a later heartbeat.
fn resolve(
    call: &Call<'_>,
    group: String,
    patterns: Vec<Box<str>>,
) -> impl Future<Output = ()> + 'static {
    let (worker, client) = (Rc::clone(call.worker), Rc::clone(call.client));
    async move {
        let broker = &worker.broker;
        let (image, coordinators) = (broker.image(), &broker.coordinators);
        let mut found = match coordinators.patterns.resolve(patterns, &image).await {
            Ok(found) => found,
            Err(why) => {
                tracing::warn!(group, %why, "regular expressions not resolved");
                return;
            }
        };
        for (_, topics) in &mut found.patterns {
            let may_see = |topic: &str| {
                let (describe, topic) = (Operation::Describe, Resource::Topic(topic));
                broker.authorizer.authorize(&client, describe, topic)
            };
            topics.retain(|topic| may_see(topic));
        }
        let tell = coordinators.ask_group(&image, &group, |groups, scene| {
            groups.patterns_resolved(&group, found, scene)
        });
        if let Err(error) = tell.await {
            tracing::warn!(group, %error, "what regular expressions stand for is not known");
        }
    }
}

fn tell(call: &Call<'_>, answer: ConsumerHeartbeatAnswer) -> Outcome {
    let assignment = answer.assignment.map(|topics| {
        let topic = |(topic_id, partitions)| TopicPartitions { topic_id, partitions };
        Assignment { topic_partitions: topics.into_iter().map(topic).collect() }
    });
    call.answer(&ConsumerGroupHeartbeatResponse {
        member_id: Some(&answer.member_id),
        member_epoch: answer.member_epoch,
        heartbeat_interval_ms: answer.heartbeat_interval_ms,
        assignment,
        ..Default::default()
    })
}
