//! Whatever members, topics and coordinators do: no partition has two owners, no epoch and no
//! committed offset goes back, and when all is calm everybody has its share.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use milena_env::Random;
use milena_protocol::Uuid;

use super::{super::Rig, Consumer, describe};
use crate::coordinator::group::{
    GroupError,
    offsets::{CommitRequest, Committed, Committer, PartitionCommit, PendingCommits, TopicCommit},
};

const SEEDS: u64 = 300;
const STEPS: usize = 120;
const NAMES: [&str; 4] = ["a-0", "a-1", "b-0", "b-1"];

struct World {
    rig: Rig,
    random: Random,
    consumers: Vec<Consumer>,
    topics: BTreeMap<&'static str, (Uuid, i32)>,
    committed: BTreeMap<(Uuid, i32), i64>,
    group_epoch: i32,
    started: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            rig: Rig::new(&[]),
            random: Random::from_seed(seed),
            consumers: Vec::new(),
            topics: BTreeMap::new(),
            committed: BTreeMap::new(),
            group_epoch: 0,
            started: 0,
        };
        world.grow();
        world
    }

    fn one_of(&mut self, count: usize) -> usize {
        self.random.below(count as u64) as usize
    }

    fn step(&mut self) {
        let at = self.one_of(self.consumers.len().max(1));
        match self.random.below(100) {
            0..=7 => self.start(None),
            8..=12 => self.grow(),
            13..=14 => self.delete_topic(),
            15..=19 => self.rig.reload(),
            20..=29 => self.pass(),
            _ if self.consumers.is_empty() => self.start(None),
            30..=33 => self.leave(at),
            // It dies, or is so slow that its session may end.
            34..=36 => drop(self.consumers.remove(at)),
            37..=41 => self.subscribe(at),
            42..=50 => self.consumers[at].let_go(),
            51..=60 => self.commit(at),
            _ => self.beat(at),
        }
        self.check();
    }

    fn subscription(&mut self) -> (Vec<String>, Option<String>) {
        let mut topics = Vec::new();
        for name in NAMES {
            if self.random.chance(1, 2) {
                topics.push(name.to_owned());
            }
        }
        let patterns = ["", "a-.*", ".*-0", ".*"];
        let pattern = patterns[self.one_of(4)].to_owned();
        let pattern = self.random.chance(1, 3).then_some(pattern);
        (topics, pattern)
    }

    fn start(&mut self, instance: Option<String>) {
        if self.consumers.len() >= 6 {
            return;
        }
        self.started += 1;
        let (topics, pattern) = self.subscription();
        let named = self.random.chance(1, 3).then(|| format!("i{}", self.random.below(3)));
        let mut consumer = Consumer {
            id: format!("m{}", self.started),
            instance: instance.or(named),
            topics,
            pattern,
            ..Consumer::default()
        };
        match consumer.join(&mut self.rig) {
            Ok(()) => self.consumers.push(consumer),
            Err(GroupError::UnreleasedInstanceId(_)) => {}
            Err(error) => panic!("{consumer:?}: {error}"),
        }
    }

    fn leave(&mut self, at: usize) {
        let mut consumer = self.consumers.remove(at);
        let for_a_while = consumer.instance.is_some() && self.random.chance(2, 3);
        match consumer.leave(&mut self.rig, if for_a_while { -2 } else { -1 }) {
            Ok(()) if for_a_while && self.random.chance(1, 2) => self.start(consumer.instance),
            Ok(()) => {}
            Err(error) => self.lost(&consumer, &error),
        }
    }

    fn subscribe(&mut self, at: usize) {
        let (topics, pattern) = self.subscription();
        let consumer = &mut self.consumers[at];
        consumer.topics = topics;
        // A client that has had an expression says when it has none any more.
        let none = consumer.pattern.as_ref().map(|_| String::new());
        consumer.pattern = pattern.or(none);
        if let Err(error) = consumer.tell_all(&mut self.rig) {
            self.join_again(at, &error);
        }
    }

    fn beat(&mut self, at: usize) {
        if let Err(error) = self.consumers[at].beat(&mut self.rig) {
            self.join_again(at, &error);
        }
    }

    /// Only who was gone too long may hear of an error.
    fn lost(&self, consumer: &Consumer, error: &GroupError) {
        let is_fence = matches!(
            error,
            GroupError::UnknownMemberId(_)
                | GroupError::FencedInstanceId(_)
                | GroupError::GroupIdNotFound(_)
                | GroupError::OtherProtocol(_)
        );
        assert!(is_fence, "{consumer:?}: {error}");
    }

    fn join_again(&mut self, at: usize, error: &GroupError) {
        let mut consumer = self.consumers.remove(at);
        self.lost(&consumer, error);
        match consumer.join(&mut self.rig) {
            Ok(()) => self.consumers.push(consumer),
            Err(error) => assert!(matches!(error, GroupError::UnreleasedInstanceId(_)), "{error}"),
        }
    }

    fn pass(&mut self) {
        let seconds = [1, 5, 10, 50];
        let seconds = seconds[self.one_of(4)];
        self.rig.passes(Duration::from_secs(seconds));
    }

    fn grow(&mut self) {
        let name = NAMES[self.one_of(4)];
        let have = self.topics.get(name).map_or(0, |(_, count)| *count);
        if have < 6 {
            let count = have + 1 + self.one_of(3) as i32;
            let id = self.rig.topic(name, count);
            self.topics.insert(name, (id, count));
        }
    }

    fn delete_topic(&mut self) {
        let name = NAMES[self.one_of(4)];
        if let Some((id, _)) = self.topics.remove(name) {
            self.rig.delete_topic(id);
            self.committed.retain(|(topic, _), _| *topic != id);
        }
    }

    /// A member commits one more of something that it has; who is not its owner any more must not.
    fn commit(&mut self, at: usize) {
        let consumer = self.consumers[at].clone();
        let Some(&(topic, index)) = consumer.has.first() else { return };
        let Some((name, _)) = self.topics.iter().find(|(_, (id, _))| *id == topic) else { return };
        let offset = self.committed.get(&(topic, index)).map_or(1, |offset| offset + 1);
        let committer = Committer {
            member_id: &consumer.id,
            instance_id: consumer.instance.as_deref(),
            generation: consumer.epoch,
            version: 10,
        };
        let partition = PartitionCommit { index, offset, leader_epoch: -1, metadata: "" };
        let topics = vec![TopicCommit { name, id: topic, partitions: vec![partition] }];
        let request = CommitRequest { group: "g", committer, retention_ms: -1, topics };
        let told = self.rig.happens(|groups, scene| groups.commit(&request, scene));
        let is_member = self.members().contains(&consumer.id);
        assert_eq!(told.is_ok(), is_member, "{consumer:?}: {told:?}");
        if told.is_ok() {
            self.committed.insert((topic, index), offset);
        }
    }

    fn members(&mut self) -> BTreeSet<String> {
        let described = describe(&mut self.rig);
        let members = described.map_or_else(|_| Vec::new(), |it| it.members);
        members.iter().map(|member| member.id.to_string()).collect()
    }

    fn check(&mut self) {
        // Who was removed has lost what it had, whether it has heard of it or not.
        let members = self.members();
        let mut owners: BTreeMap<(Uuid, i32), &str> = BTreeMap::new();
        for consumer in self.consumers.iter().filter(|it| members.contains(&it.id)) {
            for partition in &consumer.has {
                let before = owners.insert(*partition, &consumer.id);
                assert_eq!(before, None, "{partition:?} belongs to {} as well", consumer.id);
            }
        }
        if let Ok(described) = describe(&mut self.rig) {
            assert!(described.epoch >= self.group_epoch && described.assignment_epoch >= 0);
            self.group_epoch = described.epoch;
        }
        for ((topic, index), offset) in &self.committed {
            let name = self.topics.iter().find(|(_, (id, _))| id == topic).unwrap().0;
            let look = |all: &Committed, _: &PendingCommits| {
                all.get(name, *index).map(|commit| commit.offset)
            };
            let found = self.rig.core.fetch("g", None, -1, look).unwrap().flatten();
            assert_eq!(found, Some(*offset), "{name}-{index}");
        }
    }

    /// Nothing happens any more but heartbeats: everybody gets its share of all there is.
    fn calm_down(&mut self) {
        for round in 0..60 {
            self.rig.passes(Duration::from_secs(3));
            for at in (0..self.consumers.len()).rev() {
                self.consumers[at].let_go();
                self.beat(at);
                self.check();
            }
            if round == 30 {
                self.rig.reload();
            }
        }
        if self.consumers.is_empty() {
            return;
        }
        let described = describe(&mut self.rig).unwrap();
        assert_eq!(described.state, "Stable", "{described:?}");
        assert_eq!(described.members.len(), self.consumers.len());
        let subscribed = |name: &str| {
            let fits = |pattern: &str| match pattern {
                "a-.*" => name.starts_with("a-"),
                ".*-0" => name.ends_with("-0"),
                pattern => pattern == ".*",
            };
            self.consumers.iter().any(|consumer| {
                consumer.topics.iter().any(|topic| topic == name)
                    || consumer.pattern.as_deref().is_some_and(fits)
            })
        };
        let mut expected = BTreeSet::new();
        for (name, (id, count)) in self.topics.iter().filter(|(name, _)| subscribed(name)) {
            let _ = name;
            expected.extend((0..*count).map(|index| (*id, index)));
        }
        let had: BTreeSet<_> = self.consumers.iter().flat_map(|it| it.has.clone()).collect();
        assert_eq!(had, expected);
        for member in described.members {
            assert_eq!(member.assignment, member.target, "{}", member.id);
            assert_eq!(member.epoch, described.epoch);
        }
    }
}

#[test]
fn no_partition_has_two_owners_whatever_happens() {
    let seeds = std::env::var("MILENA_SEED").map_or(0..SEEDS, |seed| {
        let seed = seed.parse().unwrap();
        seed..seed + 1
    });
    for seed in seeds {
        let run = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            (0..STEPS).for_each(|_| world.step());
            world.calm_down();
        });
        assert!(run.is_ok(), "failed with MILENA_SEED={seed}");
    }
}
