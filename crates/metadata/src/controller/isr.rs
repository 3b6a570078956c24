//! Leaders that tell who is in sync, and elections that somebody asks for.

use milena_protocol::{
    ErrorCode,
    api::{
        AlterPartitionRequest, AlterPartitionResponse, ElectLeadersRequest, ElectLeadersResponse,
        alter_partition::{
            request::PartitionData,
            response::{PartitionData as PartitionAnswer, TopicData as TopicAnswer},
        },
        elect_leaders::response::{PartitionResult, ReplicaElectionResult},
    },
    metadata::Value,
};

use super::{
    ApiError, ControllerError,
    election::{Change, Election, election_of},
    error::{code, message},
    scene::Scene,
};
use crate::image::{NO_LEADER, Partition, Topic};

pub(super) fn alter(
    scene: &mut Scene<'_>,
    request: &AlterPartitionRequest,
) -> Result<(), ControllerError> {
    let image = scene.image;
    if !scene.is_current(request.broker_id, request.broker_epoch) {
        let error_code = ErrorCode::StaleBrokerEpoch as i16;
        return scene.answer(&AlterPartitionResponse { error_code, ..Default::default() });
    }
    let mut topics = Vec::with_capacity(request.topics.len());
    for asked in &request.topics {
        let topic = image.topics.by_id(asked.topic_id);
        let mut partitions = Vec::with_capacity(asked.partitions.len());
        for data in &asked.partitions {
            let altered = match topic {
                Some(topic) => alter_one(scene, request.broker_id, topic, data)?,
                None => Err(ErrorCode::UnknownTopicId),
            };
            partitions.push(altered.unwrap_or_else(|code| PartitionAnswer {
                partition_index: data.partition_index,
                error_code: code as i16,
                ..PartitionAnswer::default()
            }));
        }
        topics.push(TopicAnswer { topic_id: asked.topic_id, partitions });
    }
    scene.answer(&AlterPartitionResponse { topics, ..AlterPartitionResponse::default() })
}

fn alter_one(
    scene: &mut Scene<'_>,
    broker: i32,
    topic: &Topic,
    data: &PartitionData,
) -> Result<Result<PartitionAnswer, ErrorCode>, ControllerError> {
    let id = data.partition_index;
    let Some(partition) = topic.partition(id) else {
        return Ok(Err(ErrorCode::UnknownTopicOrPartition));
    };
    if let Err(code) = judge(scene, broker, partition, data) {
        return Ok(Err(code));
    }
    let mut change = Change::new(topic, id, partition);
    change.election = election_of(scene, &topic.name);
    change.isr = new_isr(data).map(|(replica, _)| replica).collect();
    change.is_recovering = data.leader_recovery_state == 1;
    let mut altered = partition.clone();
    if let Some(record) = change.decide(scene) {
        altered.apply(&record);
        let leader = record.leader;
        scene.put(&Value::PartitionChangeRecord(record))?;
        // A reassignment came to its end and took the leadership along.
        if leader >= NO_LEADER && leader != broker {
            return Ok(Err(ErrorCode::NewLeaderElected));
        }
    }
    Ok(Ok(PartitionAnswer {
        partition_index: id,
        error_code: 0,
        leader_id: altered.leader,
        leader_epoch: altered.leader_epoch,
        isr: altered.isr.to_vec(),
        leader_recovery_state: i8::from(altered.is_recovering),
        partition_epoch: altered.partition_epoch,
    }))
}

/// Each replica of the wanted ISR, with the broker epoch in which it was seen; -1 where the leader
/// does not say.
fn new_isr(data: &PartitionData) -> impl Iterator<Item = (i32, i64)> {
    let plain = data.new_isr.iter().map(|replica| (*replica, -1));
    plain.chain(data.new_isr_with_epochs.iter().map(|it| (it.broker_id, it.broker_epoch)))
}

fn judge(
    scene: &Scene<'_>,
    broker: i32,
    partition: &Partition,
    data: &PartitionData,
) -> Result<(), ErrorCode> {
    // Who knows more than this controller had better look for a newer one.
    if data.leader_epoch > partition.leader_epoch
        || data.partition_epoch > partition.partition_epoch
    {
        return Err(ErrorCode::NotController);
    }
    if data.leader_epoch < partition.leader_epoch {
        return Err(ErrorCode::FencedLeaderEpoch);
    }
    if broker != partition.leader {
        return Err(ErrorCode::InvalidRequest);
    }
    if data.partition_epoch < partition.partition_epoch {
        return Err(ErrorCode::InvalidUpdateVersion);
    }
    let mut isr: Vec<i32> = new_isr(data).map(|(replica, _)| replica).collect();
    let is_recovering = data.leader_recovery_state == 1;
    let contains_leader = isr.contains(&broker);
    let count = isr.len();
    isr.sort_unstable();
    isr.dedup();
    if isr.len() != count
        || !isr.iter().all(|replica| partition.replicas.contains(replica))
        || !contains_leader
        || (is_recovering && (count > 1 || !partition.is_recovering))
    {
        return Err(ErrorCode::InvalidRequest);
    }
    let is_eligible = |(replica, epoch): (i32, i64)| {
        let broker = scene.image.cluster.broker(replica).filter(|broker| broker.is_active());
        broker.is_some_and(|broker| epoch == -1 || epoch == broker.epoch)
    };
    match new_isr(data).all(is_eligible) {
        true => Ok(()),
        false => Err(ErrorCode::IneligibleReplica),
    }
}

/// What an administrator asks for.
const PREFERRED: i8 = 0;
const UNCLEAN: i8 = 1;

pub(super) fn elect(
    scene: &mut Scene<'_>,
    request: &ElectLeadersRequest<'_>,
) -> Result<(), ControllerError> {
    let image = scene.image;
    let election = match request.election_type {
        PREFERRED => Election::Preferred,
        UNCLEAN => Election::Unclean,
        _ => {
            let error_code = ErrorCode::InvalidRequest as i16;
            return scene.answer(&ElectLeadersResponse { error_code, ..Default::default() });
        }
    };
    let mut results = Vec::new();
    match &request.topic_partitions {
        Some(asked) => {
            for topic in asked {
                for id in &topic.partitions {
                    let result = elect_one(scene, topic.topic, *id, election)?;
                    results.push((topic.topic, *id, result));
                }
            }
        }
        None => {
            for topic in image.topics.sorted() {
                for (id, _) in topic.partitions() {
                    let result = elect_one(scene, &topic.name, id, election)?;
                    // Of all partitions nobody wants to hear that nothing was needed.
                    if code(&result) != ErrorCode::ElectionNotNeeded as i16 {
                        results.push((&topic.name, id, result));
                    }
                }
            }
        }
    }
    let mut topics: Vec<ReplicaElectionResult<'_>> = Vec::new();
    for (topic, partition_id, result) in &results {
        let partition = PartitionResult {
            partition_id: *partition_id,
            error_code: code(result),
            error_message: message(result),
        };
        match topics.last_mut().filter(|last| last.topic == *topic) {
            Some(last) => last.partition_result.push(partition),
            None => topics.push(ReplicaElectionResult { topic, partition_result: vec![partition] }),
        }
    }
    scene.answer(&ElectLeadersResponse {
        throttle_time_ms: 0,
        error_code: 0,
        replica_election_results: topics,
    })
}

fn elect_one(
    scene: &mut Scene<'_>,
    name: &str,
    id: i32,
    election: Election,
) -> Result<Result<(), ApiError>, ControllerError> {
    let image = scene.image;
    let unknown = |message: String| Err(ApiError::new(ErrorCode::UnknownTopicOrPartition, message));
    let Some(topic) = image.topics.by_name(name) else {
        return Ok(unknown(format!("No such topic as {name}")));
    };
    let Some(partition) = topic.partition(id) else {
        return Ok(unknown(format!("No such partition as {name}-{id}")));
    };
    let is_needless = match election {
        Election::Preferred => partition.leader == partition.preferred_leader(),
        _ => partition.leader != NO_LEADER,
    };
    if is_needless {
        let message = "Leader election not needed for topic partition.";
        return Ok(Err(ApiError::new(ErrorCode::ElectionNotNeeded, message)));
    }
    let mut change = Change::new(topic, id, partition);
    change.election = election;
    Ok(match change.decide(scene) {
        Some(record) => {
            scene.put(&Value::PartitionChangeRecord(record))?;
            Ok(())
        }
        None if election == Election::Preferred => Err(ApiError::new(
            ErrorCode::PreferredLeaderNotAvailable,
            "The preferred leader was not available.",
        )),
        None => Err(ApiError::new(
            ErrorCode::EligibleLeadersNotAvailable,
            "Eligible topic partition leaders are not available.",
        )),
    })
}
