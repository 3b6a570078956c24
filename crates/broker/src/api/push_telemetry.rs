//! PushTelemetry: takes the metrics of a client. Needs no permission.

use milena_protocol::{
    ErrorCode,
    api::{PushTelemetryRequest, PushTelemetryResponse},
};

use super::{Call, Outcome};
use crate::telemetry::{Push, traits};

pub(super) async fn handle(call: &Call<'_>, request: PushTelemetryRequest<'_>) -> Outcome {
    let broker = call.broker();
    let push = Push {
        client: request.client_instance_id,
        subscription_id: request.subscription_id,
        is_terminating: request.terminating,
        compression_type: request.compression_type,
        metrics: request.metrics,
    };
    let traits = traits(call.client, call.client_id, push.client);
    let bytes_max = broker.config().node.telemetry_bytes_max;
    let (image, now) = (broker.image(), broker.clock.monotonic());
    let taken = broker.telemetry.push(&image, push, &traits, bytes_max, now);
    let code = taken.err().unwrap_or(ErrorCode::None);
    call.answer(&PushTelemetryResponse { error_code: code as i16, ..Default::default() })
}
