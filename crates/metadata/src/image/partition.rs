//! One partition as the metadata know it, in as few bytes as most partitions need.

use milena_protocol::{
    Uuid,
    metadata::{PartitionChangeRecord, PartitionRecord},
};

/// No broker leads.
pub const NO_LEADER: i32 = -1;
/// In a change record: the leader stays.
const NO_LEADER_CHANGE: i32 = -2;

/// A short list of broker ids; up to three lie in place.
#[derive(Clone, PartialEq, Eq)]
pub struct NodeList(Nodes);

#[derive(Clone, PartialEq, Eq)]
#[expect(clippy::box_collection, reason = "a boxed slice is a word longer")]
enum Nodes {
    Few { len: u8, ids: [i32; 3] },
    Many(Box<Vec<i32>>),
}

impl NodeList {
    #[must_use]
    pub fn as_slice(&self) -> &[i32] {
        match &self.0 {
            Nodes::Few { len, ids } => ids.get(..usize::from(*len)).unwrap_or_default(),
            Nodes::Many(ids) => ids,
        }
    }
}

impl std::ops::Deref for NodeList {
    type Target = [i32];

    fn deref(&self) -> &[i32] {
        self.as_slice()
    }
}

impl From<&[i32]> for NodeList {
    fn from(from: &[i32]) -> Self {
        let mut ids = [0; 3];
        match ids.get_mut(..from.len()) {
            Some(place) => {
                place.copy_from_slice(from);
                Self(Nodes::Few { len: from.len() as u8, ids })
            }
            None => Self(Nodes::Many(Box::new(from.to_vec()))),
        }
    }
}

impl Default for NodeList {
    fn default() -> Self {
        Self::from(&[][..])
    }
}

impl std::fmt::Debug for NodeList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_slice().fmt(f)
    }
}

/// The log directory of each replica, in the order of the replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Directories {
    One(Uuid),
    Many(Box<[Uuid]>),
}

impl From<&[Uuid]> for Directories {
    fn from(from: &[Uuid]) -> Self {
        match from {
            [one] => Self::One(*one),
            many => Self::Many(many.into()),
        }
    }
}

/// What hardly any partition has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rare {
    removing: Vec<i32>,
    adding: Vec<i32>,
    elr: Vec<i32>,
    last_known_elr: Vec<i32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    pub replicas: NodeList,
    pub isr: NodeList,
    directories: Directories,
    rare: Option<Box<Rare>>,
    /// [`NO_LEADER`] where nobody leads.
    pub leader: i32,
    pub leader_epoch: i32,
    pub partition_epoch: i32,
    /// The leader was elected from outside of the ISR and has yet to make up its mind.
    pub is_recovering: bool,
}

impl Partition {
    /// The directory of each replica; empty where nobody said.
    #[must_use]
    pub fn directories(&self) -> &[Uuid] {
        match &self.directories {
            Directories::One(one) => std::slice::from_ref(one),
            Directories::Many(many) => many,
        }
    }

    /// The directory of one replica, where it was said.
    #[must_use]
    pub fn directory(&self, broker: i32) -> Option<Uuid> {
        let at = self.replicas.iter().position(|replica| *replica == broker)?;
        self.directories().get(at).copied()
    }

    /// Replicas that a reassignment takes away.
    #[must_use]
    pub fn removing_replicas(&self) -> &[i32] {
        self.rare.as_ref().map_or(&[], |rare| &rare.removing)
    }

    /// Replicas that a reassignment brings.
    #[must_use]
    pub fn adding_replicas(&self) -> &[i32] {
        self.rare.as_ref().map_or(&[], |rare| &rare.adding)
    }

    /// Replicas outside of the ISR that are known to have everything committed (KIP-966).
    #[must_use]
    pub fn eligible_leader_replicas(&self) -> &[i32] {
        self.rare.as_ref().map_or(&[], |rare| &rare.elr)
    }

    #[must_use]
    pub fn last_known_elr(&self) -> &[i32] {
        self.rare.as_ref().map_or(&[], |rare| &rare.last_known_elr)
    }

    #[must_use]
    pub fn is_reassigning(&self) -> bool {
        !self.removing_replicas().is_empty() || !self.adding_replicas().is_empty()
    }

    /// The replica that should lead.
    #[must_use]
    pub fn preferred_leader(&self) -> i32 {
        self.replicas.first().copied().unwrap_or(NO_LEADER)
    }

    pub(super) fn forget_elr(&mut self) {
        self.change_rare(|rare| {
            rare.elr.clear();
            rare.last_known_elr.clear();
        });
    }

    fn change_rare(&mut self, change: impl FnOnce(&mut Rare)) {
        let mut rare = self.rare.take().map_or_else(Rare::default, |rare| *rare);
        change(&mut rare);
        self.rare = (rare != Rare::default()).then(|| Box::new(rare));
    }

    /// Takes in a change.
    pub fn apply(&mut self, change: &PartitionChangeRecord) {
        if let Some(replicas) = &change.replicas {
            self.replicas = replicas.as_slice().into();
        }
        if let Some(isr) = &change.isr {
            self.isr = isr.as_slice().into();
        }
        if let Some(directories) = &change.directories {
            self.directories = directories.as_slice().into();
        }
        self.change_rare(|rare| {
            let lists = [
                (&mut rare.removing, &change.removing_replicas),
                (&mut rare.adding, &change.adding_replicas),
                (&mut rare.elr, &change.eligible_leader_replicas),
                (&mut rare.last_known_elr, &change.last_known_elr),
            ];
            for (list, new) in lists {
                if let Some(new) = new {
                    list.clone_from(new);
                }
            }
        });
        if change.leader != NO_LEADER_CHANGE {
            self.leader = change.leader;
            self.leader_epoch += 1;
        }
        if change.leader_recovery_state >= 0 {
            self.is_recovering = change.leader_recovery_state == 1;
        }
        self.partition_epoch += 1;
    }

    /// The record that says all of it.
    #[must_use]
    pub fn to_record(&self, topic_id: Uuid, partition_id: i32) -> PartitionRecord {
        let known = |list: &[i32]| (!list.is_empty()).then(|| list.to_vec());
        PartitionRecord {
            partition_id,
            topic_id,
            replicas: self.replicas.to_vec(),
            isr: self.isr.to_vec(),
            removing_replicas: self.removing_replicas().to_vec(),
            adding_replicas: self.adding_replicas().to_vec(),
            leader: self.leader,
            leader_recovery_state: i8::from(self.is_recovering),
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            directories: self.directories().to_vec(),
            eligible_leader_replicas: known(self.eligible_leader_replicas()),
            last_known_elr: known(self.last_known_elr()),
        }
    }
}

impl From<&PartitionRecord> for Partition {
    fn from(record: &PartitionRecord) -> Self {
        let mut partition = Self {
            replicas: record.replicas.as_slice().into(),
            isr: record.isr.as_slice().into(),
            directories: record.directories.as_slice().into(),
            rare: None,
            leader: record.leader,
            leader_epoch: record.leader_epoch,
            partition_epoch: record.partition_epoch,
            is_recovering: record.leader_recovery_state == 1,
        };
        partition.change_rare(|rare| {
            rare.removing.clone_from(&record.removing_replicas);
            rare.adding.clone_from(&record.adding_replicas);
            rare.elr = record.eligible_leader_replicas.clone().unwrap_or_default();
            rare.last_known_elr = record.last_known_elr.clone().unwrap_or_default();
        });
        partition
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_partition_is_small() {
        assert_eq!(size_of::<NodeList>(), 16);
        assert!(size_of::<Partition>() <= 88, "{}", size_of::<Partition>());
        assert_eq!(size_of::<Option<Partition>>(), size_of::<Partition>());
    }

    #[test]
    fn a_record_becomes_a_partition_and_the_same_record_again() {
        for brokers in 0..6 {
            let replicas: Vec<i32> = (0..brokers).collect();
            let record = PartitionRecord {
                partition_id: 7,
                isr: replicas.clone(),
                directories: vec![Uuid::from_u128(9); replicas.len()],
                eligible_leader_replicas: (brokers > 3).then(|| vec![1]),
                adding_replicas: if brokers > 4 { vec![2] } else { Vec::new() },
                leader: 0,
                leader_epoch: 3,
                partition_epoch: 4,
                replicas,
                ..PartitionRecord::default()
            };
            assert_eq!(Partition::from(&record).to_record(Uuid::ZERO, 7), record);
        }
    }

    #[test]
    fn a_change_of_leader_raises_the_leader_epoch_and_every_change_the_partition_epoch() {
        let record = PartitionRecord { leader_epoch: 0, partition_epoch: 0, ..Default::default() };
        let mut partition = Partition::from(&record);
        partition.apply(&PartitionChangeRecord { isr: Some(vec![1, 2]), ..Default::default() });
        assert_eq!((partition.leader_epoch, partition.partition_epoch), (0, 1));
        partition.apply(&PartitionChangeRecord { leader: 2, ..Default::default() });
        assert_eq!((partition.leader, partition.leader_epoch), (2, 1));
        assert_eq!((partition.isr.to_vec(), partition.partition_epoch), (vec![1, 2], 2));
    }
}
