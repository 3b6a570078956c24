//! The APIs that this client calls: which answer belongs to which request.

use milena_protocol::{
    Message,
    api::{self, ApiKey},
};

/// An API as a type, so that a call knows what it will be answered.
pub(crate) trait Api: Send + Sync + 'static {
    const KEY: ApiKey;
    type Request<'a>: Message<'a>;
    type Response<'a>: Message<'a>;
}

macro_rules! apis {
    ($($name:ident $request:ty, $response:ty;)*) => { $(
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name;

        impl Api for $name {
            const KEY: ApiKey = ApiKey::$name;
            type Request<'a> = $request;
            type Response<'a> = $response;
        }
    )* };
}

apis! {
    AddOffsetsToTxn api::AddOffsetsToTxnRequest<'a>, api::AddOffsetsToTxnResponse;
    AddPartitionsToTxn api::AddPartitionsToTxnRequest<'a>, api::AddPartitionsToTxnResponse<'a>;
    AddRaftVoter api::AddRaftVoterRequest<'a>, api::AddRaftVoterResponse<'a>;
    AlterClientQuotas api::AlterClientQuotasRequest<'a>, api::AlterClientQuotasResponse<'a>;
    AlterPartitionReassignments
        api::AlterPartitionReassignmentsRequest<'a>, api::AlterPartitionReassignmentsResponse<'a>;
    AlterReplicaLogDirs api::AlterReplicaLogDirsRequest<'a>, api::AlterReplicaLogDirsResponse<'a>;
    AlterUserScramCredentials
        api::AlterUserScramCredentialsRequest<'a>, api::AlterUserScramCredentialsResponse<'a>;
    ApiVersions api::ApiVersionsRequest<'a>, api::ApiVersionsResponse<'a>;
    ConsumerGroupDescribe
        api::ConsumerGroupDescribeRequest<'a>, api::ConsumerGroupDescribeResponse<'a>;
    ConsumerGroupHeartbeat
        api::ConsumerGroupHeartbeatRequest<'a>, api::ConsumerGroupHeartbeatResponse<'a>;
    CreateAcls api::CreateAclsRequest<'a>, api::CreateAclsResponse<'a>;
    CreateDelegationToken
        api::CreateDelegationTokenRequest<'a>, api::CreateDelegationTokenResponse<'a>;
    CreatePartitions api::CreatePartitionsRequest<'a>, api::CreatePartitionsResponse<'a>;
    CreateTopics api::CreateTopicsRequest<'a>, api::CreateTopicsResponse<'a>;
    DeleteAcls api::DeleteAclsRequest<'a>, api::DeleteAclsResponse<'a>;
    DeleteGroups api::DeleteGroupsRequest<'a>, api::DeleteGroupsResponse<'a>;
    DeleteRecords api::DeleteRecordsRequest<'a>, api::DeleteRecordsResponse<'a>;
    DeleteTopics api::DeleteTopicsRequest<'a>, api::DeleteTopicsResponse<'a>;
    DescribeAcls api::DescribeAclsRequest<'a>, api::DescribeAclsResponse<'a>;
    DescribeClientQuotas
        api::DescribeClientQuotasRequest<'a>, api::DescribeClientQuotasResponse<'a>;
    DescribeCluster api::DescribeClusterRequest, api::DescribeClusterResponse<'a>;
    DescribeConfigs api::DescribeConfigsRequest<'a>, api::DescribeConfigsResponse<'a>;
    DescribeDelegationToken
        api::DescribeDelegationTokenRequest<'a>, api::DescribeDelegationTokenResponse<'a>;
    DescribeGroups api::DescribeGroupsRequest<'a>, api::DescribeGroupsResponse<'a>;
    DescribeLogDirs api::DescribeLogDirsRequest<'a>, api::DescribeLogDirsResponse<'a>;
    DescribeProducers api::DescribeProducersRequest<'a>, api::DescribeProducersResponse<'a>;
    DescribeQuorum api::DescribeQuorumRequest<'a>, api::DescribeQuorumResponse<'a>;
    DescribeTopicPartitions
        api::DescribeTopicPartitionsRequest<'a>, api::DescribeTopicPartitionsResponse<'a>;
    DescribeTransactions
        api::DescribeTransactionsRequest<'a>, api::DescribeTransactionsResponse<'a>;
    DescribeUserScramCredentials
        api::DescribeUserScramCredentialsRequest<'a>, api::DescribeUserScramCredentialsResponse<'a>;
    ElectLeaders api::ElectLeadersRequest<'a>, api::ElectLeadersResponse<'a>;
    EndTxn api::EndTxnRequest<'a>, api::EndTxnResponse;
    ExpireDelegationToken
        api::ExpireDelegationTokenRequest<'a>, api::ExpireDelegationTokenResponse;
    Fetch api::FetchRequest<'a>, api::FetchResponse<'a>;
    FindCoordinator api::FindCoordinatorRequest<'a>, api::FindCoordinatorResponse<'a>;
    GetTelemetrySubscriptions
        api::GetTelemetrySubscriptionsRequest, api::GetTelemetrySubscriptionsResponse<'a>;
    Heartbeat api::HeartbeatRequest<'a>, api::HeartbeatResponse;
    IncrementalAlterConfigs
        api::IncrementalAlterConfigsRequest<'a>, api::IncrementalAlterConfigsResponse<'a>;
    InitProducerId api::InitProducerIdRequest<'a>, api::InitProducerIdResponse;
    JoinGroup api::JoinGroupRequest<'a>, api::JoinGroupResponse<'a>;
    LeaveGroup api::LeaveGroupRequest<'a>, api::LeaveGroupResponse<'a>;
    ListConfigResources api::ListConfigResourcesRequest, api::ListConfigResourcesResponse<'a>;
    ListGroups api::ListGroupsRequest<'a>, api::ListGroupsResponse<'a>;
    ListOffsets api::ListOffsetsRequest<'a>, api::ListOffsetsResponse<'a>;
    ListPartitionReassignments
        api::ListPartitionReassignmentsRequest<'a>, api::ListPartitionReassignmentsResponse<'a>;
    ListTransactions api::ListTransactionsRequest<'a>, api::ListTransactionsResponse<'a>;
    Metadata api::MetadataRequest<'a>, api::MetadataResponse<'a>;
    OffsetCommit api::OffsetCommitRequest<'a>, api::OffsetCommitResponse<'a>;
    OffsetDelete api::OffsetDeleteRequest<'a>, api::OffsetDeleteResponse<'a>;
    OffsetFetch api::OffsetFetchRequest<'a>, api::OffsetFetchResponse<'a>;
    OffsetForLeaderEpoch
        api::OffsetForLeaderEpochRequest<'a>, api::OffsetForLeaderEpochResponse<'a>;
    Produce api::ProduceRequest<'a>, api::ProduceResponse<'a>;
    RemoveRaftVoter api::RemoveRaftVoterRequest<'a>, api::RemoveRaftVoterResponse<'a>;
    RenewDelegationToken
        api::RenewDelegationTokenRequest<'a>, api::RenewDelegationTokenResponse;
    SyncGroup api::SyncGroupRequest<'a>, api::SyncGroupResponse<'a>;
    TxnOffsetCommit api::TxnOffsetCommitRequest<'a>, api::TxnOffsetCommitResponse<'a>;
    UnregisterBroker api::UnregisterBrokerRequest, api::UnregisterBrokerResponse<'a>;
    UpdateFeatures api::UpdateFeaturesRequest<'a>, api::UpdateFeaturesResponse<'a>;
    WriteTxnMarkers api::WriteTxnMarkersRequest<'a>, api::WriteTxnMarkersResponse<'a>;
}
