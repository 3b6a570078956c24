//! InitProducerId: gives an idempotent producer its id.

use milena_protocol::{
    ErrorCode,
    api::{InitProducerIdRequest, InitProducerIdResponse},
};

use super::{Call, Outcome};
use crate::authorizer::{Operation, Resource};

pub(super) async fn handle(call: &Call<'_>, request: InitProducerIdRequest<'_>) -> Outcome {
    let refuse = |code: ErrorCode| {
        call.answer(&InitProducerIdResponse {
            error_code: code as i16,
            producer_id: -1,
            producer_epoch: -1,
            ..Default::default()
        })
    };
    if (request.producer_id == -1) != (request.producer_epoch == -1) {
        return refuse(ErrorCode::InvalidRequest);
    }
    if let Some(id) = request.transactional_id {
        return refuse(if id.is_empty() {
            ErrorCode::InvalidRequest
        } else if call.may(Operation::Write, Resource::TransactionalId(id)) {
            // No transaction coordinator lives here.
            ErrorCode::NotCoordinator
        } else {
            ErrorCode::TransactionalIdAuthorizationFailed
        });
    }
    // Whoever may write to some topic may be idempotent.
    if !call.may(Operation::IdempotentWrite, Resource::Cluster)
        && !call.may(Operation::Write, Resource::AnyTopic)
    {
        return refuse(ErrorCode::ClusterAuthorizationFailed);
    }
    let broker = call.broker();
    let us = (broker.node_id, broker.metadata.broker_epoch());
    match broker.producer_ids.next(&broker.metadata, us).await {
        Ok(producer_id) => {
            let producer_id = producer_id.0;
            call.answer(&InitProducerIdResponse { producer_id, ..Default::default() })
        }
        // The controller is not there for a moment; a producer tries again.
        Err(_) => refuse(ErrorCode::CoordinatorLoadInProgress),
    }
}
