//! OffsetCommit: a group says how far it has come.

use milena_env::HashMap;
use milena_metadata::image::MetadataImage;
use milena_protocol::{
    ErrorCode, Uuid,
    api::{
        OffsetCommitRequest, OffsetCommitResponse,
        offset_commit::{
            request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
            response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic},
        },
    },
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    coordinator::group::{
        GroupError,
        offsets::{CommitRequest, Committer, PartitionCommit, TopicCommit},
    },
    error_map::ToCode,
};

pub(super) async fn handle(call: &Call<'_>, request: OffsetCommitRequest<'_>) -> Outcome {
    if !call.may(Operation::Read, Resource::Group(request.group_id)) {
        return refuse_all(call, &request, ErrorCode::GroupAuthorizationFailed);
    }
    let broker = call.broker();
    let image = broker.image();
    let metadata_max = broker.config().groups.offsets.metadata_bytes_max;
    let mut sorted = Sorted::default();
    for topic in &request.topics {
        sorted.take(call, &image, topic, metadata_max);
    }
    let Sorted { mut answers, accepted, verdicts } = sorted;
    if !accepted.is_empty() {
        let commit = CommitRequest {
            group: request.group_id,
            committer: Committer {
                member_id: request.member_id,
                instance_id: request.group_instance_id,
                generation: request.generation_id_or_member_epoch,
                version: call.version,
            },
            retention_ms: request.retention_time_ms,
            topics: accepted,
        };
        let asked = call.ask_group(request.group_id, |groups, scene| groups.commit(&commit, scene));
        if let Err(error) = asked.await {
            return refuse_all(call, &request, commit_code(&error));
        }
    }
    if answers.is_empty() {
        return call.answer(&OffsetCommitResponse { topics: verdicts, ..Default::default() });
    }
    // What the coordinator judged follows what was refused before it was asked.
    let mut places = HashMap::default();
    for (place, answer) in answers.iter().enumerate() {
        places.entry((answer.name, answer.topic_id)).or_insert(place);
    }
    for mut verdict in verdicts {
        let place = *places.entry((verdict.name, verdict.topic_id)).or_insert(answers.len());
        match answers.get_mut(place) {
            Some(answer) => answer.partitions.append(&mut verdict.partitions),
            None => answers.push(verdict),
        }
    }
    call.answer(&OffsetCommitResponse { topics: answers, ..Default::default() })
}

/// The partitions of a request by what becomes of them.
#[derive(Default)]
struct Sorted<'a> {
    /// What is refused here.
    answers: Vec<OffsetCommitResponseTopic<'a>>,
    accepted: Vec<TopicCommit<'a>>,
    /// What is answered where the coordinator takes the others.
    verdicts: Vec<OffsetCommitResponseTopic<'a>>,
}

impl<'a> Sorted<'a> {
    fn take(
        &mut self,
        call: &Call<'_>,
        image: &'a MetadataImage,
        topic: &OffsetCommitRequestTopic<'a>,
        metadata_max: usize,
    ) {
        let by_id = call.version >= 10;
        let known = if by_id {
            image.topics.by_id(topic.topic_id)
        } else {
            image.topics.by_name(topic.name)
        };
        let name = if by_id { known.map_or("", |known| &known.name) } else { topic.name };
        let refusal = if by_id && known.is_none() {
            Some(ErrorCode::UnknownTopicId)
        } else if !call.may(Operation::Read, Resource::Topic(name)) {
            Some(ErrorCode::TopicAuthorizationFailed)
        } else if known.is_none() {
            Some(ErrorCode::UnknownTopicOrPartition)
        } else {
            None
        };
        let mut refused = Vec::new();
        let mut judged = Vec::new();
        let mut accepted = Vec::new();
        for partition in &topic.partitions {
            let is_there =
                || known.is_some_and(|known| known.partition(partition.partition_index).is_some());
            let code = match refusal {
                Some(code) => Some(code),
                None if !is_there() => Some(ErrorCode::UnknownTopicOrPartition),
                None => None,
            };
            if let Some(code) = code {
                refused.push(verdict(partition, code));
                continue;
            }
            let metadata = partition.committed_metadata.unwrap_or_default();
            if metadata.len() > metadata_max && metadata.encode_utf16().count() > metadata_max {
                judged.push(verdict(partition, ErrorCode::OffsetMetadataTooLarge));
                continue;
            }
            judged.push(verdict(partition, ErrorCode::None));
            accepted.push(PartitionCommit {
                index: partition.partition_index,
                offset: partition.committed_offset,
                leader_epoch: partition.committed_leader_epoch,
                metadata,
            });
        }
        let id = known.map_or(Uuid::ZERO, |known| known.id);
        let answer = |partitions| OffsetCommitResponseTopic {
            name: topic.name,
            topic_id: topic.topic_id,
            partitions,
        };
        if !refused.is_empty() {
            self.answers.push(answer(refused));
        }
        if !judged.is_empty() {
            self.verdicts.push(answer(judged));
            self.accepted.push(TopicCommit { name, id, partitions: accepted });
        }
    }
}

fn verdict(
    partition: &OffsetCommitRequestPartition<'_>,
    code: ErrorCode,
) -> OffsetCommitResponsePartition {
    OffsetCommitResponsePartition {
        partition_index: partition.partition_index,
        error_code: code as i16,
    }
}

fn refuse_all(call: &Call<'_>, request: &OffsetCommitRequest<'_>, code: ErrorCode) -> Outcome {
    let topics = request.topics.iter().map(|topic| OffsetCommitResponseTopic {
        name: topic.name,
        topic_id: topic.topic_id,
        partitions: topic.partitions.iter().map(|it| verdict(it, code)).collect(),
    });
    call.answer(&OffsetCommitResponse { topics: topics.collect(), ..Default::default() })
}

/// A commit that cannot be written because of its size has a code of its own.
fn commit_code(error: &GroupError) -> ErrorCode {
    match error {
        GroupError::Write(_) => ErrorCode::InvalidCommitOffsetSize,
        other => other.code(),
    }
}
