//! DescribeCluster: the cluster's id, controller and brokers.

use milena_protocol::{
    ErrorCode,
    api::{
        DescribeClusterRequest, DescribeClusterResponse,
        describe_cluster::response::DescribeClusterBroker,
    },
};

use super::{Call, Outcome};
use crate::authorizer::{self, NOT_ASKED, Resource};

/// What is asked about: brokers, or else controllers, which are asked on their own listener.
const BROKERS: i8 = 1;
pub(super) async fn handle(call: &Call<'_>, request: DescribeClusterRequest) -> Outcome {
    let broker = call.broker();
    if request.endpoint_type != BROKERS {
        let (code, message) = match request.endpoint_type {
            2 => (
                ErrorCode::MismatchedEndpointType,
                "The request was sent to an endpoint of type BROKER, but we wanted an endpoint \
                 of type CONTROLLER"
                    .to_owned(),
            ),
            other => {
                let message = format!("Unsupported endpoint type {other}");
                (ErrorCode::UnsupportedEndpointType, message)
            }
        };
        return call.answer(&DescribeClusterResponse {
            error_code: code as i16,
            error_message: Some(&message),
            ..Default::default()
        });
    }
    let image = broker.image();
    let listener = broker.listener_name(call.client.listener);
    let brokers = image.cluster.brokers();
    let brokers = brokers.filter(|known| request.include_fenced_brokers || !known.is_fenced);
    let brokers = brokers.filter_map(|known| {
        let endpoint = known.endpoint(listener)?;
        Some(DescribeClusterBroker {
            broker_id: known.id,
            host: &endpoint.host,
            port: endpoint.port.into(),
            rack: known.rack.as_deref(),
            is_fenced: known.is_fenced,
            ..Default::default()
        })
    });
    let cluster_authorized_operations = if request.include_cluster_authorized_operations {
        authorizer::operations(&authorizer::CLUSTER_OPERATIONS, |operation| {
            call.may(operation, Resource::Cluster)
        })
    } else {
        NOT_ASKED
    };
    call.answer(&DescribeClusterResponse {
        cluster_id: &broker.cluster_id,
        controller_id: broker.node_id,
        brokers: brokers.collect(),
        cluster_authorized_operations,
        ..Default::default()
    })
}
