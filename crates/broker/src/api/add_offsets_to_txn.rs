//! AddOffsetsToTxn: the offsets of a group become part of a transaction.

use milena_protocol::{
    ErrorCode, ProducerEpoch, ProducerId,
    api::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse},
};

use super::{Call, Outcome};
use crate::{
    authorizer::{Operation, Resource},
    coordinator::transaction::{Adding, Producer, TransactionError},
    error_map::ToCode,
    topics::CONSUMER_OFFSETS,
};

/// Since this version a client knows that a producer can be fenced.
const KNOWS_FENCED: i16 = 2;

pub(super) async fn handle(call: &Call<'_>, request: AddOffsetsToTxnRequest<'_>) -> Outcome {
    let answer = |code: ErrorCode| {
        call.answer(&AddOffsetsToTxnResponse { error_code: code as i16, ..Default::default() })
    };
    let (id, group) = (request.transactional_id, request.group_id);
    if !call.may(Operation::Write, Resource::TransactionalId(id)) {
        return answer(ErrorCode::TransactionalIdAuthorizationFailed);
    }
    if !call.may(Operation::Read, Resource::Group(group)) {
        return answer(ErrorCode::GroupAuthorizationFailed);
    }
    let broker = call.broker();
    let image = broker.image();
    let coordinators = &broker.coordinators;
    let partition = coordinators.partition_of_group(&image, group);
    let adding = Adding {
        producer: Producer {
            transactional_id: id,
            id: ProducerId(request.producer_id),
            epoch: ProducerEpoch(request.producer_epoch),
        },
        partitions: &[(CONSUMER_OFFSETS, partition)],
        // Clients of version 2 need not ask.
        version: 0,
    };
    match coordinators.add_to_transaction(&image, &adding).await {
        Ok(()) => answer(ErrorCode::None),
        Err(TransactionError::ProducerFenced) if call.version < KNOWS_FENCED => {
            answer(ErrorCode::InvalidProducerEpoch)
        }
        Err(error) => answer(error.code()),
    }
}
