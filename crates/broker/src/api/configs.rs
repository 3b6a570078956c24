//! Who may see and change which settings; shared by the APIs about them.

use milena_metadata::image::ResourceType;
use milena_protocol::ErrorCode;

use super::Call;
use crate::authorizer::{Operation, Resource};

pub(super) fn may_describe(
    call: &Call<'_>,
    kind: ResourceType,
    name: &str,
) -> Result<(), ErrorCode> {
    may(call, Operation::DescribeConfigs, kind, name)
}

/// A kind that nobody knows is left to the controller, which says so.
pub(super) fn may_alter(call: &Call<'_>, kind: i8, name: &str) -> Result<(), ErrorCode> {
    let kind = ResourceType::from_number(kind);
    kind.map_or(Ok(()), |kind| may(call, Operation::AlterConfigs, kind, name))
}

fn may(
    call: &Call<'_>,
    operation: Operation,
    kind: ResourceType,
    name: &str,
) -> Result<(), ErrorCode> {
    let (resource, code) = match kind {
        ResourceType::Topic => (Resource::Topic(name), ErrorCode::TopicAuthorizationFailed),
        ResourceType::Group => (Resource::Group(name), ErrorCode::GroupAuthorizationFailed),
        ResourceType::Broker | ResourceType::BrokerLogger | ResourceType::ClientMetrics => {
            (Resource::Cluster, ErrorCode::ClusterAuthorizationFailed)
        }
    };
    if call.may(operation, resource) { Ok(()) } else { Err(code) }
}

/// Kafka's controller keeps no levels of loggers; brokers do, and change none of them here.
pub(super) const NO_LOGGERS: &str = "the levels of loggers are set where the broker is started";

/// Why a change is not even shown to the controller.
pub(super) fn refuse(call: &Call<'_>, kind: i8, name: &str) -> Option<(ErrorCode, &'static str)> {
    if let Err(code) = may_alter(call, kind, name) {
        return Some((code, code.message()));
    }
    let is_logger = kind == ResourceType::BrokerLogger.number();
    is_logger.then_some((ErrorCode::InvalidRequest, NO_LOGGERS))
}
