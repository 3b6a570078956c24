//! ListGroups: the groups whose state this broker keeps, those in certain states or of certain
//! kinds if asked so.

use milena_protocol::{
    ErrorCode,
    api::{ListGroupsRequest, ListGroupsResponse, list_groups::response::ListedGroup},
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    coordinator::{CoordinatorError, group::Listed},
    error_map::ToCode,
};

pub(super) async fn handle(call: &Call<'_>, request: ListGroupsRequest<'_>) -> Outcome {
    let coordinators = &call.broker().coordinators;
    let mut listed: Vec<Listed> = Vec::new();
    for partition in coordinators.groups.partitions() {
        let asked =
            coordinators.groups.ask(partition, coordinators.limit(), |groups, _| groups.list());
        match asked.await {
            Ok(mut groups) => listed.append(&mut groups),
            // It has just gone elsewhere, and is listed there.
            Err(CoordinatorError::NotCoordinator) => {}
            Err(error) => {
                let error_code = error.code() as i16;
                return call.answer(&ListGroupsResponse { error_code, ..Default::default() });
            }
        }
    }
    let is_among = |filter: &[&str], what: &str| {
        filter.is_empty() || filter.iter().any(|wanted| wanted.trim().eq_ignore_ascii_case(what))
    };
    let sees_all = call.may(Operation::Describe, Resource::Cluster);
    let groups = listed.iter().filter(|group| {
        is_among(&request.states_filter, group.state)
            && is_among(&request.types_filter, group.kind)
            && (sees_all || call.may(Operation::Describe, Resource::Group(&group.id)))
    });
    let groups = groups.map(|group| ListedGroup {
        group_id: &group.id,
        protocol_type: &group.protocol_type,
        group_state: group.state,
        group_type: group.kind,
    });
    let error_code = ErrorCode::None as i16;
    call.answer(&ListGroupsResponse { error_code, groups: groups.collect(), ..Default::default() })
}
