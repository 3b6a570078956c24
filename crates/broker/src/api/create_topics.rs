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

pub(super) async fn handle(call: &Call<'_>, mut request: CreateTopicsRequest<'_>) -> Outcome {
    let may_all = call.may(Operation::Create, Resource::Cluster);
    let may =
        |t: &CreatableTopic<'_>| may_all || call.may(Operation::Create, Resource::Topic(t.name));
    let all = std::mem::take(&mut request.topics).into_iter();
    let (allowed, denied): (Vec<_>, Vec<_>) = all.partition(may);
    request.topics = allowed;
    let mut results: Vec<_> = denied
        .iter()
        .map(|topic| refusal(topic.name, ErrorCode::TopicAuthorizationFailed))
        .collect();
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
            }
            response.topics.append(&mut results);
            call.answer(&response)
        }
        Err(error) => Outcome::close(&error),
    }
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
