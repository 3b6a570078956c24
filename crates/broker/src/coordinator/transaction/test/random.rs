//! Requests in any order, from producers that know less than they should, with crashes between any
//! two steps: a decision never changes, and what it touches is told the same everywhere.

use std::{collections::BTreeMap, time::Duration};

use milena_env::Random;
use milena_protocol::ErrorCode;

use super::{Ending, Rig, State, Verdict};
use crate::coordinator::Scene;

/// What partitions have seen: for each producer, epoch and partition, the verdict.
type Told = BTreeMap<(i64, i16, i32), Verdict>;

struct World {
    rig: Rig,
    random: Random,
    version: i16,
    told: Told,
    /// Producers, some of them fenced long ago.
    producers: Vec<(i64, i16)>,
    /// By the producer's epoch: what EndTxn acknowledged, and the partitions acknowledged before.
    acknowledged: BTreeMap<(i64, i16), Verdict>,
    added: BTreeMap<(i64, i16), Vec<i32>>,
}

impl World {
    fn new(seed: u64, version: i16) -> Self {
        Self {
            rig: Rig::new(version, &[]),
            random: Random::from_seed(seed),
            version,
            told: Told::new(),
            producers: Vec::new(),
            acknowledged: BTreeMap::new(),
            added: BTreeMap::new(),
        }
    }

    fn below(&mut self, end: u64) -> usize {
        self.random.below(end) as usize
    }

    /// Mostly the newest producer.
    fn somebody(&mut self) -> Option<(i64, i16)> {
        let count = self.producers.len();
        match self.below(4) {
            _ if count == 0 => None,
            0 => {
                let place = self.below(count as u64);
                Some(self.producers[place])
            }
            _ => self.producers.last().copied(),
        }
    }

    fn step(&mut self) {
        match self.below(10) {
            0 => {
                if let Ok(producer) = self.rig.init() {
                    self.producers.push(producer);
                }
            }
            1..=3 => self.add(),
            4..=5 => self.end(),
            6..=7 => self.write_some(),
            8 => {
                let time = Duration::from_millis(self.random.below(20_000));
                self.rig.passes(time);
            }
            _ => self.rig.reload(),
        }
    }

    fn add(&mut self) {
        let Some(me) = self.somebody() else { return };
        let partition = self.below(3) as i32;
        let code = self.rig.add_in(me, &[("orders", partition)], self.version);
        if code == ErrorCode::None {
            assert_eq!(Some(&me), self.producers.last(), "a fenced producer adds nothing");
            self.added.entry(me).or_default().push(partition);
        }
    }

    fn end(&mut self) {
        let Some(me) = self.somebody() else { return };
        let verdict = if self.below(2) == 0 { Verdict::Commit } else { Verdict::Abort };
        let was = self.rig.core.get(super::ID).map(|it| it.state);
        let Ok(next) = self.rig.end_in(me, verdict, self.version) else { return };
        if self.version < 2 {
            // One epoch has many transactions: what counts is told at once, against the state.
            if was == Some(State::Ongoing) {
                assert_eq!(self.rig.state(), verdict.prepared());
            } else {
                assert_eq!(self.rig.state(), verdict.completed());
            }
            return;
        }
        let earlier = self.acknowledged.insert(me, verdict);
        assert!(earlier.is_none_or(|it| it == verdict), "{me:?} was told {earlier:?} before");
        let next = next.unwrap();
        if !self.producers.contains(&next) {
            self.producers.push(next);
        }
    }

    /// Some of what was asked for is written, and not all of that is heard of.
    fn write_some(&mut self) {
        let endings = self.rig.endings();
        for ending in endings {
            let mut failed = Vec::new();
            for (topic, partition) in &ending.partitions {
                if self.below(4) == 0 {
                    failed.push((topic.clone(), *partition, ErrorCode::NotEnoughReplicas));
                } else {
                    self.tell(&ending, *partition);
                }
            }
            if self.below(5) == 0 {
                self.rig.reload();
            } else {
                let core = |core: &mut super::Transactions, scene: &mut Scene<'_>| {
                    core.markers_written(&ending, &failed, scene);
                };
                self.rig.happens(core);
            }
        }
    }

    fn tell(&mut self, ending: &Ending, partition: i32) {
        if self.version < 2 {
            return;
        }
        let key = (ending.producer_id.0, ending.epoch.0, partition);
        let earlier = self.told.insert(key, ending.verdict);
        let again = earlier.is_none_or(|it| it == ending.verdict);
        assert!(again, "{key:?} was told {earlier:?} before {:?}", ending.verdict);
    }

    /// All that is open comes to its end.
    fn settle(&mut self) {
        for _ in 0..100 {
            self.rig.passes(Duration::from_secs(2));
            for ending in self.rig.endings() {
                for (_, partition) in &ending.partitions {
                    self.tell(&ending, *partition);
                }
                self.rig.happens(|core, scene| core.markers_written(&ending, &[], scene));
            }
        }
        let state = self.rig.core.get(super::ID).map(|it| it.state);
        assert!(
            state.is_none_or(|it| it.decision().is_none() && it != State::Ongoing),
            "still {state:?}"
        );
        // Of version 2 the marker's epoch is the one after the transaction's.
        for (&(id, epoch), &verdict) in &self.acknowledged {
            for &partition in self.added.get(&(id, epoch)).into_iter().flatten() {
                let told = self.told.get(&(id, epoch + 1, partition));
                assert_eq!(told, Some(&verdict), "producer {id}, epoch {epoch}, {partition}");
            }
        }
        // Nobody acknowledged it, so it was aborted for all.
        for (&(id, epoch), partitions) in self.added.iter().filter(|_| self.version == 2) {
            if self.acknowledged.contains_key(&(id, epoch)) {
                continue;
            }
            for &partition in partitions {
                let told = self.told.get(&(id, epoch + 1, partition));
                assert_eq!(told, Some(&Verdict::Abort), "producer {id}, epoch {epoch}");
            }
        }
    }
}

#[test]
fn a_decision_never_changes_whatever_happens() {
    let one = std::env::var("MILENA_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = one.map_or(0..300, |seed: u64| seed..seed + 1);
    for seed in seeds {
        for version in [0, 2] {
            let told = std::panic::catch_unwind(|| {
                let mut world = World::new(seed, version);
                (0..200).for_each(|_| world.step());
                world.settle();
                (0..20).for_each(|_| world.step());
                world.rig.log
            });
            assert!(told.is_ok(), "MILENA_SEED={seed}, version {version}");
        }
    }
}
