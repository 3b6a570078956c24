//! Brokers stay alive: heartbeats, fencing, orderly stops, directories that fail.
//!
//! When each broker was last heard of is known here alone, and begins anew with every controller.

use std::{collections::BTreeMap, time::Duration};

use milena_protocol::{
    ErrorCode, Uuid,
    api::{BrokerHeartbeatRequest, BrokerHeartbeatResponse},
    metadata::BrokerRegistrationChangeRecord,
};

use super::{
    ControllerError,
    brokers::{change_partitions, put_change, remove_from_isrs},
    election::{Change, election_of},
    scene::Scene,
};
use crate::image::{Broker, NO_LEADER};

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
    pub(super) fn is_alive(&self, now: Duration, timeout: Duration, broker: i32) -> bool {
        self.brokers.get(&broker).is_some_and(|session| now < session.last_contact + timeout)
    }

    fn touch(&mut self, broker: i32, now: Duration) -> &mut Session {
        let session = self.brokers.entry(broker).or_default();
        session.last_contact = now;
        session
    }

    /// A new life of a broker has just been heard of.
    pub(super) fn begin(&mut self, broker: i32, now: Duration) {
        let session = Session { last_contact: now, ..Session::default() };
        self.brokers.insert(broker, session);
    }

    pub(super) fn forget(&mut self, broker: i32) {
        self.brokers.remove(&broker);
    }

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
