//! Why the quorum's voters are not changed; shared by the APIs about them.

use milena_protocol::ErrorCode;

use super::Call;
use crate::authorizer::{Operation, Resource};

/// The voters are those of the configuration, which is told to those who might change them.
pub(super) fn refuse(
    call: &Call<'_>,
    cluster_id: Option<&str>,
) -> (ErrorCode, Option<&'static str>) {
    if !call.may(Operation::Alter, Resource::Cluster) {
        return (ErrorCode::ClusterAuthorizationFailed, None);
    }
    if cluster_id.is_some_and(|id| id != call.broker().cluster_id) {
        return (ErrorCode::InconsistentClusterId, None);
    }
    let why = "the voters of this cluster are those of its configuration";
    (ErrorCode::UnsupportedVersion, Some(why))
}
