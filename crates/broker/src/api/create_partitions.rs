//! CreatePartitions: topics get more partitions. The controller makes them; here it is asked who
//! may.

use milena_metadata::controller::CreatePartitions;
use milena_protocol::{
    ErrorCode,
    api::{
        CreatePartitionsRequest, CreatePartitionsResponse,
        create_partitions::response::CreatePartitionsTopicResult,
    },
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    error_map::ToCode,
};

pub(super) async fn handle(call: &Call<'_>, mut request: CreatePartitionsRequest<'_>) -> Outcome {
    let all = std::mem::take(&mut request.topics).into_iter();
    let (allowed, denied): (Vec<_>, Vec<_>) =
        all.partition(|topic| call.may(Operation::Alter, Resource::Topic(topic.name)));
    request.topics = allowed;
    let mut results: Vec<_> = denied
        .iter()
        .map(|topic| refusal(topic.name, ErrorCode::TopicAuthorizationFailed))
        .collect();
    let answer = match call.broker().metadata.call::<CreatePartitions>(&request).await {
        Ok(answer) => answer,
        Err(error) => {
            let code = error.code();
            results.extend(request.topics.iter().map(|topic| refusal(topic.name, code)));
            return call.answer(&CreatePartitionsResponse { results, ..Default::default() });
        }
    };
    match answer.message() {
        Ok(mut response) => {
            response.results.append(&mut results);
            call.answer(&response)
        }
        Err(error) => Outcome::close(&error),
    }
}

fn refusal<'a>(name: &'a str, code: ErrorCode) -> CreatePartitionsTopicResult<'a> {
    CreatePartitionsTopicResult { name, error_code: code as i16, error_message: None }
}
