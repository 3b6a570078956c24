//! EndTxn: a producer commits or aborts its transaction. The answer says that it is decided; the
//! partitions get to know soon after.

use milena_protocol::{
    ErrorCode, ProducerEpoch, ProducerId,
    api::{EndTxnRequest, EndTxnResponse},
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    coordinator::transaction::{
        EPOCH_PER_TRANSACTION, EndRequest, Ended, Producer, TransactionError, Verdict,
    },
    error_map::ToCode,
};

/// Since this version a client knows that a producer can be fenced.
const KNOWS_FENCED: i16 = 2;

/// From this version on it comes from a client of transaction version 2.
const BUMPS_EPOCH: i16 = 5;

pub(super) async fn handle(call: &Call<'_>, request: EndTxnRequest<'_>) -> Outcome {
    let answer = |code: ErrorCode, next: Ended| {
        let (producer_id, epoch) = next.unwrap_or((ProducerId::NONE, ProducerEpoch::NONE));
        call.answer(&EndTxnResponse {
            error_code: code as i16,
            // Older versions have no place for it.
            producer_id: producer_id.0,
            producer_epoch: epoch.0,
            ..Default::default()
        })
    };
    let id = request.transactional_id;
    if !call.may(Operation::Write, Resource::TransactionalId(id)) {
        return answer(ErrorCode::TransactionalIdAuthorizationFailed, None);
    }
    let end = EndRequest {
        producer: Producer {
            transactional_id: id,
            id: ProducerId(request.producer_id),
            epoch: ProducerEpoch(request.producer_epoch),
        },
        verdict: if request.committed { Verdict::Commit } else { Verdict::Abort },
        version: if call.version >= BUMPS_EPOCH { EPOCH_PER_TRANSACTION } else { 0 },
    };
    match call.broker().end_transaction(&end).await {
        Ok(next) => answer(ErrorCode::None, next),
        Err(TransactionError::ProducerFenced) if call.version < KNOWS_FENCED => {
            answer(ErrorCode::InvalidProducerEpoch, None)
        }
        Err(error) => answer(error.code(), None),
    }
}
