//! Every API under an authorizer that denies everything: each says so with its own code, and none
//! lets on whether a topic exists.

mod transactions;

use std::collections::BTreeSet;

use milena_metadata::controller::CreateTopics;
use milena_protocol::{
    ErrorCode, Offset, Uuid,
    api::{self, ApiKey, CreateTopicsRequest, create_topics::request::CreatableTopic},
    records::BatchBuilder,
    wire::Records,
};
use serde_json::Value;

use super::Rig;
use crate::{
    api::SERVED,
    authorizer::{Authorizer, Operation, Resource},
    network::connection::Client,
};

#[derive(Debug)]
struct Nobody;

impl Authorizer for Nobody {
    fn authorize(&self, _: &Client, _: Operation, _: Resource<'_>) -> bool {
        false
    }
}

const TOPIC: ErrorCode = ErrorCode::TopicAuthorizationFailed;
const CLUSTER: ErrorCode = ErrorCode::ClusterAuthorizationFailed;
const GROUP: ErrorCode = ErrorCode::GroupAuthorizationFailed;
/// From [`BY_ID`] on they name topics by id.
const RECORDS: [ApiKey; 2] = [ApiKey::Produce, ApiKey::Fetch];
const BY_ID: i16 = 13;
const EXISTS: &str = "there-is-one";
const ABSENT: &str = "there-is-not";

/// All codes of errors in an answer.
fn codes(answer: &Value, found: &mut BTreeSet<i64>) {
    match answer {
        Value::Array(all) => all.iter().for_each(|one| codes(one, found)),
        Value::Object(fields) => {
            for (name, value) in fields {
                if name.ends_with("rrorCode") && *value != 0 {
                    found.insert(value.as_i64().unwrap());
                }
                codes(value, found);
            }
        }
        _ => {}
    }
}

struct Denied {
    rig: Rig,
    asked: BTreeSet<ApiKey>,
}

impl Denied {
    /// Asks in every version about a topic that exists and about one that does not; records are
    /// asked for by id from some version on, and an id is no secret that one could guess.
    fn expect<R>(
        &mut self,
        api: ApiKey,
        expected: &[ErrorCode],
        request: impl Fn(&'static str) -> R,
    ) where
        R: milena_protocol::Message<'static>,
    {
        let expected: BTreeSet<i64> = expected.iter().map(|code| i64::from(*code as i16)).collect();
        let mut was_asked = false;
        let newest = if RECORDS.contains(&api) { BY_ID - 1 } else { api.api().stable_max };
        for version in api.api().version_min..=newest {
            let Some(answer) = self.rig.ask_in(api, version, &request(EXISTS)) else { continue };
            was_asked = true;
            let mut found = BTreeSet::new();
            codes(&answer, &mut found);
            // The oldest versions of DescribeLogDirs have no place for an error.
            let has_place = answer.to_string().contains("rrorCode");
            assert!(has_place || api == ApiKey::DescribeLogDirs, "{api:?} {version}: {answer}");
            assert!(found == expected || !has_place, "{api:?} {version}: {answer}");
            let of_absent = self.rig.ask_in(api, version, &request(ABSENT)).unwrap();
            let told = answer.to_string().replace(EXISTS, ABSENT);
            assert_eq!(told, of_absent.to_string(), "{api:?} {version} gives it away");
        }
        assert!(was_asked, "{api:?}");
        self.asked.insert(api);
    }
}

fn batch() -> Vec<u8> {
    let mut builder = BatchBuilder::new(Offset(0));
    builder.append(1, None, Some(b"value"), []);
    let mut bytes = Vec::new();
    builder.build(&mut bytes).unwrap();
    bytes
}

#[test]
fn hostile_40_whoever_may_do_nothing_is_told_so_by_every_api() {
    let rig = Rig::guarded("", Box::new(Nobody));
    let broker = rig.server.as_ref().unwrap().broker();
    let topic = CreatableTopic {
        name: EXISTS,
        num_partitions: 1,
        replication_factor: 1,
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
    let created = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(broker.metadata.call::<CreateTopics>(&request))
        .unwrap();
    let created = created.message().unwrap();
    assert_eq!(created.topics[0].error_code, 0);
    let id = created.topics[0].topic_id;
    let mut denied = Denied { rig, asked: BTreeSet::new() };
    records(&mut denied);
    by_id(&mut denied.rig, id);
    topics(&mut denied);
    settings(&mut denied);
    cluster(&mut denied);
    groups(&mut denied);
    transactions::denied(&mut denied);
    unguarded(&mut denied);
    let forgotten: Vec<_> = SERVED.iter().filter(|api| !denied.asked.contains(api)).collect();
    assert!(forgotten.is_empty(), "{forgotten:?}");
}

fn records(denied: &mut Denied) {
    let batch: &'static [u8] = Box::leak(batch().into_boxed_slice());
    {
        use api::produce::request::{PartitionProduceData, TopicProduceData};
        denied.expect(ApiKey::Produce, &[TOPIC], |name| {
            let records = Some(Records::Slice(batch));
            let partition = PartitionProduceData { index: 0, records, ..Default::default() };
            let partition_data = vec![partition];
            let data = TopicProduceData { name, partition_data, ..Default::default() };
            api::ProduceRequest { acks: 1, topic_data: vec![data], ..Default::default() }
        });
    }
    {
        use api::fetch::request::{FetchPartition, FetchTopic};
        denied.expect(ApiKey::Fetch, &[TOPIC], |topic| {
            let partition = FetchPartition { partition_max_bytes: 1000, ..Default::default() };
            let partitions = vec![partition];
            let topic = FetchTopic { topic, partitions, ..Default::default() };
            api::FetchRequest {
                topics: vec![topic],
                max_bytes: 1000,
                session_epoch: -1,
                ..Default::default()
            }
        });
    }
    {
        use api::list_offsets::request::{ListOffsetsPartition, ListOffsetsTopic};
        denied.expect(ApiKey::ListOffsets, &[TOPIC], |name| {
            let partition = ListOffsetsPartition { timestamp: -1, ..Default::default() };
            let topic = ListOffsetsTopic { name, partitions: vec![partition] };
            let topics = vec![topic];
            api::ListOffsetsRequest { replica_id: -1, topics, ..Default::default() }
        });
    }
    {
        use api::offset_for_leader_epoch::request::{
            OffsetForLeaderPartition, OffsetForLeaderTopic,
        };
        denied.expect(ApiKey::OffsetForLeaderEpoch, &[TOPIC], |topic| {
            let partitions = vec![OffsetForLeaderPartition::default()];
            let topics = vec![OffsetForLeaderTopic { topic, partitions }];
            api::OffsetForLeaderEpochRequest { topics, ..Default::default() }
        });
    }
    {
        use api::delete_records::request::{DeleteRecordsPartition, DeleteRecordsTopic};
        denied.expect(ApiKey::DeleteRecords, &[TOPIC], |name| {
            let partitions = vec![DeleteRecordsPartition::default()];
            let topics = vec![DeleteRecordsTopic { name, partitions }];
            api::DeleteRecordsRequest { topics, ..Default::default() }
        });
    }
    denied.expect(ApiKey::InitProducerId, &[CLUSTER], |_| api::InitProducerIdRequest {
        transactional_id: None,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    });
    denied.expect(ApiKey::DescribeProducers, &[TOPIC], |name| {
        let topic =
            api::describe_producers::request::TopicRequest { name, partition_indexes: vec![0] };
        api::DescribeProducersRequest { topics: vec![topic] }
    });
}

fn by_id(rig: &mut Rig, topic_id: Uuid) {
    let data = api::produce::request::TopicProduceData {
        topic_id,
        partition_data: vec![Default::default()],
        ..Default::default()
    };
    let produce = api::ProduceRequest { acks: 1, topic_data: vec![data], ..Default::default() };
    let topic = api::fetch::request::FetchTopic {
        topic_id,
        partitions: vec![Default::default()],
        ..Default::default()
    };
    let fetch = api::FetchRequest { topics: vec![topic], session_epoch: -1, ..Default::default() };
    for answer in [rig.ask(ApiKey::Produce, &produce), rig.ask(ApiKey::Fetch, &fetch)] {
        let mut found = BTreeSet::new();
        codes(&answer, &mut found);
        assert_eq!(found, BTreeSet::from([i64::from(TOPIC as i16)]), "{answer}");
    }
}

fn topics(denied: &mut Denied) {
    denied.expect(ApiKey::Metadata, &[TOPIC], |name| {
        let topic =
            api::metadata::request::MetadataRequestTopic { name: Some(name), ..Default::default() };
        api::MetadataRequest {
            topics: Some(vec![topic]),
            allow_auto_topic_creation: true,
            ..Default::default()
        }
    });
    denied.expect(ApiKey::CreateTopics, &[TOPIC], |name| {
        let topic =
            CreatableTopic { name, num_partitions: 1, replication_factor: 1, ..Default::default() };
        CreateTopicsRequest { topics: vec![topic], ..Default::default() }
    });
    denied.expect(ApiKey::DeleteTopics, &[TOPIC], |name| {
        let topic = api::delete_topics::request::DeleteTopicState {
            name: Some(name),
            ..Default::default()
        };
        // What the version does not know is left out.
        let (topic_names, topics) = (vec![name], vec![topic]);
        api::DeleteTopicsRequest { topic_names, topics, ..Default::default() }
    });
    denied.expect(ApiKey::CreatePartitions, &[TOPIC], |name| {
        let topic = api::create_partitions::request::CreatePartitionsTopic {
            name,
            count: 3,
            ..Default::default()
        };
        api::CreatePartitionsRequest { topics: vec![topic], ..Default::default() }
    });
    denied.expect(ApiKey::DescribeTopicPartitions, &[TOPIC], |name| {
        let topic = api::describe_topic_partitions::request::TopicRequest { name };
        api::DescribeTopicPartitionsRequest {
            topics: vec![topic],
            response_partition_limit: 10,
            ..Default::default()
        }
    });
}

fn settings(denied: &mut Denied) {
    for (kind, code) in [(2, TOPIC), (4, CLUSTER), (8, CLUSTER), (16, CLUSTER), (32, GROUP)] {
        denied.expect(ApiKey::DescribeConfigs, &[code], |resource_name| {
            let resource = api::describe_configs::request::DescribeConfigsResource {
                resource_type: kind,
                resource_name,
                configuration_keys: None,
            };
            api::DescribeConfigsRequest { resources: vec![resource], ..Default::default() }
        });
        denied.expect(ApiKey::IncrementalAlterConfigs, &[code], |resource_name| {
            let resource = api::incremental_alter_configs::request::AlterConfigsResource {
                resource_type: kind,
                resource_name,
                configs: Vec::new(),
            };
            let resources = vec![resource];
            api::IncrementalAlterConfigsRequest { resources, validate_only: false }
        });
        denied.expect(ApiKey::AlterConfigs, &[code], |resource_name| {
            let resource = api::alter_configs::request::AlterConfigsResource {
                resource_type: kind,
                resource_name,
                configs: Vec::new(),
            };
            api::AlterConfigsRequest { resources: vec![resource], validate_only: false }
        });
    }
    denied.expect(ApiKey::ListConfigResources, &[CLUSTER], |_| {
        api::ListConfigResourcesRequest::default()
    });
    denied.expect(ApiKey::DescribeClientQuotas, &[CLUSTER], |_| {
        api::DescribeClientQuotasRequest::default()
    });
    denied.expect(ApiKey::AlterClientQuotas, &[CLUSTER], |_| {
        let entry = api::alter_client_quotas::request::EntryData::default();
        api::AlterClientQuotasRequest { entries: vec![entry], validate_only: false }
    });
}

fn cluster(denied: &mut Denied) {
    denied.expect(ApiKey::DescribeLogDirs, &[CLUSTER], |_| api::DescribeLogDirsRequest::default());
    denied.expect(ApiKey::AlterReplicaLogDirs, &[CLUSTER], |name| {
        use api::alter_replica_log_dirs::request::{AlterReplicaLogDir, AlterReplicaLogDirTopic};
        let topics = vec![AlterReplicaLogDirTopic { name, partitions: vec![0] }];
        let dirs = vec![AlterReplicaLogDir { path: "/data", topics }];
        api::AlterReplicaLogDirsRequest { dirs }
    });
    denied.expect(ApiKey::DescribeQuorum, &[CLUSTER], |_| api::DescribeQuorumRequest::default());
    denied.expect(ApiKey::UpdateFeatures, &[CLUSTER], |_| api::UpdateFeaturesRequest::default());
    denied
        .expect(ApiKey::UnregisterBroker, &[CLUSTER], |_| api::UnregisterBrokerRequest::default());
    denied.expect(ApiKey::AddRaftVoter, &[CLUSTER], |_| api::AddRaftVoterRequest::default());
    denied.expect(ApiKey::RemoveRaftVoter, &[CLUSTER], |_| api::RemoveRaftVoterRequest::default());
    denied.expect(ApiKey::WriteTxnMarkers, &[CLUSTER], |name| {
        let partition_indexes = vec![0];
        let topic =
            api::write_txn_markers::request::WritableTxnMarkerTopic { name, partition_indexes };
        api::WriteTxnMarkersRequest {
            markers: vec![api::write_txn_markers::request::WritableTxnMarker {
                topics: vec![topic],
                ..Default::default()
            }],
        }
    });
    denied.expect(ApiKey::ElectLeaders, &[CLUSTER], |topic| {
        let partitions = vec![0];
        let named = api::elect_leaders::request::TopicPartitions { topic, partitions };
        api::ElectLeadersRequest { topic_partitions: Some(vec![named]), ..Default::default() }
    });
    denied.expect(ApiKey::AlterPartitionReassignments, &[CLUSTER], |name| {
        use api::alter_partition_reassignments::request::{
            ReassignablePartition, ReassignableTopic,
        };
        let partitions = vec![ReassignablePartition::default()];
        let topics = vec![ReassignableTopic { name, partitions }];
        api::AlterPartitionReassignmentsRequest { topics, ..Default::default() }
    });
    denied.expect(ApiKey::ListPartitionReassignments, &[CLUSTER], |_| {
        api::ListPartitionReassignmentsRequest::default()
    });
    denied.expect(ApiKey::DescribeUserScramCredentials, &[CLUSTER], |_| {
        api::DescribeUserScramCredentialsRequest::default()
    });
    denied.expect(ApiKey::AlterUserScramCredentials, &[CLUSTER], |_| {
        let deletion = Default::default();
        api::AlterUserScramCredentialsRequest { deletions: vec![deletion], upsertions: Vec::new() }
    });
    denied.expect(ApiKey::DescribeAcls, &[CLUSTER], |_| api::DescribeAclsRequest::default());
    denied.expect(ApiKey::CreateAcls, &[CLUSTER], |name| {
        let rule =
            api::create_acls::request::AclCreation { resource_name: name, ..Default::default() };
        api::CreateAclsRequest { creations: vec![rule] }
    });
    denied.expect(ApiKey::DeleteAcls, &[CLUSTER], |_| api::DeleteAclsRequest {
        filters: vec![api::delete_acls::request::DeleteAclsFilter::default()],
    });
}

fn groups(denied: &mut Denied) {
    use api::{offset_commit, offset_fetch};

    denied.expect(ApiKey::FindCoordinator, &[GROUP], |key| api::FindCoordinatorRequest {
        key,
        coordinator_keys: vec![key],
        ..Default::default()
    });
    denied.expect(ApiKey::OffsetCommit, &[GROUP], |group_id| {
        let partitions = vec![offset_commit::request::OffsetCommitRequestPartition::default()];
        let topic = offset_commit::request::OffsetCommitRequestTopic {
            name: group_id,
            partitions,
            ..Default::default()
        };
        api::OffsetCommitRequest { group_id, topics: vec![topic], ..Default::default() }
    });
    denied.expect(ApiKey::OffsetFetch, &[GROUP], |group_id| {
        let partition_indexes = vec![0];
        let topic =
            offset_fetch::request::OffsetFetchRequestTopic { name: group_id, partition_indexes };
        let group =
            offset_fetch::request::OffsetFetchRequestGroup { group_id, ..Default::default() };
        let (topics, groups) = (Some(vec![topic]), vec![group]);
        api::OffsetFetchRequest { group_id, topics, groups, ..Default::default() }
    });
    denied.expect(ApiKey::OffsetDelete, &[GROUP], |group_id| api::OffsetDeleteRequest {
        group_id,
        ..Default::default()
    });
    denied.expect(ApiKey::JoinGroup, &[GROUP], |group_id| api::JoinGroupRequest {
        group_id,
        session_timeout_ms: 10_000,
        ..Default::default()
    });
    denied.expect(ApiKey::SyncGroup, &[GROUP], |group_id| api::SyncGroupRequest {
        group_id,
        protocol_type: Some("consumer"),
        protocol_name: Some("range"),
        ..Default::default()
    });
    denied.expect(ApiKey::Heartbeat, &[GROUP], |group_id| api::HeartbeatRequest {
        group_id,
        ..Default::default()
    });
    denied.expect(ApiKey::LeaveGroup, &[GROUP], |group_id| api::LeaveGroupRequest {
        group_id,
        ..Default::default()
    });
    denied.expect(ApiKey::DescribeGroups, &[GROUP], |group| api::DescribeGroupsRequest {
        groups: vec![group],
        ..Default::default()
    });
    denied.expect(ApiKey::DeleteGroups, &[GROUP], |group| api::DeleteGroupsRequest {
        groups_names: vec![group],
    });
    denied.expect(ApiKey::ConsumerGroupHeartbeat, &[GROUP], |group_id| {
        api::ConsumerGroupHeartbeatRequest { group_id, ..Default::default() }
    });
    let transactional_id = [ErrorCode::TransactionalIdAuthorizationFailed];
    denied.expect(ApiKey::TxnOffsetCommit, &transactional_id, |name| {
        let partition = api::txn_offset_commit::request::TxnOffsetCommitRequestPartition::default();
        api::TxnOffsetCommitRequest {
            transactional_id: "id",
            group_id: "g",
            topics: vec![api::txn_offset_commit::request::TxnOffsetCommitRequestTopic {
                name,
                partitions: vec![partition],
            }],
            ..Default::default()
        }
    });
    denied.expect(ApiKey::ConsumerGroupDescribe, &[GROUP], |group| {
        api::ConsumerGroupDescribeRequest { group_ids: vec![group], ..Default::default() }
    });
    // Who may see no group sees none.
    denied.expect(ApiKey::ListGroups, &[], |_| api::ListGroupsRequest::default());
}

/// What needs no permission, or is refused to everybody.
fn unguarded(denied: &mut Denied) {
    denied.expect(ApiKey::ApiVersions, &[], |_| api::ApiVersionsRequest {
        client_software_name: "test",
        client_software_version: "1",
        ..Default::default()
    });
    denied.expect(ApiKey::DescribeCluster, &[], |_| api::DescribeClusterRequest {
        endpoint_type: 1,
        ..Default::default()
    });
    // It answers everybody with an id of its own.
    let anybody = api::GetTelemetrySubscriptionsRequest::default();
    let told = denied.rig.ask(ApiKey::GetTelemetrySubscriptions, &anybody);
    assert_eq!(told["errorCode"], 0);
    denied.asked.insert(ApiKey::GetTelemetrySubscriptions);
    denied.expect(ApiKey::PushTelemetry, &[ErrorCode::InvalidRequest], |_| {
        api::PushTelemetryRequest::default()
    });
    let not_allowed = [ErrorCode::DelegationTokenRequestNotAllowed];
    denied.expect(ApiKey::CreateDelegationToken, &not_allowed, |_| {
        api::CreateDelegationTokenRequest::default()
    });
    denied.expect(ApiKey::RenewDelegationToken, &not_allowed, |_| {
        api::RenewDelegationTokenRequest::default()
    });
    denied.expect(ApiKey::ExpireDelegationToken, &not_allowed, |_| {
        api::ExpireDelegationTokenRequest::default()
    });
    denied.expect(ApiKey::DescribeDelegationToken, &not_allowed, |_| {
        api::DescribeDelegationTokenRequest::default()
    });
}
