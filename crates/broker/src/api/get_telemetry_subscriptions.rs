//! GetTelemetrySubscriptions: which metrics a client is to push, and how often. Needs no
//! permission.

use milena_protocol::{
    ErrorCode, Uuid,
    api::{GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse},
};

use super::{Call, Outcome};
use crate::telemetry::{CODECS, traits};

pub(super) async fn handle(call: &Call<'_>, request: GetTelemetrySubscriptionsRequest) -> Outcome {
    let broker = call.broker();
    let client_instance_id = match request.client_instance_id {
        Uuid::ZERO => broker.telemetry.new_id(),
        known => known,
    };
    let traits = traits(call.client, call.client_id, client_instance_id);
    let (image, now) = (broker.image(), broker.clock.monotonic());
    match broker.telemetry.subscription(&image, client_instance_id, &traits, now) {
        Ok(subscription) => call.answer(&GetTelemetrySubscriptionsResponse {
            error_code: ErrorCode::None as i16,
            client_instance_id,
            subscription_id: subscription.id,
            accepted_compression_types: CODECS.map(|codec| codec as i8).to_vec(),
            push_interval_ms: subscription.interval_ms,
            telemetry_max_bytes: i32::try_from(broker.config().node.telemetry_bytes_max)
                .unwrap_or(i32::MAX),
            // Only the newest push is kept, so each has to tell the whole.
            delta_temporality: false,
            requested_metrics: subscription.metrics.iter().map(String::as_str).collect(),
            ..Default::default()
        }),
        Err(code) => {
            let error_code = code as i16;
            call.answer(&GetTelemetrySubscriptionsResponse { error_code, ..Default::default() })
        }
    }
}
