//! JoinGroup: somebody wants to be a member of a classic group, and is answered when the next
//! generation begins.

use milena_protocol::{
    ErrorCode,
    api::{JoinGroupRequest, JoinGroupResponse, join_group::response::JoinGroupResponseMember},
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    coordinator::group::classic::{JoinRequest, Joined},
    error_map::ToCode,
};

pub(super) async fn handle(call: &Call<'_>, request: JoinGroupRequest<'_>) -> Outcome {
    if !call.may(Operation::Read, Resource::Group(request.group_id)) {
        return refuse(call, ErrorCode::GroupAuthorizationFailed, "");
    }
    let host = call.client_host();
    let join = JoinRequest {
        group: request.group_id,
        member_id: request.member_id,
        instance_id: request.group_instance_id,
        client_id: call.client_id.unwrap_or_default(),
        client_host: &host,
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: match call.version {
            0 => request.session_timeout_ms,
            _ => request.rebalance_timeout_ms,
        },
        protocol_type: request.protocol_type,
        protocols: request.protocols.iter().map(|it| (it.name, it.metadata)).collect(),
        reason: request.reason.unwrap_or_default(),
        requires_member_id: call.version >= 4 && request.group_instance_id.is_none(),
        supports_skip_assignment: call.version >= 9,
    };
    let answer = call.wait_for_group(join.group, |groups, scene, reply| {
        groups.join(&join, scene, reply);
    });
    match answer.await {
        Ok(Ok(joined)) => tell(call, &joined),
        Ok(Err(refused)) => refuse(call, refused.error.code(), &refused.member_id),
        Err(error) => refuse(call, error.code(), request.member_id),
    }
}

fn tell(call: &Call<'_>, joined: &Joined) -> Outcome {
    let members = joined.members.iter().map(|member| JoinGroupResponseMember {
        member_id: &member.id,
        group_instance_id: member.instance_id.as_deref(),
        metadata: &member.metadata,
    });
    call.answer(&JoinGroupResponse {
        error_code: ErrorCode::None as i16,
        generation_id: joined.generation,
        protocol_type: joined.protocol_type.as_deref(),
        protocol_name: protocol(call, joined.protocol.as_deref()),
        leader: joined.leader.as_deref().unwrap_or_default(),
        skip_assignment: joined.skip_assignment,
        member_id: &joined.member_id,
        members: members.collect(),
        ..Default::default()
    })
}

fn refuse(call: &Call<'_>, code: ErrorCode, member_id: &str) -> Outcome {
    call.answer(&JoinGroupResponse {
        error_code: code as i16,
        protocol_name: protocol(call, None),
        member_id,
        ..Default::default()
    })
}

/// Before version 7 there always was a name.
fn protocol<'a>(call: &Call<'_>, name: Option<&'a str>) -> Option<&'a str> {
    if call.version < 7 { Some(name.unwrap_or_default()) } else { name }
}
