//! DeleteTopics: the controller deletes them; here it is asked who may. A topic that may not be
//! seen is as good as absent.

use std::sync::Arc;

use milena_metadata::{
    controller::DeleteTopics,
    image::{MetadataImage, Topic},
};
use milena_protocol::{
    ErrorCode, Uuid,
    api::{
        DeleteTopicsRequest, DeleteTopicsResponse,
        delete_topics::{request::DeleteTopicState, response::DeletableTopicResult},
    },
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    error_map::ToCode,
};

/// The first version that is told of a quota for changes.
const THROTTLED_FROM: i16 = 5;

pub(super) async fn handle(call: &Call<'_>, mut request: DeleteTopicsRequest<'_>) -> Outcome {
    let names = std::mem::take(&mut request.topic_names).into_iter();
    let by_name = |name| DeleteTopicState { name: Some(name), ..Default::default() };
    request.topics.extend(names.map(by_name));
    let image = call.broker().image();
    let (mut allowed, mut results) = (Vec::new(), Vec::new());
    for topic in std::mem::take(&mut request.topics) {
        let known = image.topics.by_id(topic.topic_id).map(|known| &*known.name);
        match refuse(call, &topic, known) {
            None => {
                let known = known_by(&image, &topic);
                let partitions = known.map_or(0, |known| known.partitions().count());
                if call.may_change(partitions, THROTTLED_FROM) {
                    allowed.push(topic);
                } else {
                    let id = known.map_or(topic.topic_id, |known| known.id);
                    results.push(refusal(topic.name, id, call.change_refused()));
                }
            }
            Some(code) => results.push(refusal(topic.name, topic.topic_id, code)),
        }
    }
    request.topics = allowed;
    let answer = match call.broker().metadata.call::<DeleteTopics>(&request).await {
        Ok(answer) => answer,
        Err(error) => {
            let code = error.code();
            results.extend(request.topics.iter().map(|t| refusal(t.name, t.topic_id, code)));
            return call.answer(&DeleteTopicsResponse { responses: results, ..Default::default() });
        }
    };
    match answer.message() {
        Ok(mut response) => {
            response.responses.append(&mut results);
            call.answer(&response)
        }
        Err(error) => Outcome::close(&error),
    }
}

fn known_by<'a>(image: &'a MetadataImage, topic: &DeleteTopicState<'_>) -> Option<&'a Arc<Topic>> {
    let by_id = image.topics.by_id(topic.topic_id);
    topic.name.map_or(by_id, |name| image.topics.by_name(name))
}

fn refuse(call: &Call<'_>, topic: &DeleteTopicState<'_>, known: Option<&str>) -> Option<ErrorCode> {
    // Neither name nor id, or both: the controller says what is wrong with it.
    let name = topic.name.or(known)?;
    if call.may(Operation::Delete, Resource::Topic(name)) {
        return None;
    }
    Some(match topic.name {
        None if !call.may(Operation::Describe, Resource::Topic(name)) => ErrorCode::UnknownTopicId,
        _ => ErrorCode::TopicAuthorizationFailed,
    })
}

fn refusal(name: Option<&str>, topic_id: Uuid, code: ErrorCode) -> DeletableTopicResult<'_> {
    DeletableTopicResult { name, topic_id, error_code: code as i16, ..Default::default() }
}
