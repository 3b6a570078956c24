//! Brokers come, stay alive, and go.
//!
//! Which brokers there are is in the image; when each was last heard of is known here alone, and
//! begins anew with every new controller.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use milena_protocol::{
    ErrorCode, Uuid,
    api::{
        BrokerHeartbeatRequest, BrokerHeartbeatResponse, BrokerRegistrationRequest,
        BrokerRegistrationResponse, UnregisterBrokerRequest, UnregisterBrokerResponse,
    },
    metadata::{
        BrokerRegistrationChangeRecord, RegisterBrokerRecord, UnregisterBrokerRecord, Value,
        register_broker::value::{BrokerEndpoint, BrokerFeature},
    },
};

use super::{ControllerError, scene::Scene};
use crate::image::Broker;

/// When each broker was last heard of.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    last_contact: BTreeMap<i32, Duration>,
}

impl Sessions {
    fn is_alive(&self, scene_now: Duration, timeout: Duration, broker: i32) -> bool {
        self.last_contact.get(&broker).is_some_and(|last| scene_now < *last + timeout)
    }
}

pub(super) fn register(
    scene: &mut Scene<'_>,
    request: &BrokerRegistrationRequest<'_>,
) -> Result<(), ControllerError> {
    let existing = scene.image.cluster.broker(request.broker_id);
    let result = judge_registration(scene, request, existing);
    let broker_epoch = match result {
        Ok(()) => put_registration(scene, request, existing)?,
        Err(_) => -1,
    };
    let error_code = result.err().map_or(0, |code| code as i16);
    scene.answer(&BrokerRegistrationResponse { throttle_time_ms: 0, error_code, broker_epoch })
}

fn judge_registration(
    scene: &Scene<'_>,
    request: &BrokerRegistrationRequest<'_>,
    existing: Option<&Broker>,
) -> Result<(), ErrorCode> {
    if request.cluster_id != scene.options.cluster_id {
        return Err(ErrorCode::InconsistentClusterId);
    }
    let is_alive = scene.sessions.is_alive(
        scene.now.elapsed,
        scene.options.session_timeout,
        request.broker_id,
    );
    if is_alive && existing.is_some_and(|broker| broker.incarnation != request.incarnation_id) {
        return Err(ErrorCode::DuplicateBrokerRegistration);
    }
    if request.is_migrating_zk_broker {
        return Err(ErrorCode::BrokerIdNotRegistered);
    }
    // The first hundred ids have a meaning of their own.
    let is_reserved = |id: &Uuid| u128::from_be_bytes(id.to_be_bytes()) < 100;
    let directories: BTreeSet<Uuid> = request.log_dirs.iter().copied().collect();
    let others = scene.image.cluster.brokers().filter(|broker| broker.id != request.broker_id);
    let is_taken = |broker: &Broker| broker.directories.iter().any(|id| directories.contains(id));
    if directories.is_empty()
        || directories.len() != request.log_dirs.len()
        || directories.iter().any(is_reserved)
        || others.into_iter().any(is_taken)
    {
        return Err(ErrorCode::InvalidRegistration);
    }
    // It must be able to work at every level that is finalised.
    let is_supported = |name: &str, level: i16| {
        let feature = request.features.iter().find(|feature| feature.name == name);
        feature.map_or(level == 0, |it| {
            (it.min_supported_version..=it.max_supported_version).contains(&level)
        })
    };
    match scene.image.features.iter().all(|(name, level)| is_supported(name, level)) {
        true => Ok(()),
        false => Err(ErrorCode::UnsupportedVersion),
    }
}

/// Says in which epoch the broker is.
fn put_registration(
    scene: &mut Scene<'_>,
    request: &BrokerRegistrationRequest<'_>,
    existing: Option<&Broker>,
) -> Result<i64, ControllerError> {
    let same = existing.filter(|broker| broker.incarnation == request.incarnation_id);
    let broker_epoch = match same {
        Some(broker) => broker.epoch,
        None => scene.next_offset + scene.outcome.records.len() as i64,
    };
    let record = RegisterBrokerRecord {
        broker_id: request.broker_id,
        is_migrating_zk_broker: false,
        incarnation_id: request.incarnation_id,
        broker_epoch,
        end_points: request
            .listeners
            .iter()
            .map(|listener| BrokerEndpoint {
                name: listener.name,
                host: listener.host,
                port: listener.port,
                security_protocol: listener.security_protocol,
            })
            .collect(),
        features: request
            .features
            .iter()
            .map(|feature| BrokerFeature {
                name: feature.name,
                min_supported_version: feature.min_supported_version,
                max_supported_version: feature.max_supported_version,
            })
            .collect(),
        rack: request.rack,
        fenced: same.is_none_or(|broker| broker.is_fenced),
        in_controlled_shutdown: same.is_some_and(|broker| broker.in_controlled_shutdown),
        log_dirs: request.log_dirs.clone(),
        cordoned_log_dirs: same.and_then(|broker| broker.cordoned_directories.clone()),
    };
    scene.put(&Value::RegisterBrokerRecord(record))?;
    scene.sessions.last_contact.insert(request.broker_id, scene.now.elapsed);
    Ok(broker_epoch)
}

pub(super) fn heartbeat(
    scene: &mut Scene<'_>,
    request: &BrokerHeartbeatRequest,
) -> Result<(), ControllerError> {
    let refuse = |code: ErrorCode| BrokerHeartbeatResponse {
        error_code: code as i16,
        ..BrokerHeartbeatResponse::default()
    };
    let response = match scene.image.cluster.broker(request.broker_id) {
        None => refuse(ErrorCode::BrokerIdNotRegistered),
        Some(broker) if broker.epoch != request.broker_epoch => refuse(ErrorCode::StaleBrokerEpoch),
        Some(broker) => beat(scene, request, broker)?,
    };
    scene.answer(&response)
}

fn beat(
    scene: &mut Scene<'_>,
    request: &BrokerHeartbeatRequest,
    broker: &Broker,
) -> Result<BrokerHeartbeatResponse, ControllerError> {
    scene.sessions.last_contact.insert(broker.id, scene.now.elapsed);
    let is_caught_up = request.current_metadata_offset >= broker.epoch;
    let wants_out = request.want_fence || request.want_shut_down;
    let is_fenced = wants_out || (broker.is_fenced && !is_caught_up);
    if is_fenced != broker.is_fenced {
        let fenced = if is_fenced { 1 } else { -1 };
        scene.put(&Value::BrokerRegistrationChangeRecord(BrokerRegistrationChangeRecord {
            broker_id: broker.id,
            broker_epoch: broker.epoch,
            fenced,
            ..BrokerRegistrationChangeRecord::default()
        }))?;
    }
    Ok(BrokerHeartbeatResponse {
        is_caught_up,
        is_fenced,
        should_shut_down: request.want_shut_down,
        ..BrokerHeartbeatResponse::default()
    })
}

pub(super) fn unregister(
    scene: &mut Scene<'_>,
    request: &UnregisterBrokerRequest,
) -> Result<(), ControllerError> {
    let Some(broker) = scene.image.cluster.broker(request.broker_id) else {
        let error_code = ErrorCode::BrokerIdNotRegistered as i16;
        let message = format!("Broker ID {} is not currently registered", request.broker_id);
        let error_message = Some(message.as_str());
        return scene.answer(&UnregisterBrokerResponse {
            error_code,
            error_message,
            throttle_time_ms: 0,
        });
    };
    scene.put(&Value::UnregisterBrokerRecord(UnregisterBrokerRecord {
        broker_id: broker.id,
        broker_epoch: broker.epoch,
    }))?;
    scene.answer(&UnregisterBrokerResponse::default())
}
