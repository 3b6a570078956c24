//! Brokers with several log directories tell where each replica lies.

use milena_protocol::{
    ErrorCode, Uuid,
    api::{
        AssignReplicasToDirsRequest, AssignReplicasToDirsResponse,
        assign_replicas_to_dirs::response::{DirectoryData, PartitionData, TopicData},
    },
    metadata::Value,
};

use super::{
    ControllerError,
    election::{Change, election_of},
    scene::Scene,
};

pub(super) fn assign(
    scene: &mut Scene<'_>,
    request: &AssignReplicasToDirsRequest,
) -> Result<(), ControllerError> {
    if !scene.is_current(request.broker_id, request.broker_epoch) {
        let error_code = ErrorCode::StaleBrokerEpoch as i16;
        return scene.answer(&AssignReplicasToDirsResponse { error_code, ..Default::default() });
    }
    let mut directories = Vec::with_capacity(request.directories.len());
    for directory in &request.directories {
        let mut topics = Vec::with_capacity(directory.topics.len());
        for topic in &directory.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let partition_index = partition.partition_index;
                let place = (topic.topic_id, partition_index);
                let code = assign_one(scene, request.broker_id, directory.id, place)?;
                partitions.push(PartitionData { partition_index, error_code: code as i16 });
            }
            topics.push(TopicData { topic_id: topic.topic_id, partitions });
        }
        directories.push(DirectoryData { id: directory.id, topics });
    }
    let answer = AssignReplicasToDirsResponse { throttle_time_ms: 0, error_code: 0, directories };
    scene.answer(&answer)
}

fn assign_one(
    scene: &mut Scene<'_>,
    broker: i32,
    directory: Uuid,
    (topic, number): (Uuid, i32),
) -> Result<ErrorCode, ControllerError> {
    let image = scene.image;
    let Some(topic) = image.topics.by_id(topic) else { return Ok(ErrorCode::UnknownTopicId) };
    let Some(partition) = topic.partition(number) else {
        return Ok(ErrorCode::UnknownTopicOrPartition);
    };
    if !partition.replicas.contains(&broker) {
        return Ok(ErrorCode::NotLeaderOrFollower);
    }
    let mut change = Change::new(topic, number, partition);
    change.directory = Some((broker, directory));
    let is_online =
        image.cluster.broker(broker).is_some_and(|it| it.directories.contains(&directory));
    if !is_online {
        change.election = election_of(scene, &topic.name);
        change.isr.retain(|replica| *replica != broker);
        change.leaving = Some(broker);
    }
    if let Some(record) = change.decide(scene) {
        scene.put(&Value::PartitionChangeRecord(record))?;
    }
    Ok(ErrorCode::None)
}
