//! Who leads a partition, and who is in its ISR, when something has changed.
//!
//! Everything that touches a partition's leader, ISR or replicas goes through [`Change`]: it looks
//! for a leader where one is needed, ends a reassignment that has reached its goal, keeps the
//! eligible leader replicas (KIP-966), and says in one record what is different.

use milena_protocol::{Uuid, metadata::PartitionChangeRecord};

use super::{assignment::default_directory, scene::Scene};
use crate::image::{ConfigResource, NO_LEADER, Partition, Topic};

/// The feature that lets replicas outside of the ISR be remembered as complete.
const ELR_FEATURE: &str = "eligible.leader.replicas.version";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Election {
    /// The leader changes only where it cannot stay.
    Online,
    /// The first replica leads if it can.
    Preferred,
    /// Where nobody from the ISR can lead, anybody may: records can be lost.
    Unclean,
}

/// What is wanted of a partition; what is not said stays as it is.
pub(super) struct Change<'a> {
    topic: &'a Topic,
    id: i32,
    now: &'a Partition,
    pub(super) election: Election,
    pub(super) isr: Vec<i32>,
    pub(super) replicas: Vec<i32>,
    pub(super) removing: Vec<i32>,
    pub(super) adding: Vec<i32>,
    pub(super) is_recovering: bool,
    /// A replica that moves to another directory.
    pub(super) directory: Option<(i32, Uuid)>,
    /// Leads nothing, as it is about to go.
    pub(super) leaving: Option<i32>,
    /// May lead, as it is about to be unfenced.
    pub(super) arriving: Option<i32>,
    /// What it has may not be all that it had.
    pub(super) lost_memory: Option<i32>,
    elr: Vec<i32>,
}

impl<'a> Change<'a> {
    pub(super) fn new(topic: &'a Topic, id: i32, now: &'a Partition) -> Self {
        Self {
            topic,
            id,
            now,
            election: Election::Online,
            isr: now.isr.to_vec(),
            replicas: now.replicas.to_vec(),
            removing: now.removing_replicas().to_vec(),
            adding: now.adding_replicas().to_vec(),
            is_recovering: now.is_recovering,
            directory: None,
            leaving: None,
            arriving: None,
            lost_memory: None,
            elr: now.eligible_leader_replicas().to_vec(),
        }
    }

    /// The record that says what becomes of the partition; `None` where nothing changes.
    pub(super) fn decide(mut self, scene: &Scene<'_>) -> Option<PartitionChangeRecord> {
        let keeps_elr = scene.image.features.level(ELR_FEATURE) > 0;
        let mut record = PartitionChangeRecord {
            topic_id: self.topic.id,
            partition_id: self.id,
            ..PartitionChangeRecord::default()
        };
        self.end_reassignment();
        if keeps_elr {
            self.gather_elr(scene);
        }
        self.elect(scene, keeps_elr, &mut record);
        let is_unclean = record.isr.is_some();
        if !keeps_elr || is_unclean {
            self.elr.clear();
        }
        // A replica that goes must not be followed any more: the leader begins a new epoch.
        let goes = |list: &[i32], replica: &i32| !list.contains(replica);
        if record.leader == NO_CHANGE
            && self.now.replicas.iter().any(|replica| goes(&self.replicas, replica))
        {
            record.leader = self.now.leader;
        }
        if !is_unclean && self.isr != *self.now.isr && (!self.isr.is_empty() || keeps_elr) {
            record.isr = Some(self.isr.clone());
        }
        self.note_last_leader(keeps_elr, &mut record);
        self.note_assignment(scene, &mut record);
        if record.leader_recovery_state < 0 && self.is_recovering != self.now.is_recovering {
            record.leader_recovery_state = i8::from(self.is_recovering);
        }
        let nothing = PartitionChangeRecord {
            topic_id: self.topic.id,
            partition_id: self.id,
            ..PartitionChangeRecord::default()
        };
        (record != nothing).then_some(record)
    }

    /// Once all replicas that are to stay are in sync, the others go.
    fn end_reassignment(&mut self) {
        if self.removing.is_empty() && self.adding.is_empty() {
            return;
        }
        let stays = |replica: &i32| !self.removing.contains(replica);
        let isr: Vec<i32> = self.isr.iter().copied().filter(stays).collect();
        let replicas: Vec<i32> = self.replicas.iter().copied().filter(stays).collect();
        if isr.is_empty() || replicas.is_empty() || !replicas.iter().all(|it| isr.contains(it)) {
            return;
        }
        (self.isr, self.replicas) = (isr, replicas);
        (self.removing, self.adding) = (Vec::new(), Vec::new());
    }

    /// Who leaves an ISR that is too small stays eligible, unless it lost its memory.
    fn gather_elr(&mut self, scene: &Scene<'_>) {
        if self.isr.len() >= min_insync_replicas(scene, &self.topic.name) {
            self.elr.clear();
            return;
        }
        let mut elr: Vec<i32> = self.elr.iter().chain(self.now.isr.iter()).copied().collect();
        elr.sort_unstable();
        elr.dedup();
        elr.retain(|replica| !self.isr.contains(replica) && self.lost_memory != Some(*replica));
        self.elr = elr;
    }

    /// Finds a leader. One from outside of ISR and ELR becomes the whole ISR.
    fn elect(&mut self, scene: &Scene<'_>, keeps_elr: bool, record: &mut PartitionChangeRecord) {
        let is_awake = |replica: i32| self.may_lead(scene, replica);
        let is_clean = |replica: i32| {
            let is_complete =
                self.isr.contains(&replica) || (self.isr.is_empty() && self.elr.contains(&replica));
            is_complete && is_awake(replica)
        };
        let preferred = self
            .replicas
            .first()
            .copied()
            .filter(|it| self.election == Election::Preferred && is_clean(*it));
        let stays = Some(self.now.leader).filter(|leader| is_clean(*leader));
        let anybody = self.replicas.iter().copied().find(|replica| is_clean(*replica));
        let clean = preferred.or(stays).or(anybody);
        let last_known = match self.now.last_known_elr() {
            [last] if keeps_elr && self.isr.is_empty() && self.elr.is_empty() => Some(*last),
            _ => None,
        };
        let unclean = || {
            let any = self.replicas.iter().copied().find(|replica| is_awake(*replica));
            let any = any.filter(|_| self.election == Election::Unclean);
            last_known.filter(|last| is_awake(*last)).or(any)
        };
        let (leader, is_unclean) = match clean {
            Some(leader) => (leader, false),
            None => unclean().map_or((NO_LEADER, false), |leader| (leader, true)),
        };
        if leader == self.now.leader {
            return;
        }
        record.leader = leader;
        if self.elr.contains(&leader) {
            self.isr = vec![leader];
            self.elr.retain(|replica| *replica != leader);
        }
        if is_unclean {
            record.isr = Some(vec![leader]);
            if !self.now.is_recovering {
                record.leader_recovery_state = 1;
                self.is_recovering = true;
            }
        }
    }

    /// Whether a replica is awake and its directory is there.
    fn may_lead(&self, scene: &Scene<'_>, replica: i32) -> bool {
        if self.leaving == Some(replica) || self.lost_memory == Some(replica) {
            return false;
        }
        let Some(broker) = scene.image.cluster.broker(replica) else { return false };
        let is_active = broker.is_active() || self.arriving == Some(replica);
        let directory = self.now.directory(replica).filter(|id| !is_reserved(*id));
        is_active && directory.is_none_or(|id| broker.directories.contains(&id))
    }

    fn note_last_leader(&self, keeps_elr: bool, record: &mut PartitionChangeRecord) {
        if self.elr != self.now.eligible_leader_replicas() {
            record.eligible_leader_replicas = Some(self.elr.clone());
        }
        let last_known = self.now.last_known_elr();
        let leads = match record.leader {
            NO_CHANGE => self.now.leader != NO_LEADER,
            leader => leader >= 0,
        };
        if keeps_elr && record.isr.as_ref().is_some_and(Vec::is_empty) {
            if last_known != [self.now.leader] {
                record.last_known_elr = Some(vec![self.now.leader]);
            }
        } else if leads && !last_known.is_empty() {
            record.last_known_elr = Some(Vec::new());
        }
    }

    fn note_assignment(&self, scene: &Scene<'_>, record: &mut PartitionChangeRecord) {
        let directory = |replica: i32| match self.directory {
            Some((broker, directory)) if broker == replica => directory,
            _ => self.now.directory(replica).unwrap_or_else(|| default_directory(scene, replica)),
        };
        let directories: Vec<Uuid> = self.replicas.iter().copied().map(directory).collect();
        if directories != self.now.directories() {
            record.directories = Some(directories);
        }
        if self.replicas != *self.now.replicas {
            record.replicas = Some(self.replicas.clone());
        }
        if self.removing != self.now.removing_replicas() {
            record.removing_replicas = Some(self.removing.clone());
        }
        if self.adding != self.now.adding_replicas() {
            record.adding_replicas = Some(self.adding.clone());
        }
    }
}

/// In a change record: the leader stays, and its epoch.
const NO_CHANGE: i32 = -2;

/// The first hundred ids have a meaning of their own: unassigned, lost, migrating.
pub(super) fn is_reserved(id: Uuid) -> bool {
    u128::from_be_bytes(id.to_be_bytes()) < 100
}

/// The setting of a topic, or else of all brokers.
fn setting<'a>(scene: &Scene<'a>, topic: &str, key: &str) -> Option<&'a str> {
    let all_brokers = ConfigResource::new(crate::image::ResourceType::Broker, "");
    let configs = &scene.image.configs;
    configs.value(&ConfigResource::topic(topic), key).or_else(|| configs.value(&all_brokers, key))
}

pub(super) fn min_insync_replicas(scene: &Scene<'_>, topic: &str) -> usize {
    let set = setting(scene, topic, "min.insync.replicas").and_then(|value| value.parse().ok());
    usize::try_from(set.unwrap_or(scene.options.min_insync_replicas)).unwrap_or(1)
}

pub(super) fn allows_unclean_election(scene: &Scene<'_>, topic: &str) -> bool {
    let set = setting(scene, topic, "unclean.leader.election.enable");
    set.map_or(scene.options.unclean_leader_election, |value| value.eq_ignore_ascii_case("true"))
}

/// [`Election::Unclean`] for a topic that allows it.
pub(super) fn election_of(scene: &Scene<'_>, topic: &str) -> Election {
    match allows_unclean_election(scene, topic) {
        true => Election::Unclean,
        false => Election::Online,
    }
}
