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
use crate::image::{Broker, NO_LEADER, Partition, Topic};

/// What was last heard of a broker.
#[derive(Clone, Copy, Debug, Default)]
struct Session {
    last_contact: Duration,
    /// Up to where it has read the metadata log.
    metadata_offset: i64,
    /// It may go when all others have read up to here.
    shutdown_offset: Option<i64>,
}

/// What was last heard of every broker.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    brokers: BTreeMap<i32, Session>,
}

impl Sessions {
    fn is_alive(&self, now: Duration, timeout: Duration, broker: i32) -> bool {
        self.brokers.get(&broker).is_some_and(|session| now < session.last_contact + timeout)
    }

    fn touch(&mut self, broker: i32, now: Duration) -> &mut Session {
        let session = self.brokers.entry(broker).or_default();
        session.last_contact = now;
        session
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
    *scene.sessions.touch(request.broker_id, scene.now.elapsed) =
        Session { last_contact: scene.now.elapsed, ..Session::default() };
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
fn remove_from_isrs(scene: &mut Scene<'_>, id: i32) -> Result<(), ControllerError> {
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

fn put_change(
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

fn fence(scene: &mut Scene<'_>, broker: &Broker) -> Result<(), ControllerError> {
    remove_from_isrs(scene, broker.id)?;
    put_change(scene, broker, BrokerRegistrationChangeRecord { fenced: 1, ..Default::default() })
}

fn unfence(scene: &mut Scene<'_>, broker: &Broker) -> Result<(), ControllerError> {
    let change = BrokerRegistrationChangeRecord { fenced: -1, ..Default::default() };
    put_change(scene, broker, change)?;
    let id = broker.id;
    change_partitions(scene, |scene, topic, number, partition| {
        if partition.leader != NO_LEADER || !partition.replicas.contains(&id) {
            return None;
        }
        let mut change = Change::new(topic, number, partition);
        change.election = election_of(scene, &topic.name);
        change.arriving = Some(id);
        change.decide(scene)
    })
}

pub(super) fn heartbeat(
    scene: &mut Scene<'_>,
    request: &BrokerHeartbeatRequest,
) -> Result<(), ControllerError> {
    let image = scene.image;
    let broker = image.cluster.broker(request.broker_id);
    let response = match broker.filter(|broker| broker.epoch == request.broker_epoch) {
        None => BrokerHeartbeatResponse {
            error_code: ErrorCode::StaleBrokerEpoch as i16,
            ..BrokerHeartbeatResponse::default()
        },
        Some(broker) => beat(scene, request, broker)?,
    };
    scene.answer(&response)
}

/// How a broker stands, and how it may stand next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Fenced,
    Unfenced,
    ControlledShutdown,
    /// Nothing holds it any more.
    ShutDown,
}

fn beat(
    scene: &mut Scene<'_>,
    request: &BrokerHeartbeatRequest,
    broker: &Broker,
) -> Result<BrokerHeartbeatResponse, ControllerError> {
    let current = match (broker.is_fenced, broker.in_controlled_shutdown) {
        (true, _) => Standing::Fenced,
        (_, true) => Standing::ControlledShutdown,
        _ => Standing::Unfenced,
    };
    let next = next_standing(scene, request, broker, current);
    let now = scene.now.elapsed;
    scene.sessions.touch(broker.id, now).metadata_offset = request.current_metadata_offset;
    if next != current {
        match next {
            Standing::Unfenced => unfence(scene, broker)?,
            Standing::Fenced | Standing::ShutDown if !broker.is_fenced => fence(scene, broker)?,
            Standing::ControlledShutdown => {
                let in_controlled_shutdown = 1;
                let change =
                    BrokerRegistrationChangeRecord { in_controlled_shutdown, ..Default::default() };
                put_change(scene, broker, change)?;
                remove_from_isrs(scene, broker.id)?;
                let end = scene.next_offset + scene.outcome.records.len() as i64;
                scene.sessions.touch(broker.id, now).shutdown_offset = Some(end - 1);
            }
            _ => {}
        }
    }
    lose_directories(scene, broker, &request.offline_log_dirs)?;
    cordon(scene, broker, request.cordoned_log_dirs.as_ref())?;
    Ok(BrokerHeartbeatResponse {
        is_caught_up: request.current_metadata_offset >= broker.epoch,
        is_fenced: matches!(next, Standing::Fenced | Standing::ShutDown),
        should_shut_down: next == Standing::ShutDown,
        ..BrokerHeartbeatResponse::default()
    })
}

fn next_standing(
    scene: &Scene<'_>,
    request: &BrokerHeartbeatRequest,
    broker: &Broker,
    current: Standing,
) -> Standing {
    let leads = || {
        let mut partitions = scene.image.topics.iter().flat_map(|topic| topic.partitions());
        partitions.any(|(_, partition)| partition.leader == broker.id)
    };
    match current {
        Standing::Fenced if request.want_shut_down => Standing::ShutDown,
        Standing::Fenced
            if !request.want_fence && request.current_metadata_offset >= broker.epoch =>
        {
            Standing::Unfenced
        }
        Standing::Unfenced if request.want_fence && request.want_shut_down => Standing::ShutDown,
        Standing::Unfenced if request.want_fence => Standing::Fenced,
        Standing::Unfenced if request.want_shut_down && leads() => Standing::ControlledShutdown,
        Standing::Unfenced if request.want_shut_down => Standing::ShutDown,
        Standing::ControlledShutdown if !leads() && others_know(scene, broker.id) => {
            Standing::ShutDown
        }
        _ => current,
    }
}

/// Whether every other active broker has read that this one leads nothing any more.
fn others_know(scene: &Scene<'_>, broker: i32) -> bool {
    let sessions = &scene.sessions.brokers;
    let needed = sessions.get(&broker).and_then(|session| session.shutdown_offset).unwrap_or(-1);
    let mut others =
        scene.image.cluster.brokers().filter(|other| other.is_active() && other.id != broker);
    others.all(|other| {
        // The one in this process reads along with the controller.
        scene.options.own_broker == Some(other.id)
            || sessions.get(&other.id).is_some_and(|session| session.metadata_offset >= needed)
    })
}

/// Directories that failed: what lay there leads nothing.
fn lose_directories(
    scene: &mut Scene<'_>,
    broker: &Broker,
    offline: &[Uuid],
) -> Result<(), ControllerError> {
    let (lost, left): (Vec<Uuid>, Vec<Uuid>) =
        broker.directories.iter().partition(|id| offline.contains(id));
    if lost.is_empty() {
        return Ok(());
    }
    let id = broker.id;
    change_partitions(scene, |scene, topic, number, partition| {
        let lies_there = partition.directory(id).is_some_and(|it| lost.contains(&it));
        if !lies_there || !partition.isr.contains(&id) {
            return None;
        }
        let mut change = Change::new(topic, number, partition);
        change.election = election_of(scene, &topic.name);
        change.isr.retain(|replica| *replica != id);
        change.leaving = Some(id);
        change.decide(scene)
    })?;
    put_change(
        scene,
        broker,
        BrokerRegistrationChangeRecord { log_dirs: left, ..Default::default() },
    )
}

fn cordon(
    scene: &mut Scene<'_>,
    broker: &Broker,
    cordoned: Option<&Vec<Uuid>>,
) -> Result<(), ControllerError> {
    let known = broker.cordoned_directories.as_deref().unwrap_or_default();
    match cordoned {
        Some(cordoned) if cordoned != known => {
            let cordoned_log_dirs = Some(cordoned.clone());
            let change = BrokerRegistrationChangeRecord { cordoned_log_dirs, ..Default::default() };
            put_change(scene, broker, change)
        }
        _ => Ok(()),
    }
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
    remove_from_isrs(scene, broker.id)?;
    scene.put(&Value::UnregisterBrokerRecord(UnregisterBrokerRecord {
        broker_id: broker.id,
        broker_epoch: broker.epoch,
    }))?;
    scene.sessions.brokers.remove(&broker.id);
    scene.answer(&UnregisterBrokerResponse::default())
}

/// Fences a broker that was not heard of for too long. A new controller gives everybody a whole
/// session to be heard of.
pub(super) fn expire(scene: &mut Scene<'_>) -> Result<(), ControllerError> {
    let image = scene.image;
    let (now, timeout) = (scene.now.elapsed, scene.options.session_timeout);
    for broker in image.cluster.brokers().filter(|broker| !broker.is_fenced) {
        if scene.options.own_broker == Some(broker.id) {
            continue;
        }
        let session = scene.sessions.brokers.entry(broker.id);
        let session = session.or_insert(Session { last_contact: now, ..Session::default() });
        if now >= session.last_contact + timeout {
            // One at a time: the next has to be judged by what became of this one.
            return fence(scene, broker);
        }
    }
    Ok(())
}

impl Sessions {
    /// When [`expire`] has to be asked next, if there is any broker to be watched.
    pub(super) fn next_expiry(
        &self,
        timeout: Duration,
        watched: impl Iterator<Item = i32>,
    ) -> Option<Duration> {
        let last = |id| self.brokers.get(&id).map_or(Duration::ZERO, |it| it.last_contact);
        watched.map(|id| last(id) + timeout).min()
    }
}
