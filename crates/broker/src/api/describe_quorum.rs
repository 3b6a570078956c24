//! DescribeQuorum: leader and voters of the metadata log.

use milena_metadata::{METADATA_TOPIC, image::Endpoint, quorum::QuorumDescription};
use milena_protocol::{
    ErrorCode,
    api::{
        DescribeQuorumRequest, DescribeQuorumResponse,
        describe_quorum::response::{Listener, Node, PartitionData, ReplicaState, TopicData},
    },
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    error_map::ToCode,
};

pub(super) async fn handle(call: &Call<'_>, request: DescribeQuorumRequest<'_>) -> Outcome {
    let refuse = |code: ErrorCode| {
        let error_message = Some(code.message());
        let error_code = code as i16;
        call.answer(&DescribeQuorumResponse { error_code, error_message, ..Default::default() })
    };
    if !call.may(Operation::Describe, Resource::Cluster) {
        return refuse(ErrorCode::ClusterAuthorizationFailed);
    }
    let quorum = match call.broker().metadata.describe_quorum().await {
        Ok(quorum) => quorum,
        Err(error) => return refuse(error.code()),
    };
    let is_metadata = |name: &str, index: i32| name == METADATA_TOPIC && index == 0;
    let now_ms = call.broker().clock.now_ms();
    let topics = request.topics.iter().map(|topic| {
        let partition = |index| {
            if is_metadata(topic.topic_name, index) {
                describe(&quorum, call.broker().node_id, now_ms)
            } else {
                unknown(index)
            }
        };
        let wanted = topic.partitions.iter().map(|partition| partition.partition_index);
        let partitions = wanted.map(partition).collect();
        TopicData { topic_name: topic.topic_name, partitions }
    });
    let asked = request.topics.iter();
    let all: Vec<_> =
        asked.flat_map(|it| it.partitions.iter().map(|p| (it.topic_name, p))).collect();
    let is_well =
        !all.is_empty() && all.iter().all(|(name, p)| is_metadata(name, p.partition_index));
    // Who did not ask for the quorum is not told of its nodes.
    let voters = quorum.voters.iter().filter(|_| is_well);
    let nodes = voters.map(|(id, voter)| Node {
        node_id: *id,
        listeners: voter.endpoints.iter().map(listener).collect(),
    });
    call.answer(&DescribeQuorumResponse {
        topics: topics.collect(),
        nodes: nodes.collect(),
        ..Default::default()
    })
}

fn listener(endpoint: &Endpoint) -> Listener<'_> {
    Listener { name: &endpoint.listener, host: &endpoint.host, port: endpoint.port }
}

fn describe(quorum: &QuorumDescription, own_id: i32, now_ms: i64) -> PartitionData<'static> {
    let voters = quorum.voters.iter().map(|(id, voter)| {
        // Of itself a leader knows that it is up to date.
        let time = if *id == own_id { now_ms } else { -1 };
        ReplicaState {
            replica_id: *id,
            replica_directory_id: voter.directory,
            log_end_offset: voter.log_end_offset.unwrap_or(-1),
            last_fetch_timestamp: time,
            last_caught_up_timestamp: time,
        }
    });
    PartitionData {
        leader_id: quorum.leader.unwrap_or(-1),
        leader_epoch: quorum.epoch,
        high_watermark: quorum.high_watermark,
        current_voters: voters.collect(),
        ..Default::default()
    }
}

fn unknown(partition_index: i32) -> PartitionData<'static> {
    let code = ErrorCode::UnknownTopicOrPartition;
    PartitionData {
        partition_index,
        error_code: code as i16,
        error_message: Some(code.message()),
        ..Default::default()
    }
}
