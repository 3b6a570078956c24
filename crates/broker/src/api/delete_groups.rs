//! DeleteGroups: groups without members go, with all that they have committed.

use std::collections::BTreeSet;

use milena_protocol::{
    ErrorCode,
    api::{
        DeleteGroupsRequest, DeleteGroupsResponse, delete_groups::response::DeletableGroupResult,
    },
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    error_map::ToCode,
};

pub(super) async fn handle(call: &Call<'_>, request: DeleteGroupsRequest<'_>) -> Outcome {
    let mut seen = BTreeSet::new();
    let groups = request.groups_names.into_iter().filter(|group| seen.insert(*group));
    let may = |group: &&str| call.may(Operation::Delete, Resource::Group(group));
    let (allowed, denied): (Vec<&str>, Vec<&str>) = groups.partition(may);
    let mut results = Vec::with_capacity(allowed.len() + denied.len());
    for group in allowed {
        let asked = call.ask_group(group, |groups, scene| groups.delete_group(group, scene));
        let code = asked.await.err().map_or(ErrorCode::None, |error| error.code());
        results.push((group, code));
    }
    results.extend(denied.into_iter().map(|it| (it, ErrorCode::GroupAuthorizationFailed)));
    let results = results
        .into_iter()
        .map(|(group_id, code)| DeletableGroupResult { group_id, error_code: code as i16 });
    call.answer(&DeleteGroupsResponse { results: results.collect(), ..Default::default() })
}
