//! ConsumerGroupDescribe: consumer groups with their members, and what those have and shall have.

use milena_protocol::{
    ErrorCode,
    api::{
        ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse,
        consumer_group_describe::response::{Assignment, DescribedGroup, Member, TopicPartitions},
    },
};

use super::{Call, Outcome, consumer_group_heartbeat};
use crate::{
    authorizer::{self, GROUP_OPERATIONS, NOT_ASKED, Operation, Resource},
    coordinator::group::{
        GroupError,
        consumer::{ConsumerDescription, ConsumerMember, TopicAssignment},
    },
    error_map::ToCode,
};

/// Kinds of members, as the answer numbers them.
const CLASSIC: i8 = 0;
const CONSUMER: i8 = 1;

pub(super) async fn handle(call: &Call<'_>, request: ConsumerGroupDescribeRequest<'_>) -> Outcome {
    let is_served = consumer_group_heartbeat::is_served(call);
    let may = |group: &&str| call.may(Operation::Describe, Resource::Group(group));
    let (allowed, denied): (Vec<&str>, Vec<&str>) = request.group_ids.into_iter().partition(may);
    let mut described = Vec::with_capacity(allowed.len());
    for group in allowed {
        let description = if !is_served {
            Err(GroupError::UnsupportedVersion("there are no consumer groups".to_owned()))
        } else if group.is_empty() {
            Err(GroupError::InvalidGroupId)
        } else {
            call.ask_group(group, |groups, scene| groups.describe_consumer(group, scene)).await
        };
        let message = match &description {
            Err(error @ (GroupError::GroupIdNotFound(_) | GroupError::OtherProtocol(_))) => {
                Some(error.to_string())
            }
            _ => None,
        };
        described.push((group, description, message));
    }
    let refused = |group_id, code: ErrorCode| DescribedGroup {
        group_id,
        error_code: code as i16,
        authorized_operations: NOT_ASKED,
        ..Default::default()
    };
    let mut groups: Vec<_> = denied
        .into_iter()
        .map(|group| refused(group, ErrorCode::GroupAuthorizationFailed))
        .collect();
    for (group_id, description, message) in &described {
        let mut group = match description {
            Ok(description) if may_see_all(call, description) => tell(group_id, description),
            Ok(_) => DescribedGroup {
                error_message: Some(
                    "The group has described topic(s) that the client is not authorized to \
                     describe.",
                ),
                ..refused(group_id, ErrorCode::TopicAuthorizationFailed)
            },
            Err(error) => DescribedGroup {
                error_message: message.as_deref(),
                ..refused(group_id, error.code())
            },
        };
        if request.include_authorized_operations && group.error_code == ErrorCode::None as i16 {
            group.authorized_operations = authorizer::operations(&GROUP_OPERATIONS, |operation| {
                call.may(operation, Resource::Group(group_id))
            });
        }
        groups.push(group);
    }
    call.answer(&ConsumerGroupDescribeResponse { groups, ..Default::default() })
}

/// Clients must not learn the names of topics that they may not see.
fn may_see_all(call: &Call<'_>, description: &ConsumerDescription) -> bool {
    let topics = description.members.iter().flat_map(|it| it.assignment.iter().chain(&it.target));
    topics.into_iter().all(|topic| call.may(Operation::Describe, Resource::Topic(&topic.name)))
}

fn tell<'a>(group_id: &'a str, description: &'a ConsumerDescription) -> DescribedGroup<'a> {
    DescribedGroup {
        group_id,
        group_state: description.state,
        group_epoch: description.epoch,
        assignment_epoch: description.assignment_epoch,
        assignor_name: description.assignor,
        members: description.members.iter().map(tell_member).collect(),
        authorized_operations: NOT_ASKED,
        ..Default::default()
    }
}

fn tell_member(member: &ConsumerMember) -> Member<'_> {
    Member {
        member_id: &member.id,
        instance_id: member.instance_id.as_deref(),
        rack_id: member.rack_id.as_deref(),
        member_epoch: member.epoch,
        client_id: &member.client_id,
        client_host: &member.client_host,
        subscribed_topic_names: member.topics.iter().map(|topic| &**topic).collect(),
        subscribed_topic_regex: Some(&member.pattern),
        assignment: tell_assignment(&member.assignment),
        target_assignment: tell_assignment(&member.target),
        member_type: if member.is_classic { CLASSIC } else { CONSUMER },
    }
}

fn tell_assignment(topics: &[TopicAssignment]) -> Assignment<'_> {
    let topics = topics.iter().map(|topic| TopicPartitions {
        topic_id: topic.id,
        topic_name: &topic.name,
        partitions: topic.partitions.clone(),
    });
    Assignment { topic_partitions: topics.collect() }
}
