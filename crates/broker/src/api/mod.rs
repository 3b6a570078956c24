//! Kafka's APIs, one file each, named after the API. Every handler reads: parse, authorise,
//! validate, act, answer.

mod acls;
mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod add_raft_voter;
mod alter_client_quotas;
mod alter_configs;
mod alter_partition_reassignments;
mod alter_replica_log_dirs;
mod alter_user_scram_credentials;
mod api_versions;
mod call;
mod configs;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_acls;
mod create_delegation_token;
mod create_partitions;
mod create_topics;
mod delete_acls;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_acls;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_delegation_token;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod describe_transactions;
mod describe_user_scram_credentials;
mod elect_leaders;
mod end_txn;
mod expire_delegation_token;
mod fetch;
mod find_coordinator;
mod get_telemetry_subscriptions;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod list_transactions;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod push_telemetry;
mod raft_voters;
mod remove_raft_voter;
mod renew_delegation_token;
mod sync_group;
#[cfg(test)]
mod test;
mod txn_offset_commit;
mod unregister_broker;
mod update_features;
mod write_txn_markers;

use std::{pin::Pin, rc::Rc};

use milena_protocol::{
    api::{
        AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, AddRaftVoterRequest,
        AlterClientQuotasRequest, AlterConfigsRequest, AlterPartitionReassignmentsRequest,
        AlterReplicaLogDirsRequest, AlterUserScramCredentialsRequest, ApiKey, ApiVersionsRequest,
        ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, CreateAclsRequest,
        CreateDelegationTokenRequest, CreatePartitionsRequest, CreateTopicsRequest,
        DeleteAclsRequest, DeleteGroupsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
        DescribeAclsRequest, DescribeClientQuotasRequest, DescribeClusterRequest,
        DescribeConfigsRequest, DescribeDelegationTokenRequest, DescribeGroupsRequest,
        DescribeLogDirsRequest, DescribeProducersRequest, DescribeQuorumRequest,
        DescribeTopicPartitionsRequest, DescribeTransactionsRequest,
        DescribeUserScramCredentialsRequest, ElectLeadersRequest, EndTxnRequest,
        ExpireDelegationTokenRequest, FetchRequest, FindCoordinatorRequest,
        GetTelemetrySubscriptionsRequest, HeartbeatRequest, IncrementalAlterConfigsRequest,
        InitProducerIdRequest, JoinGroupRequest, LeaveGroupRequest, ListConfigResourcesRequest,
        ListGroupsRequest, ListOffsetsRequest, ListPartitionReassignmentsRequest,
        ListTransactionsRequest, MetadataRequest, OffsetCommitRequest, OffsetDeleteRequest,
        OffsetFetchRequest, OffsetForLeaderEpochRequest, PushTelemetryRequest,
        RemoveRaftVoterRequest, RenewDelegationTokenRequest, SyncGroupRequest,
        TxnOffsetCommitRequest, UnregisterBrokerRequest, UpdateFeaturesRequest,
        WriteTxnMarkersRequest,
    },
    open_request,
};

pub(crate) use self::call::{Call, Outcome};
use crate::{
    network::{
        connection::{Client, CloseReason},
        frames::Frame,
        threads::Worker,
    },
    quotas::timed,
};

/// A request that is being served.
pub(crate) enum Serving {
    Done(Outcome),
    Waiting(Pin<Box<dyn Future<Output = Outcome>>>),
    /// It has to wait before it begins, and what its client sends after it has to wait too.
    Beginning(Pin<Box<dyn Future<Output = Self>>>),
}

impl std::fmt::Debug for Serving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Done(_) => "Done",
            Self::Waiting(_) => "Waiting",
            Self::Beginning(_) => "Beginning",
        })
    }
}

/// The APIs whose handler has the usual form, with the modules that hold them. This is also what
/// ApiVersions tells: what is not served is not advertised.
macro_rules! served {
    ($($module:ident: $Api:ident($Request:ty),)*) => {
        /// What is served on a broker's listeners, in the order of keys once sorted.
        pub(crate) const SERVED: &[ApiKey] = &[ApiKey::Produce, $(ApiKey::$Api),*];

        /// Begins to serve a request; the frame is one whose key [`key_of`] has read.
        pub(crate) fn serve(
            worker: &Rc<Worker>,
            client: &Rc<Client>,
            key: ApiKey,
            frame: Frame,
        ) -> Serving {
            let (worker, client) = (Rc::clone(worker), Rc::clone(client));
            match key {
                ApiKey::Produce => produce::serve(&worker, &client, frame),
                $(ApiKey::$Api => Serving::Waiting(Box::pin(async move {
                    let opened = match open_request(&frame.bytes) {
                        Ok(opened) => opened,
                        Err(error) => return Outcome::close(&error),
                    };
                    let call = Call::new(&worker, &client, &opened);
                    if !key.api().has_version(call.version) {
                        return api_versions::refuse(&call);
                    }
                    match call.decode::<$Request>(opened.body) {
                        Ok(request) => {
                            timed(call.meter.clone(), $module::handle(&call, request)).await
                        }
                        Err(outcome) => outcome,
                    }
                })),)*
                other => Serving::Done(Outcome::Close(
                    format!("{} is not served here", other.api().name).into(),
                )),
            }
        }
    };
}

served! {
    add_offsets_to_txn: AddOffsetsToTxn(AddOffsetsToTxnRequest<'_>),
    add_partitions_to_txn: AddPartitionsToTxn(AddPartitionsToTxnRequest<'_>),
    add_raft_voter: AddRaftVoter(AddRaftVoterRequest<'_>),
    alter_client_quotas: AlterClientQuotas(AlterClientQuotasRequest<'_>),
    alter_configs: AlterConfigs(AlterConfigsRequest<'_>),
    alter_partition_reassignments:
        AlterPartitionReassignments(AlterPartitionReassignmentsRequest<'_>),
    alter_replica_log_dirs: AlterReplicaLogDirs(AlterReplicaLogDirsRequest<'_>),
    alter_user_scram_credentials:
        AlterUserScramCredentials(AlterUserScramCredentialsRequest<'_>),
    api_versions: ApiVersions(ApiVersionsRequest<'_>),
    consumer_group_describe: ConsumerGroupDescribe(ConsumerGroupDescribeRequest<'_>),
    consumer_group_heartbeat: ConsumerGroupHeartbeat(ConsumerGroupHeartbeatRequest<'_>),
    create_acls: CreateAcls(CreateAclsRequest<'_>),
    create_delegation_token: CreateDelegationToken(CreateDelegationTokenRequest<'_>),
    create_partitions: CreatePartitions(CreatePartitionsRequest<'_>),
    create_topics: CreateTopics(CreateTopicsRequest<'_>),
    delete_acls: DeleteAcls(DeleteAclsRequest<'_>),
    delete_groups: DeleteGroups(DeleteGroupsRequest<'_>),
    delete_records: DeleteRecords(DeleteRecordsRequest<'_>),
    delete_topics: DeleteTopics(DeleteTopicsRequest<'_>),
    describe_acls: DescribeAcls(DescribeAclsRequest<'_>),
    describe_client_quotas: DescribeClientQuotas(DescribeClientQuotasRequest<'_>),
    describe_cluster: DescribeCluster(DescribeClusterRequest),
    describe_configs: DescribeConfigs(DescribeConfigsRequest<'_>),
    describe_delegation_token: DescribeDelegationToken(DescribeDelegationTokenRequest<'_>),
    describe_groups: DescribeGroups(DescribeGroupsRequest<'_>),
    describe_log_dirs: DescribeLogDirs(DescribeLogDirsRequest<'_>),
    describe_producers: DescribeProducers(DescribeProducersRequest<'_>),
    describe_quorum: DescribeQuorum(DescribeQuorumRequest<'_>),
    describe_topic_partitions: DescribeTopicPartitions(DescribeTopicPartitionsRequest<'_>),
    describe_user_scram_credentials:
        DescribeUserScramCredentials(DescribeUserScramCredentialsRequest<'_>),
    describe_transactions: DescribeTransactions(DescribeTransactionsRequest<'_>),
    elect_leaders: ElectLeaders(ElectLeadersRequest<'_>),
    end_txn: EndTxn(EndTxnRequest<'_>),
    expire_delegation_token: ExpireDelegationToken(ExpireDelegationTokenRequest<'_>),
    fetch: Fetch(FetchRequest<'_>),
    find_coordinator: FindCoordinator(FindCoordinatorRequest<'_>),
    get_telemetry_subscriptions: GetTelemetrySubscriptions(GetTelemetrySubscriptionsRequest),
    heartbeat: Heartbeat(HeartbeatRequest<'_>),
    incremental_alter_configs: IncrementalAlterConfigs(IncrementalAlterConfigsRequest<'_>),
    init_producer_id: InitProducerId(InitProducerIdRequest<'_>),
    join_group: JoinGroup(JoinGroupRequest<'_>),
    leave_group: LeaveGroup(LeaveGroupRequest<'_>),
    list_config_resources: ListConfigResources(ListConfigResourcesRequest),
    list_groups: ListGroups(ListGroupsRequest<'_>),
    list_offsets: ListOffsets(ListOffsetsRequest<'_>),
    list_partition_reassignments: ListPartitionReassignments(ListPartitionReassignmentsRequest<'_>),
    list_transactions: ListTransactions(ListTransactionsRequest<'_>),
    metadata: Metadata(MetadataRequest<'_>),
    offset_commit: OffsetCommit(OffsetCommitRequest<'_>),
    offset_delete: OffsetDelete(OffsetDeleteRequest<'_>),
    offset_fetch: OffsetFetch(OffsetFetchRequest<'_>),
    offset_for_leader_epoch: OffsetForLeaderEpoch(OffsetForLeaderEpochRequest<'_>),
    push_telemetry: PushTelemetry(PushTelemetryRequest<'_>),
    remove_raft_voter: RemoveRaftVoter(RemoveRaftVoterRequest<'_>),
    renew_delegation_token: RenewDelegationToken(RenewDelegationTokenRequest<'_>),
    sync_group: SyncGroup(SyncGroupRequest<'_>),
    txn_offset_commit: TxnOffsetCommit(TxnOffsetCommitRequest<'_>),
    unregister_broker: UnregisterBroker(UnregisterBrokerRequest),
    update_features: UpdateFeatures(UpdateFeaturesRequest<'_>),
    write_txn_markers: WriteTxnMarkers(WriteTxnMarkersRequest<'_>),
}

/// Which API a frame calls. An unknown one ends the connection, and so does a version that is not
/// served, save for ApiVersions, which has an answer to that.
pub(crate) fn key_of(frame: &Frame) -> Result<ApiKey, CloseReason> {
    let refuse = |reason: String| Err(CloseReason::Request(reason.into()));
    let Some([a, b, c, d]) = frame.bytes.first_chunk() else {
        return refuse(format!(
            "a frame of {} bytes is too short for a request",
            frame.bytes.len()
        ));
    };
    let (number, version) = (i16::from_be_bytes([*a, *b]), i16::from_be_bytes([*c, *d]));
    let Some(key) = ApiKey::from_number(number) else {
        return refuse(format!("no API has the key {number}"));
    };
    let api = key.api();
    if key == ApiKey::ApiVersions || (api.version_min..=api.stable_max).contains(&version) {
        return Ok(key);
    }
    refuse(format!("version {version} of {} is not served", api.name))
}
