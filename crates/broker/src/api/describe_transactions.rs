//! DescribeTransactions: the state of transactional ids, with the partitions that whoever asks may
//! know of. An id is told once, however often it is asked about.

use std::collections::BTreeSet;

use milena_protocol::{
    ErrorCode,
    api::{
        DescribeTransactionsRequest, DescribeTransactionsResponse,
        describe_transactions::response::{TopicData, TransactionState},
    },
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    coordinator::transaction::Described,
    error_map::ToCode,
};

pub(super) async fn handle(call: &Call<'_>, request: DescribeTransactionsRequest<'_>) -> Outcome {
    let broker = call.broker();
    let image = broker.image();
    let mut described = Vec::new();
    let mut seen = BTreeSet::new();
    for id in request.transactional_ids.iter().filter(|id| seen.insert(**id)) {
        let found = if call.may(Operation::Describe, Resource::TransactionalId(id)) {
            let asked =
                broker.coordinators.ask_transaction(&image, id, |core, _| core.describe(id));
            asked.await.map_err(|error| error.code())
        } else {
            Err(ErrorCode::TransactionalIdAuthorizationFailed)
        };
        described.push((*id, found));
    }
    let states = described.iter().map(|(id, found)| match found {
        Ok(found) => shown(call, id, found),
        Err(code) => TransactionState {
            error_code: *code as i16,
            transactional_id: id,
            ..Default::default()
        },
    });
    call.answer(&DescribeTransactionsResponse {
        transaction_states: states.collect(),
        ..Default::default()
    })
}

fn shown<'a>(call: &Call<'_>, id: &'a str, found: &'a Described) -> TransactionState<'a> {
    let may = |topic: &str| call.may(Operation::Describe, Resource::Topic(topic));
    let topics = found.partitions.iter().filter(|(topic, _)| may(topic));
    let topics = topics.map(|(topic, partitions)| TopicData {
        topic,
        partitions: partitions.iter().copied().collect(),
    });
    TransactionState {
        error_code: ErrorCode::None as i16,
        transactional_id: id,
        transaction_state: found.state.name(),
        transaction_timeout_ms: found.timeout_ms,
        transaction_start_time_ms: found.start_ms,
        producer_id: found.producer_id.0,
        producer_epoch: found.epoch.0,
        topics: topics.collect(),
    }
}
