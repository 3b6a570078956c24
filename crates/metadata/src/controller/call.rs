//! Which requests the controller serves, and which file serves each.

use milena_protocol::{
    Message,
    api::{self, ApiKey},
};

use super::{
    ControllerError, brokers, client_quotas, configs, directories, features, isr, liveness,
    partitions, producer_ids, reassignment, scene::Scene, scram, topics,
};

/// A request that the controller serves, and its response.
pub trait Call: Send + 'static {
    const API: ApiKey;
    type Request<'a>: Message<'a>;
    type Response<'a>: Message<'a>;
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident: $request:ty => $response:ty, $serve:path;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub enum $name {}

            impl Call for $name {
                const API: ApiKey = ApiKey::$name;
                type Request<'a> = $request;
                type Response<'a> = $response;
            }
        )*

        pub(super) fn dispatch(
            scene: &mut Scene<'_>,
            api: ApiKey,
            body: &[u8],
        ) -> Result<(), ControllerError> {
            match api {
                $(ApiKey::$name => {
                    let request = <$name as Call>::Request::decode(body, scene.version)?.message;
                    $serve(scene, &request)
                })*
                _ => Err(ControllerError::NotServed(api)),
            }
        }
    };
}

calls! {
    CreateTopics: api::CreateTopicsRequest<'a> => api::CreateTopicsResponse<'a>,
        topics::create;
    DeleteTopics: api::DeleteTopicsRequest<'a> => api::DeleteTopicsResponse<'a>,
        topics::delete;
    CreatePartitions: api::CreatePartitionsRequest<'a> => api::CreatePartitionsResponse<'a>,
        partitions::create;
    AlterConfigs: api::AlterConfigsRequest<'a> => api::AlterConfigsResponse<'a>,
        configs::alter;
    IncrementalAlterConfigs:
        api::IncrementalAlterConfigsRequest<'a> => api::IncrementalAlterConfigsResponse<'a>,
        configs::alter_incrementally;
    AlterClientQuotas: api::AlterClientQuotasRequest<'a> => api::AlterClientQuotasResponse<'a>,
        client_quotas::alter;
    AlterUserScramCredentials:
        api::AlterUserScramCredentialsRequest<'a> => api::AlterUserScramCredentialsResponse<'a>,
        scram::alter;
    AllocateProducerIds: api::AllocateProducerIdsRequest => api::AllocateProducerIdsResponse,
        producer_ids::allocate;
    UpdateFeatures: api::UpdateFeaturesRequest<'a> => api::UpdateFeaturesResponse<'a>,
        features::update;
    AlterPartition: api::AlterPartitionRequest => api::AlterPartitionResponse,
        isr::alter;
    ElectLeaders: api::ElectLeadersRequest<'a> => api::ElectLeadersResponse<'a>,
        isr::elect;
    AlterPartitionReassignments: api::AlterPartitionReassignmentsRequest<'a>
        => api::AlterPartitionReassignmentsResponse<'a>,
        reassignment::alter;
    AssignReplicasToDirs: api::AssignReplicasToDirsRequest => api::AssignReplicasToDirsResponse,
        directories::assign;
    BrokerRegistration: api::BrokerRegistrationRequest<'a> => api::BrokerRegistrationResponse,
        brokers::register;
    BrokerHeartbeat: api::BrokerHeartbeatRequest => api::BrokerHeartbeatResponse,
        liveness::heartbeat;
    UnregisterBroker: api::UnregisterBrokerRequest => api::UnregisterBrokerResponse<'a>,
        brokers::unregister;
}
