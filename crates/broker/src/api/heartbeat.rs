//! Heartbeat: a member of a classic group is alive, and hears whether it has to join again.

use milena_protocol::{
    ErrorCode,
    api::{HeartbeatRequest, HeartbeatResponse},
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    coordinator::{
        CoordinatorError,
        group::{GroupError, classic},
    },
    error_map::ToCode,
};

pub(super) async fn handle(call: &Call<'_>, request: HeartbeatRequest<'_>) -> Outcome {
    let answer = |code: ErrorCode| {
        call.answer(&HeartbeatResponse { error_code: code as i16, ..Default::default() })
    };
    if !call.may(Operation::Read, Resource::Group(request.group_id)) {
        return answer(ErrorCode::GroupAuthorizationFailed);
    }
    let beat = classic::HeartbeatRequest {
        group: request.group_id,
        member_id: request.member_id,
        instance_id: request.group_instance_id,
        generation: request.generation_id,
    };
    let asked = call.ask_group(beat.group, |groups, scene| groups.heartbeat(&beat, scene));
    match asked.await {
        Ok(()) => answer(ErrorCode::None),
        // It is alive, and does not lose its place for a moment in which nobody could note it.
        Err(GroupError::Coordinator(CoordinatorError::Loading)) => answer(ErrorCode::None),
        Err(error) => answer(error.code()),
    }
}
