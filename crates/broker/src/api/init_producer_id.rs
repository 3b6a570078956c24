//! InitProducerId: gives a producer its id and its epoch. Under a transactional id it takes over
//! from whoever was there before.

use milena_protocol::{
    ErrorCode, ProducerEpoch, ProducerId,
    api::{InitProducerIdRequest, InitProducerIdResponse},
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    coordinator::transaction::{InitRequest, Initialized, TransactionError},
    error_map::ToCode,
};

/// Since this version a client knows that a producer can be fenced.
const KNOWS_FENCED: i16 = 4;

pub(super) async fn handle(call: &Call<'_>, request: InitProducerIdRequest<'_>) -> Outcome {
    let answer = |code: ErrorCode, producer: Option<Initialized>| {
        call.answer(&InitProducerIdResponse {
            error_code: code as i16,
            producer_id: producer.map_or(-1, |it| it.producer_id.0),
            producer_epoch: producer.map_or(-1, |it| it.epoch.0),
            ..Default::default()
        })
    };
    let refuse = |code| answer(code, None);
    if let Some(id) = request.transactional_id {
        if !call.may(Operation::Write, Resource::TransactionalId(id)) {
            return refuse(ErrorCode::TransactionalIdAuthorizationFailed);
        }
    } else if !call.may(Operation::IdempotentWrite, Resource::Cluster)
        // Whoever may write to some topic may be idempotent.
        && !call.may(Operation::Write, Resource::AnyTopic)
    {
        return refuse(ErrorCode::ClusterAuthorizationFailed);
    }
    let expected = match (request.producer_id, request.producer_epoch) {
        (-1, -1) => None,
        (-1, _) | (_, -1) => return refuse(ErrorCode::InvalidRequest),
        (id, epoch) => {
            Some(Initialized { producer_id: ProducerId(id), epoch: ProducerEpoch(epoch) })
        }
    };
    let broker = call.broker();
    let initialized = match request.transactional_id {
        Some(transactional_id) => {
            let request = InitRequest {
                transactional_id,
                timeout_ms: request.transaction_timeout_ms,
                enables_two_phase_commit: request.enable2_pc,
                keeps_prepared: request.keep_prepared_txn,
                expected,
            };
            broker.init_transactional_producer(&request).await
        }
        None => match broker.next_producer_id().await {
            Ok(producer_id) => Ok(Initialized { producer_id, epoch: ProducerEpoch(0) }),
            Err(_) => Err(TransactionError::NoProducerId),
        },
    };
    match initialized {
        Ok(producer) => answer(ErrorCode::None, Some(producer)),
        Err(TransactionError::ProducerFenced) if call.version < KNOWS_FENCED => {
            refuse(ErrorCode::InvalidProducerEpoch)
        }
        Err(error) => refuse(error.code()),
    }
}
