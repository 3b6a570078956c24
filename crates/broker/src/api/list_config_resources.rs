//! ListConfigResources: the names of everything that can have settings of its own.

use milena_metadata::image::{MetadataImage, ResourceType};
use milena_protocol::{
    ErrorCode,
    api::{
        ListConfigResourcesRequest, ListConfigResourcesResponse,
        list_config_resources::response::ConfigResource,
    },
};

use super::{Call, Outcome};
use crate::authorizer::{Operation, Resource};

const ALL: [ResourceType; 5] = [
    ResourceType::Topic,
    ResourceType::Broker,
    ResourceType::BrokerLogger,
    ResourceType::ClientMetrics,
    ResourceType::Group,
];

pub(super) async fn handle(call: &Call<'_>, request: ListConfigResourcesRequest) -> Outcome {
    let refuse = |code: ErrorCode| {
        let error_code = code as i16;
        call.answer(&ListConfigResourcesResponse { error_code, ..Default::default() })
    };
    if !call.may(Operation::DescribeConfigs, Resource::Cluster) {
        return refuse(ErrorCode::ClusterAuthorizationFailed);
    }
    // The first version is about subscriptions to clients' metrics only.
    let wanted: Option<Vec<ResourceType>> = match request.resource_types.as_slice() {
        _ if call.version == 0 => Some(vec![ResourceType::ClientMetrics]),
        [] => Some(ALL.to_vec()),
        some => some.iter().map(|number| ResourceType::from_number(*number)).collect(),
    };
    let Some(mut wanted) = wanted else { return refuse(ErrorCode::UnsupportedVersion) };
    wanted.sort_unstable();
    wanted.dedup();
    let image = call.broker().image();
    let named: Vec<_> = wanted.iter().map(|kind| (*kind, names(&image, *kind))).collect();
    let config_resources = named.iter().flat_map(|(kind, names)| {
        names
            .iter()
            .map(|name| ConfigResource { resource_name: name, resource_type: kind.number() })
    });
    let config_resources = config_resources.collect();
    call.answer(&ListConfigResourcesResponse { config_resources, ..Default::default() })
}

fn names(image: &MetadataImage, kind: ResourceType) -> Vec<String> {
    match kind {
        ResourceType::Topic => {
            image.topics.sorted().into_iter().map(|topic| topic.name.to_string()).collect()
        }
        ResourceType::Broker | ResourceType::BrokerLogger => {
            image.cluster.brokers().map(|broker| broker.id.to_string()).collect()
        }
        ResourceType::ClientMetrics | ResourceType::Group => {
            let set = image.configs.sorted().into_iter().map(|(resource, _)| resource);
            set.filter(|it| it.kind == kind).map(|it| it.name.to_string()).collect()
        }
    }
}
