//! DescribeGroups: classic groups with their members.

use milena_env::HashSet;
use milena_protocol::{
    ErrorCode,
    api::{
        DescribeGroupsRequest, DescribeGroupsResponse,
        describe_groups::response::{DescribedGroup, DescribedGroupMember},
    },
};

use super::{Call, Outcome};
use crate::{
    authorizer::{self, GROUP_OPERATIONS, NOT_ASKED, Operation, Resource},
    coordinator::group::{GroupError, classic::Description},
    error_map::ToCode,
};

pub(super) async fn handle(call: &Call<'_>, request: DescribeGroupsRequest<'_>) -> Outcome {
    let may = |group: &&str| call.may(Operation::Describe, Resource::Group(group));
    let (allowed, denied): (Vec<&str>, Vec<&str>) = request.groups.into_iter().partition(may);
    let mut described = Vec::with_capacity(allowed.len());
    let mut seen = HashSet::default();
    for group in allowed {
        // A short request shall not make an answer of any length.
        let description = if seen.insert(group) {
            call.ask_group(group, |groups, _| groups.describe_classic(group)).await
        } else {
            Err(GroupError::InvalidRequest(format!("Group {group} is named twice.")))
        };
        let message = description.as_ref().err().map(ToString::to_string);
        described.push((group, description, message));
    }
    let refused = denied.into_iter().map(|group_id| DescribedGroup {
        group_id,
        error_code: ErrorCode::GroupAuthorizationFailed as i16,
        authorized_operations: NOT_ASKED,
        ..Default::default()
    });
    let mut groups: Vec<_> = refused.collect();
    for (group_id, description, message) in &described {
        let mut group = match description {
            Ok(description) => tell(group_id, description),
            Err(error) => missing(call, group_id, error),
        };
        if group.error_code != ErrorCode::None as i16 {
            group.error_message = message.as_deref();
        }
        if request.include_authorized_operations && group.error_code == ErrorCode::None as i16 {
            group.authorized_operations = authorizer::operations(&GROUP_OPERATIONS, |operation| {
                call.may(operation, Resource::Group(group_id))
            });
        }
        groups.push(group);
    }
    call.answer(&DescribeGroupsResponse { groups, ..Default::default() })
}

fn tell<'a>(group_id: &'a str, description: &'a Description) -> DescribedGroup<'a> {
    let members = description.members.iter().map(|member| DescribedGroupMember {
        member_id: &member.id,
        group_instance_id: member.instance_id.as_deref(),
        client_id: &member.client_id,
        client_host: &member.client_host,
        member_metadata: &member.metadata,
        member_assignment: &member.assignment,
    });
    DescribedGroup {
        group_id,
        group_state: description.state,
        protocol_type: &description.protocol_type,
        protocol_data: &description.protocol,
        members: members.collect(),
        authorized_operations: NOT_ASKED,
        ..Default::default()
    }
}

/// Before version 6 a group that is not there was told to be dead, and that was no error.
fn missing<'a>(call: &Call<'_>, group_id: &'a str, error: &GroupError) -> DescribedGroup<'a> {
    let is_unknown = matches!(error, GroupError::GroupIdNotFound(_) | GroupError::OtherProtocol(_));
    let code = if is_unknown && call.version < 6 { ErrorCode::None } else { error.code() };
    DescribedGroup {
        error_code: code as i16,
        group_id,
        group_state: if is_unknown { "Dead" } else { "" },
        authorized_operations: NOT_ASKED,
        ..Default::default()
    }
}
