//! Which brokers get the replicas of new partitions: spread over racks, then over brokers, from a
//! random start; the first replica, which will lead, on a broker that is not fenced.

use std::collections::BTreeMap;

use milena_env::Random;
use milena_protocol::ErrorCode;

use super::ApiError;
use crate::image::{Broker, Cluster};

/// Brokers of one kind in one rack, taken in turn. Each partition begins one further on.
#[derive(Debug, Default)]
struct Ring {
    brokers: Vec<i32>,
    start: usize,
    taken: usize,
}

impl Ring {
    fn next(&mut self) -> Option<i32> {
        if self.taken >= self.brokers.len() {
            return None;
        }
        let at = (self.start + self.taken) % self.brokers.len();
        self.taken += 1;
        self.brokers.get(at).copied()
    }

    const fn begin_partition(&mut self) {
        self.start += 1;
        self.taken = 0;
    }
}

#[derive(Debug, Default)]
struct Rack {
    unfenced: Ring,
    fenced: Ring,
}

impl Rack {
    fn next(&mut self) -> Option<i32> {
        self.unfenced.next().or_else(|| self.fenced.next())
    }
}

/// Places partitions one after the other.
#[derive(Debug)]
pub(super) struct Placer {
    racks: Vec<Rack>,
    first_rack: usize,
    broker_count: usize,
    unfenced_count: usize,
    placed_since_shuffle: usize,
}

impl Placer {
    pub(super) fn new(cluster: &Cluster, random: &mut Random) -> Self {
        let mut racks: BTreeMap<Option<&str>, Rack> = BTreeMap::new();
        let (mut broker_count, mut unfenced_count) = (0, 0);
        for broker in cluster.brokers().filter(|broker| takes_partitions(broker)) {
            broker_count += 1;
            let rack = racks.entry(broker.rack.as_deref()).or_default();
            if broker.is_fenced {
                rack.fenced.brokers.push(broker.id);
            } else {
                unfenced_count += 1;
                rack.unfenced.brokers.push(broker.id);
            }
        }
        let mut racks: Vec<Rack> = racks.into_values().collect();
        for rack in &mut racks {
            for ring in [&mut rack.unfenced, &mut rack.fenced] {
                ring.start = random.below(ring.brokers.len() as u64) as usize;
            }
        }
        let first_rack = random.below(racks.len() as u64) as usize;
        Self { racks, first_rack, broker_count, unfenced_count, placed_since_shuffle: 0 }
    }

    /// Whether so many replicas have room at all.
    pub(super) fn check(&self, replication_factor: i16) -> Result<(), ApiError> {
        let why = if self.unfenced_count == 0 {
            "All brokers are currently fenced.".to_owned()
        } else if replication_factor as usize > self.broker_count {
            format!(
                "The target replication factor of {replication_factor} cannot be reached because \
                 only {} broker(s) are registered or some brokers have all their log directories \
                 cordoned.",
                self.broker_count
            )
        } else {
            return Ok(());
        };
        Err(ApiError::new(ErrorCode::InvalidReplicationFactor, why))
    }

    /// The replicas of the next partition; [`Placer::check`] was asked before.
    pub(super) fn place(&mut self, replication_factor: i16, random: &mut Random) -> Vec<i32> {
        let wanted = replication_factor as usize;
        if self.placed_since_shuffle >= self.unfenced_count && self.unfenced_count > 1 {
            // Every start was used once: other neighbours from now on.
            self.shuffle(random);
        }
        self.placed_since_shuffle += 1;
        let count = self.racks.len();
        let mut replicas = Vec::with_capacity(wanted);
        // The leader's rack is the first from here on that has somebody awake.
        let leader = (0..count).map(|step| (self.first_rack + step) % count).find_map(|rack| {
            let broker = self.racks.get_mut(rack)?.unfenced.next()?;
            Some((rack, broker))
        });
        if let Some((leader_rack, leader)) = leader {
            replicas.push(leader);
            let mut may_skip = true;
            let mut rack = self.first_rack;
            while replicas.len() < wanted.min(self.broker_count) {
                // The leader's rack had its turn already in the first round.
                if may_skip && rack == leader_rack {
                    may_skip = false;
                } else if let Some(broker) = self.racks.get_mut(rack).and_then(Rack::next) {
                    replicas.push(broker);
                }
                rack = (rack + 1) % count;
            }
        }
        self.first_rack = (self.first_rack + 1) % count.max(1);
        for rack in &mut self.racks {
            rack.unfenced.begin_partition();
            rack.fenced.begin_partition();
        }
        replicas
    }

    fn shuffle(&mut self, random: &mut Random) {
        self.placed_since_shuffle = 0;
        shuffle(&mut self.racks, random);
        for rack in &mut self.racks {
            shuffle(&mut rack.unfenced.brokers, random);
            shuffle(&mut rack.fenced.brokers, random);
        }
    }
}

/// Whether a new partition may lie in any of the broker's directories.
fn takes_partitions(broker: &Broker) -> bool {
    let cordoned = broker.cordoned_directories.as_deref().unwrap_or_default();
    broker.directories.is_empty() || broker.directories.iter().any(|id| !cordoned.contains(id))
}

fn shuffle<T>(items: &mut [T], random: &mut Random) {
    for last in (1..items.len()).rev() {
        items.swap(last, random.below(last as u64 + 1) as usize);
    }
}
