//! ListTransactions: the transactional ids whose state this broker keeps, those of certain states,
//! producers, durations or names if asked so.

use std::collections::BTreeSet;

use milena_protocol::{
    ErrorCode,
    api::{
        ListTransactionsRequest, ListTransactionsResponse,
        list_transactions::response::TransactionState,
    },
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    coordinator::{
        CoordinatorError,
        group::patterns::Patterns,
        transaction::{Filter, State, TransactionError},
    },
    error_map::ToCode,
};

pub(super) async fn handle(call: &Call<'_>, request: ListTransactionsRequest<'_>) -> Outcome {
    let refuse = |code: ErrorCode| {
        let error_code = code as i16;
        call.answer(&ListTransactionsResponse { error_code, ..Default::default() })
    };
    let coordinators = &call.broker().coordinators;
    let filter = match filter(&request, &coordinators.patterns).await {
        Ok(filter) => filter,
        Err(error) => return refuse(error.code()),
    };
    let limit = coordinators.transaction_limit();
    let mut listed = Vec::new();
    for partition in coordinators.transactions.partitions() {
        let asked = coordinators
            .transactions
            .ask(partition, limit, |core, scene| core.list(&filter, scene.now.wall_ms));
        match asked.await {
            Ok(mut more) => listed.append(&mut more),
            // It has just gone elsewhere, and is listed there.
            Err(CoordinatorError::NotCoordinator) => {}
            Err(error) => return refuse(error.code()),
        }
    }
    let may = |id: &str| call.may(Operation::Describe, Resource::TransactionalId(id));
    let states = listed.iter().filter(|it| may(&it.id)).map(|it| TransactionState {
        transactional_id: &it.id,
        producer_id: it.producer_id.0,
        transaction_state: it.state.name(),
    });
    let unknown = request.state_filters.iter().filter(|name| State::from_name(name).is_none());
    call.answer(&ListTransactionsResponse {
        error_code: ErrorCode::None as i16,
        unknown_state_filters: unknown.copied().collect(),
        transaction_states: states.collect(),
        ..Default::default()
    })
}

async fn filter(
    request: &ListTransactionsRequest<'_>,
    patterns: &Patterns,
) -> Result<Filter, TransactionError> {
    let states: BTreeSet<State> =
        request.state_filters.iter().filter_map(|name| State::from_name(name)).collect();
    Ok(Filter {
        states: (!request.state_filters.is_empty()).then_some(states),
        producer_ids: request.producer_id_filters.iter().copied().collect(),
        lasted_ms: request.duration_filter,
        pattern: match request.transactional_id_pattern {
            None | Some("") => None,
            Some(pattern) => Some(patterns.get(pattern).await?),
        },
    })
}
