//! LeaveGroup: members leave a classic group at once, rather than when their session is over.

use milena_protocol::{
    ErrorCode,
    api::{LeaveGroupRequest, LeaveGroupResponse, leave_group::response::MemberResponse},
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    coordinator::group::classic::Leaving,
    error_map::ToCode,
};

pub(super) async fn handle(call: &Call<'_>, request: LeaveGroupRequest<'_>) -> Outcome {
    let refuse = |code: ErrorCode| {
        call.answer(&LeaveGroupResponse { error_code: code as i16, ..Default::default() })
    };
    if !call.may(Operation::Read, Resource::Group(request.group_id)) {
        return refuse(ErrorCode::GroupAuthorizationFailed);
    }
    let leaving: Vec<Leaving<'_>> = if call.version < 3 {
        vec![Leaving { member_id: request.member_id, instance_id: None, reason: "" }]
    } else {
        let members = request.members.iter().map(|member| Leaving {
            member_id: member.member_id,
            instance_id: member.group_instance_id,
            reason: member.reason.unwrap_or_default(),
        });
        members.collect()
    };
    let asked = call.ask_group(request.group_id, |groups, scene| {
        groups.leave(request.group_id, &leaving, scene)
    });
    let left = match asked.await {
        Ok(left) => left,
        Err(error) => return refuse(error.code()),
    };
    let codes = left.iter().map(|left| left.as_ref().err().map_or(ErrorCode::None, ToCode::code));
    if call.version < 3 {
        return refuse(codes.into_iter().next().unwrap_or(ErrorCode::None));
    }
    let members = leaving.iter().zip(codes).map(|(member, code)| MemberResponse {
        member_id: member.member_id,
        group_instance_id: member.instance_id,
        error_code: code as i16,
    });
    call.answer(&LeaveGroupResponse { members: members.collect(), ..Default::default() })
}
