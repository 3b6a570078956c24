//! OffsetDelete: a group's offsets for topics that it no longer reads are deleted.

use milena_protocol::{
    ErrorCode,
    api::{
        OffsetDeleteRequest, OffsetDeleteResponse,
        offset_delete::response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic},
    },
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    error_map::ToCode,
};

pub(super) async fn handle(call: &Call<'_>, request: OffsetDeleteRequest<'_>) -> Outcome {
    let refuse = |code: ErrorCode| {
        call.answer(&OffsetDeleteResponse { error_code: code as i16, ..Default::default() })
    };
    if !call.may(Operation::Delete, Resource::Group(request.group_id)) {
        return refuse(ErrorCode::GroupAuthorizationFailed);
    }
    let broker = call.broker();
    let image = broker.image();
    let mut answers: Vec<OffsetDeleteResponseTopic<'_>> = Vec::new();
    let mut accepted: Vec<(&str, Vec<i32>)> = Vec::new();
    for topic in &request.topics {
        let known = image.topics.by_name(topic.name);
        let refusal = (!call.may(Operation::Read, Resource::Topic(topic.name)))
            .then_some(ErrorCode::TopicAuthorizationFailed);
        let mut refused = Vec::new();
        let mut partitions = Vec::new();
        for partition in &topic.partitions {
            let index = partition.partition_index;
            let is_there = known.is_some_and(|known| known.partition(index).is_some());
            match refusal.or((!is_there).then_some(ErrorCode::UnknownTopicOrPartition)) {
                Some(code) => refused.push(verdict(index, code)),
                None => partitions.push(index),
            }
        }
        if !refused.is_empty() {
            answers.push(OffsetDeleteResponseTopic { name: topic.name, partitions: refused });
        }
        if !partitions.is_empty() {
            accepted.push((topic.name, partitions));
        }
    }
    let asked = call.ask_group(request.group_id, |groups, scene| {
        groups.delete_offsets(request.group_id, &accepted, scene)
    });
    let deleted = match asked.await {
        Ok(deleted) => deleted,
        Err(error) => return refuse(error.code()),
    };
    // A topic that is asked for twice is answered twice, unless some of it was refused already.
    let refused = answers.len();
    for ((name, partitions), deleted) in accepted.into_iter().zip(deleted) {
        let code =
            if deleted.is_ok() { ErrorCode::None } else { ErrorCode::GroupSubscribedToTopic };
        let judged = partitions.into_iter().map(|index| verdict(index, code));
        let same = |answer: &&mut OffsetDeleteResponseTopic<'_>| refused > 0 && answer.name == name;
        match answers.iter_mut().find(same) {
            Some(answer) => answer.partitions.extend(judged),
            None => {
                answers.push(OffsetDeleteResponseTopic { name, partitions: judged.collect() });
            }
        }
    }
    call.answer(&OffsetDeleteResponse { topics: answers, ..Default::default() })
}

const fn verdict(partition_index: i32, code: ErrorCode) -> OffsetDeleteResponsePartition {
    OffsetDeleteResponsePartition { partition_index, error_code: code as i16 }
}
