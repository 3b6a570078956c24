//! Brokers come and go; how they stay alive is in `liveness`.

use std::collections::BTreeSet;

use milena_protocol::{
    ErrorCode, Uuid,
    api::{
        BrokerRegistrationRequest, BrokerRegistrationResponse, UnregisterBrokerRequest,
        UnregisterBrokerResponse,
    },
    metadata::{
        BrokerRegistrationChangeRecord, PartitionChangeRecord, RegisterBrokerRecord,
        UnregisterBrokerRecord, Value,
        register_broker::value::{BrokerEndpoint, BrokerFeature},
    },
};

use super::{
    ControllerError,
    election::{Change, election_of, is_reserved},
    scene::Scene,
};
use crate::image::{Broker, Partition, Topic};

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
    let timeout = scene.options.session_timeout;
    let is_alive = scene.sessions.is_alive(scene.now.elapsed, timeout, request.broker_id);
    if is_alive && existing.is_some_and(|broker| broker.incarnation != request.incarnation_id) {
        return Err(ErrorCode::DuplicateBrokerRegistration);
    }
    if request.is_migrating_zk_broker {
        return Err(ErrorCode::BrokerIdNotRegistered);
    }
    let directories: BTreeSet<Uuid> = request.log_dirs.iter().copied().collect();
    let mut others = scene.image.cluster.brokers().filter(|broker| broker.id != request.broker_id);
    let is_taken = |broker: &Broker| broker.directories.iter().any(|id| directories.contains(id));
    if directories.is_empty()
        || directories.len() != request.log_dirs.len()
        || directories.iter().any(|id| is_reserved(*id))
        || others.any(is_taken)
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
    if let Some(previous) = existing.filter(|_| same.is_none()) {
        end_previous_life(scene, previous, request)?;
    }
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
    scene.sessions.begin(request.broker_id, scene.now.elapsed);
    Ok(broker_epoch)
}

/// A broker that was started again leads nothing until it is unfenced. Where it is in this process
/// and alone has what is committed, it goes on leading, in a new epoch unless it had stopped
/// cleanly: after a crash an offset may be given to another record.
fn end_previous_life(
    scene: &mut Scene<'_>,
    previous: &Broker,
    request: &BrokerRegistrationRequest<'_>,
) -> Result<(), ControllerError> {
    let id = previous.id;
    let was_clean = request.previous_broker_epoch == previous.epoch;
    let is_own = scene.options.own_broker == Some(id);
    let has_directory = |partition: &Partition| {
        let directory = partition.directory(id).filter(|id| !is_reserved(*id));
        directory.is_none_or(|id| request.log_dirs.contains(&id))
    };
    change_partitions(scene, |scene, topic, number, partition| {
        if is_own && *partition.isr == [id] && has_directory(partition) {
            let leads_anew = partition.leader == id && !was_clean;
            return leads_anew.then(|| PartitionChangeRecord {
                topic_id: topic.id,
                partition_id: number,
                leader: id,
                ..PartitionChangeRecord::default()
            });
        }
        let is_concerned =
            partition.isr.contains(&id) || partition.eligible_leader_replicas().contains(&id);
        if !is_concerned {
            return None;
        }
        let mut change = Change::new(topic, number, partition);
        change.election = election_of(scene, &topic.name);
        change.isr.retain(|replica| *replica != id);
        match was_clean {
            true => change.leaving = Some(id),
            false => change.lost_memory = Some(id),
        }
        change.decide(scene)
    })
}

/// Goes over every partition and puts what `decide` wants changed.
pub(super) fn change_partitions(
    scene: &mut Scene<'_>,
    decide: impl Fn(&Scene<'_>, &Topic, i32, &Partition) -> Option<PartitionChangeRecord>,
) -> Result<(), ControllerError> {
    let image = scene.image;
    for topic in image.topics.sorted() {
        for (number, partition) in topic.partitions() {
            if let Some(record) = decide(scene, topic, number, partition) {
                scene.put(&Value::PartitionChangeRecord(record))?;
            }
        }
    }
    Ok(())
}

/// A broker leads nothing any more and leaves every ISR that has somebody else.
pub(super) fn remove_from_isrs(scene: &mut Scene<'_>, id: i32) -> Result<(), ControllerError> {
    change_partitions(scene, |scene, topic, number, partition| {
        if !partition.isr.contains(&id) {
            return None;
        }
        let mut change = Change::new(topic, number, partition);
        change.election = election_of(scene, &topic.name);
        change.isr.retain(|replica| *replica != id);
        change.leaving = Some(id);
        change.decide(scene)
    })
}

pub(super) fn put_change(
    scene: &mut Scene<'_>,
    broker: &Broker,
    change: BrokerRegistrationChangeRecord,
) -> Result<(), ControllerError> {
    scene.put(&Value::BrokerRegistrationChangeRecord(BrokerRegistrationChangeRecord {
        broker_id: broker.id,
        broker_epoch: broker.epoch,
        ..change
    }))
}

pub(super) fn unregister(
    scene: &mut Scene<'_>,
    request: &UnregisterBrokerRequest,
) -> Result<(), ControllerError> {
    let image = scene.image;
    let Some(broker) = image.cluster.broker(request.broker_id) else {
        let message = format!("Broker ID {} is not currently registered", request.broker_id);
        return scene.answer(&UnregisterBrokerResponse {
            error_code: ErrorCode::BrokerIdNotRegistered as i16,
            error_message: Some(&message),
            throttle_time_ms: 0,
        });
    };
    if scene.options.own_broker == Some(broker.id) {
        // It would serve on, unknown to every client, until its process is started again.
        let message =
            format!("Broker {} runs in this controller's process; stop it first", broker.id);
        return scene.answer(&UnregisterBrokerResponse {
            error_code: ErrorCode::InvalidRequest as i16,
            error_message: Some(&message),
            throttle_time_ms: 0,
        });
    }
    remove_from_isrs(scene, broker.id)?;
    scene.put(&Value::UnregisterBrokerRecord(UnregisterBrokerRecord {
        broker_id: broker.id,
        broker_epoch: broker.epoch,
    }))?;
    scene.sessions.forget(broker.id);
    scene.answer(&UnregisterBrokerResponse::default())
}
