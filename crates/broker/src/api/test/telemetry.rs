//! Clients ask what to push, push it, and do not do so more often than they are told.

use std::time::Duration;

use milena_protocol::{
    Uuid,
    api::{
        ApiKey, GetTelemetrySubscriptionsRequest, IncrementalAlterConfigsRequest,
        PushTelemetryRequest,
        incremental_alter_configs::request::{AlterConfigsResource, AlterableConfig},
    },
};

use super::Rig;

#[test]
fn what_a_client_pushes_is_kept_within_bounds() {
    let mut rig = Rig::start("telemetry.max.bytes=100");
    let set = |name, value| AlterableConfig { name, config_operation: 0, value: Some(value) };
    let resource = AlterConfigsResource {
        resource_type: 16,
        resource_name: "all",
        configs: vec![set("metrics", "org.apache"), set("interval.ms", "200000")],
    };
    let request =
        IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    rig.ask(ApiKey::IncrementalAlterConfigs, &request);
    let get = |client_instance_id| GetTelemetrySubscriptionsRequest { client_instance_id };
    let told = rig.ask(ApiKey::GetTelemetrySubscriptions, &get(Uuid::ZERO));
    assert_eq!((&told["errorCode"], &told["pushIntervalMs"]), (&0.into(), &200_000.into()));
    assert_eq!(told["requestedMetrics"], serde_json::json!(["org.apache"]));
    assert_eq!(told["telemetryMaxBytes"], 100);
    let id: Uuid = told["clientInstanceId"].as_str().unwrap().parse().unwrap();
    let again = rig.ask(ApiKey::GetTelemetrySubscriptions, &get(id));
    assert_eq!(again["errorCode"], 89, "too soon");
    let subscription_id = i32::try_from(told["subscriptionId"].as_i64().unwrap()).unwrap();
    let mut push = |client_instance_id, subscription_id, compression_type, metrics: &[u8]| {
        let request = PushTelemetryRequest {
            client_instance_id,
            subscription_id,
            terminating: false,
            compression_type,
            metrics,
        };
        rig.ask(ApiKey::PushTelemetry, &request)["errorCode"].as_i64().unwrap()
    };
    assert_eq!(push(Uuid::ZERO, 0, 0, b""), 42, "nobody");
    assert_eq!(push(id, subscription_id ^ 1, 0, b"m"), 117);
    assert_eq!(push(id, subscription_id, 9, b"m"), 76, "tried again at once");
    assert_eq!(push(id, subscription_id, 4, b"metrics"), 0);
    assert_eq!(push(id, subscription_id, 4, b"metrics"), 89, "too soon");
    let broker = rig.server.as_ref().unwrap().broker();
    let pushed_after = |wait| {
        let now = broker.clock.monotonic() + Duration::from_secs(wait);
        broker.telemetry.pushed(now)
    };
    assert_eq!(pushed_after(601).len(), 0, "who does not push any more has gone");
    let kept = pushed_after(590);
    assert_eq!((kept.len(), kept[0].0, &*kept[0].1.metrics), (1, id, &b"metrics"[..]));
    let mut stranger = |metrics: &[u8]| {
        let told = rig.ask(ApiKey::GetTelemetrySubscriptions, &get(Uuid::ZERO));
        let request = PushTelemetryRequest {
            client_instance_id: told["clientInstanceId"].as_str().unwrap().parse().unwrap(),
            subscription_id: i32::try_from(told["subscriptionId"].as_i64().unwrap()).unwrap(),
            metrics,
            ..Default::default()
        };
        rig.ask(ApiKey::PushTelemetry, &request)["errorCode"].as_i64().unwrap()
    };
    assert_eq!(stranger(&[7; 101]), 118);
    assert_eq!(stranger(&[7; 100]), 0);
}
