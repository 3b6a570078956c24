//! CreateTopics: the controller creates them; here it is asked who may.

use milena_metadata::controller::CreateTopics;
use milena_protocol::{
    ErrorCode,
    api::{
        CreateTopicsRequest, CreateTopicsResponse,
        create_topics::{request::CreatableTopic, response::CreatableTopicResult},
    },
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    error_map::ToCode,
};

/// The first version that is told of a quota for changes.
const THROTTLED_FROM: i16 = 6;

pub(super) async fn handle(call: &Call<'_>, mut request: CreateTopicsRequest<'_>) -> Outcome {
    let may_all = call.may(Operation::Create, Resource::Cluster);
    let may =
        |t: &CreatableTopic<'_>| may_all || call.may(Operation::Create, Resource::Topic(t.name));
    let all = std::mem::take(&mut request.topics).into_iter();
    let (allowed, denied): (Vec<_>, Vec<_>) = all.partition(may);
    let mut results: Vec<_> = denied
        .iter()
        .map(|topic| refusal(topic.name, ErrorCode::TopicAuthorizationFailed))
        .collect();
    let counted =
        |topic: &CreatableTopic<'_>| call.may_change(partitions(call, topic), THROTTLED_FROM);
    let (allowed, too_many): (Vec<_>, Vec<_>) = allowed.into_iter().partition(counted);
    // What is wrong with them is told before they are found to be too many.
    let tried = CreateTopicsRequest { topics: too_many, validate_only: true, ..request };
    request = CreateTopicsRequest { topics: allowed, ..request };
    let judged = match tried.topics.is_empty() {
        true => None,
        false => Some(call.broker().metadata.call::<CreateTopics>(&tried).await),
    };
    match &judged {
        None => {}
        Some(Ok(answer)) => match answer.message() {
            Ok(judged) => results.extend(judged.topics.into_iter().map(|topic| {
                let is_well = topic.error_code == ErrorCode::None as i16;
                match is_well {
                    true => CreatableTopicResult {
                        error_message: None,
                        ..refusal(topic.name, call.change_refused())
                    },
                    false => topic,
                }
            })),
            Err(error) => return Outcome::close(&error),
        },
        Some(Err(error)) => {
            let code = error.code();
            results.extend(tried.topics.iter().map(|topic| refusal(topic.name, code)));
        }
    }
    let answer = match call.broker().metadata.call::<CreateTopics>(&request).await {
        Ok(answer) => answer,
        Err(error) => {
            let code = error.code();
            results.extend(request.topics.iter().map(|topic| refusal(topic.name, code)));
            return call.answer(&CreateTopicsResponse { topics: results, ..Default::default() });
        }
    };
    match answer.message() {
        Ok(mut response) => {
            for topic in &mut response.topics {
                hide_configs(call, topic);
                let asked = request.topics.iter().find(|asked| asked.name == topic.name);
                if let Some(asked) = asked.filter(|_| topic.error_code != 0) {
                    call.not_changed(partitions(call, asked));
                }
            }
            response.topics.append(&mut results);
            call.answer(&response)
        }
        Err(error) => Outcome::close(&error),
    }
}

/// How many a topic is to have.
fn partitions(call: &Call<'_>, topic: &CreatableTopic<'_>) -> usize {
    let count = match topic.num_partitions {
        -1 if !topic.assignments.is_empty() => return topic.assignments.len(),
        -1 => call.broker().config().new_topics.partitions,
        count => count,
    };
    usize::try_from(count).unwrap_or(0)
}

fn refusal<'a>(name: &'a str, code: ErrorCode) -> CreatableTopicResult<'a> {
    CreatableTopicResult { name, error_code: code as i16, ..Default::default() }
}

/// Settings are told to those who may see them.
fn hide_configs(call: &Call<'_>, topic: &mut CreatableTopicResult<'_>) {
    if topic.error_code == ErrorCode::None as i16
        && !call.may(Operation::DescribeConfigs, Resource::Topic(topic.name))
    {
        topic.topic_config_error_code = ErrorCode::TopicAuthorizationFailed as i16;
        topic.configs = None;
        (topic.num_partitions, topic.replication_factor) = (-1, -1);
    }
}
