//! SyncGroup: a classic group's leader says who gets what, and every member is told its part.

use milena_protocol::{
    ErrorCode,
    api::{SyncGroupRequest, SyncGroupResponse},
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    coordinator::group::classic::SyncRequest,
    error_map::ToCode,
};

pub(super) async fn handle(call: &Call<'_>, request: SyncGroupRequest<'_>) -> Outcome {
    let refuse = |code: ErrorCode| {
        call.answer(&SyncGroupResponse { error_code: code as i16, ..Default::default() })
    };
    let names_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
    if call.version >= 5 && !names_protocol {
        return refuse(ErrorCode::InconsistentGroupProtocol);
    }
    if !call.may(Operation::Read, Resource::Group(request.group_id)) {
        return refuse(ErrorCode::GroupAuthorizationFailed);
    }
    let sync = SyncRequest {
        group: request.group_id,
        member_id: request.member_id,
        instance_id: request.group_instance_id,
        generation: request.generation_id,
        protocol_type: request.protocol_type,
        protocol: request.protocol_name,
        assignments: request.assignments.iter().map(|it| (it.member_id, it.assignment)).collect(),
    };
    let answer = call.wait_for_group(sync.group, |groups, scene, reply| {
        groups.sync(&sync, scene, reply);
    });
    match answer.await.unwrap_or_else(Err) {
        Ok(synced) => call.answer(&SyncGroupResponse {
            error_code: ErrorCode::None as i16,
            protocol_type: synced.protocol_type.as_deref(),
            protocol_name: synced.protocol.as_deref(),
            assignment: &synced.assignment,
            ..Default::default()
        }),
        Err(error) => refuse(error.code()),
    }
}
