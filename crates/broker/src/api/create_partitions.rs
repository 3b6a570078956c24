//! CreatePartitions: topics get more partitions. The controller makes them; here it is asked who
//! may.

use milena_metadata::{controller::CreatePartitions, image::MetadataImage};
use milena_protocol::{
    ErrorCode,
    api::{
        CreatePartitionsRequest, CreatePartitionsResponse,
        create_partitions::{
            request::CreatePartitionsTopic, response::CreatePartitionsTopicResult,
        },
    },
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    error_map::ToCode,
};

/// The first version that is told of a quota for changes.
const THROTTLED_FROM: i16 = 3;

pub(super) async fn handle(call: &Call<'_>, mut request: CreatePartitionsRequest<'_>) -> Outcome {
    let all = std::mem::take(&mut request.topics).into_iter();
    let (allowed, denied): (Vec<_>, Vec<_>) =
        all.partition(|topic| call.may(Operation::Alter, Resource::Topic(topic.name)));
    let mut results: Vec<_> = denied
        .iter()
        .map(|topic| refusal(topic.name, ErrorCode::TopicAuthorizationFailed))
        .collect();
    let image = call.broker().image();
    let counted =
        |topic: &CreatePartitionsTopic<'_>| call.may_change(more(&image, topic), THROTTLED_FROM);
    let (allowed, too_many): (Vec<_>, Vec<_>) = allowed.into_iter().partition(counted);
    // What is wrong with them is told before they are found to be too many.
    let tried = CreatePartitionsRequest { topics: too_many, validate_only: true, ..request };
    request = CreatePartitionsRequest { topics: allowed, ..request };
    let judged = match tried.topics.is_empty() {
        true => None,
        false => Some(call.broker().metadata.call::<CreatePartitions>(&tried).await),
    };
    match &judged {
        None => {}
        Some(Ok(answer)) => match answer.message() {
            Ok(judged) => results.extend(judged.results.into_iter().map(|topic| {
                let is_well = topic.error_code == ErrorCode::None as i16;
                if is_well { refusal(topic.name, call.change_refused()) } else { topic }
            })),
            Err(error) => return Outcome::close(&error),
        },
        Some(Err(error)) => {
            let code = error.code();
            results.extend(tried.topics.iter().map(|topic| refusal(topic.name, code)));
        }
    }
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
            for failed in response.results.iter().filter(|result| result.error_code != 0) {
                let asked = request.topics.iter().find(|asked| asked.name == failed.name);
                call.not_changed(asked.map_or(0, |asked| more(&image, asked)));
            }
            response.results.append(&mut results);
            call.answer(&response)
        }
        Err(error) => Outcome::close(&error),
    }
}

/// How many a topic is to get; none if it is not there, or has enough.
fn more(image: &MetadataImage, topic: &CreatePartitionsTopic<'_>) -> usize {
    let known = image.topics.by_name(topic.name);
    let wanted = usize::try_from(topic.count).unwrap_or(0);
    known.map_or(0, |known| wanted.saturating_sub(known.partitions().count()))
}

fn refusal<'a>(name: &'a str, code: ErrorCode) -> CreatePartitionsTopicResult<'a> {
    CreatePartitionsTopicResult { name, error_code: code as i16, error_message: None }
}
