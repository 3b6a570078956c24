//! Producer ids, given to brokers in blocks.

use milena_protocol::{
    ErrorCode,
    api::{AllocateProducerIdsRequest, AllocateProducerIdsResponse},
    metadata::{ProducerIdsRecord, Value},
};

use super::{ControllerError, scene::Scene};

/// Ids that a broker gets at once.
const BLOCK: i32 = 1000;

pub(super) fn allocate(
    scene: &mut Scene<'_>,
    request: &AllocateProducerIdsRequest,
) -> Result<(), ControllerError> {
    let refuse = |code: ErrorCode| AllocateProducerIdsResponse {
        error_code: code as i16,
        ..AllocateProducerIdsResponse::default()
    };
    if !scene.is_current(request.broker_id, request.broker_epoch) {
        return scene.answer(&refuse(ErrorCode::StaleBrokerEpoch));
    }
    let start = scene.image.next_producer_id;
    let Some(next_producer_id) = start.checked_add(i64::from(BLOCK)) else {
        return scene.answer(&refuse(ErrorCode::UnknownServerError));
    };
    scene.put(&Value::ProducerIdsRecord(ProducerIdsRecord {
        broker_id: request.broker_id,
        broker_epoch: request.broker_epoch,
        next_producer_id,
    }))?;
    scene.answer(&AllocateProducerIdsResponse {
        throttle_time_ms: 0,
        error_code: 0,
        producer_id_start: start,
        producer_id_len: BLOCK,
    })
}
