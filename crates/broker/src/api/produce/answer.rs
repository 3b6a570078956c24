//! When a Produce is answered, and with what.

use std::sync::Arc;

use milena_env::timer;
use milena_protocol::api::{
    ProduceResponse,
    produce::response::{
        BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
    },
};

use super::{super::Outcome, Fate, Item, Refusal, Terms, TopicItems};
use crate::{
    error_map::ToCode,
    partition::{Last, Partition, Reach},
};

/// Nobody waits for an answer; an error closes the connection, so that the client looks anew.
pub(super) fn without_answer(topics: &[TopicItems]) -> Outcome {
    for topic in topics {
        for item in &topic.items {
            if let Fate::Refused(Refusal { code, .. }) = &item.fate {
                let reason = format!(
                    "produce with acks=0 to {}-{} failed with {}",
                    topic.name,
                    item.index,
                    code.name()
                );
                return Outcome::Close(reason.into());
            }
        }
    }
    Outcome::Nothing
}

/// Waits until every batch is where `acks` wants it; the fate of one for which that will not
/// happen is changed.
pub(super) async fn settle(terms: &Terms, topics: &mut [TopicItems]) {
    let reach = if terms.acks == -1 { Reach::HighWatermark } else { Reach::Durable };
    let appended = |item: &Item| match (&item.place, &item.fate) {
        (Ok(partition), Fate::Appended { end, .. }) => Some((Arc::clone(partition), *end)),
        _ => None,
    };
    let is_settled = |item: &Item| {
        appended(item).is_none_or(|(partition, end)| {
            partition.has_reached(reach, end) || partition.log.is_closed()
        })
    };
    let items = || topics.iter().flat_map(|topic| &topic.items);
    if !items().all(is_settled) {
        let pending: Vec<_> =
            items().filter(|item| !is_settled(item)).filter_map(appended).collect();
        let last = Last::of(pending.len());
        let watch = |(partition, end): (Arc<Partition>, _)| partition.watch(reach, end, &last);
        let _registrations: Vec<_> = pending.into_iter().map(watch).collect();
        let all = async {
            while !items().all(is_settled) {
                last.any().await;
            }
        };
        // A client that waits for ever is no use to anybody.
        timer::timeout(terms.timeout, all).await;
    }
    for item in topics.iter_mut().flat_map(|topic| &mut topic.items) {
        let Some((partition, end)) = appended(item) else { continue };
        if let Err(why) = partition.check_reached(reach, end) {
            item.fate = Fate::Refused(why.code().into());
        }
    }
}

pub(super) fn respond(topics: &[TopicItems]) -> ProduceResponse<'_> {
    let asked = topics.iter().filter(|topic| !topic.items.is_empty());
    let responses = asked.map(|topic| TopicProduceResponse {
        name: &topic.name,
        topic_id: topic.id,
        partition_responses: topic.items.iter().map(respond_one).collect(),
        ..Default::default()
    });
    ProduceResponse { responses: responses.collect(), ..Default::default() }
}

fn respond_one(item: &Item) -> PartitionProduceResponse<'_> {
    let response = PartitionProduceResponse { index: item.index, ..Default::default() };
    let log_start = || Some(item.place.as_ref().ok()?.log.start_offset().0);
    match &item.fate {
        Fate::Refused(refusal) => PartitionProduceResponse {
            error_code: refusal.code as i16,
            base_offset: -1,
            log_start_offset: log_start().filter(|_| refusal.is_from_log).unwrap_or(-1),
            error_message: refusal.message.as_deref(),
            record_errors: refusal
                .records
                .iter()
                .map(|(index, message)| BatchIndexAndErrorMessage {
                    batch_index: *index,
                    batch_index_error_message: Some(message),
                })
                .collect(),
            ..response
        },
        Fate::Appended { base_offset, append_time_ms, .. } => PartitionProduceResponse {
            base_offset: base_offset.0,
            log_append_time_ms: *append_time_ms,
            log_start_offset: log_start().unwrap_or(-1),
            ..response
        },
    }
}
