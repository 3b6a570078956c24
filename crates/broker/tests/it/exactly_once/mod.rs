//! Exactly once, whatever happens: transactional producers, whoever replaces them, members of a
//! group and readers, on a network that loses, doubles and delays what they say, while the broker
//! comes and goes.
//!
//! One seed decides all that happens to them (not how the broker's threads race). Each of them asks
//! one thing at a time; beside it one late request may arrive. What they asked, were told and have
//! read is a `history`, and `invariants` says what must hold of it, one file each. What is known of
//! the broker is a `World`: one on a simulated disk whose power fails, or a process that is killed.

mod history;
mod invariants;
mod reader;
mod seeds;
#[cfg(test)]
mod test;
mod wire;
mod worker;
mod world;

use std::time::{Duration, Instant};

use milena_env::Random;
use milena_protocol::ErrorCode;

use crate::{
    client::{Client, Fate, batch},
    member::Member,
    producer::Producer,
};
use history::{LATEST, OUT, Place};
use reader::{Reader, look};
use wire::Wire;
use worker::{Source, State, Worker};

pub(crate) use history::History;
pub(crate) use seeds::over_seeds;
pub(crate) use world::World;

/// Of the topic with all that is written.
const PARTITIONS: i32 = 3;
const IN: &str = "in";
const INPUTS: i64 = 60;
/// Of the one member that a group has.
const INSTANCE: &str = "the copier";
/// What nobody ends is ended by then.
const TIMEOUT_MS: i32 = 400;
/// How long what must happen may take on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a broker needs so that the story does not take long.
pub(crate) const SETTINGS: [&str; 7] = [
    "transaction.state.log.num.partitions=2",
    "offsets.topic.num.partitions=1",
    "group.initial.rebalance.delay.ms=0",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms=20",
    "log.cleaner.backoff.ms=15",
    "log.cleaner.min.compaction.lag.ms=0",
    "milena.journal.bytes=4194304",
];

/// How often, in a thousand steps, something happens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chances {
    pub(crate) steps: u64,
    pub(crate) answer_lost: u64,
    pub(crate) cut_off: u64,
    pub(crate) late: u64,
    pub(crate) doubled: u64,
    pub(crate) gap: u64,
    pub(crate) zombie: u64,
    pub(crate) abandoned: u64,
    pub(crate) failure: u64,
    pub(crate) stop: u64,
}

impl Chances {
    pub(crate) const USUAL: Self = Self {
        steps: 500,
        answer_lost: 40,
        cut_off: 20,
        late: 30,
        doubled: 30,
        gap: 10,
        zombie: 15,
        abandoned: 4,
        failure: 6,
        stop: 3,
    };
}

struct Story<'w, W> {
    world: &'w mut W,
    chances: Chances,
    random: Random,
    history: History,
    wire: Wire,
    workers: Vec<Worker>,
    readers: Vec<Reader>,
    groups: Vec<(&'static str, Place)>,
    began: Instant,
}

/// Tells the story to a broker, and checks what its clients have noticed.
pub(crate) fn tell(world: &mut impl World, seed: u64, chances: Chances) -> History {
    let mut story = Story::new(world, seed, chances);
    for _ in 0..chances.steps {
        story.step();
    }
    story.settle();
    story.history.check(PATIENCE + Duration::from_millis(TIMEOUT_MS as u64));
    story.history
}

impl<'w, W: World> Story<'w, W> {
    fn new(world: &'w mut W, seed: u64, chances: Chances) -> Self {
        let mut random = Random::from_seed(seed);
        let mut client = world.client().unwrap();
        let compacted = [
            ("cleanup.policy", "compact"),
            ("min.cleanable.dirty.ratio", "0.001"),
            ("delete.retention.ms", "0"),
            ("segment.ms", "40"),
            ("message.timestamp.type", "LogAppendTime"),
        ];
        let topics = [(OUT, PARTITIONS, &[][..]), (LATEST, 2, &compacted), (IN, 3, &[])];
        for (topic, partitions, configs) in topics {
            assert_eq!(client.create_topic(topic, partitions, configs), ErrorCode::None);
        }
        let values: Vec<_> = (0..INPUTS).map(|number| number.to_string()).collect();
        for partition in 0..3 {
            assert_eq!(client.produce(IN, partition, &batch(&values)).code, ErrorCode::None);
        }
        let first = Producer::new("first", 2).init(&mut client).unwrap();
        assert_eq!(first, ErrorCode::None);
        let groups = vec![("copiers", (IN, 0)), ("copiers", (IN, 1)), ("members", (IN, 2))];
        let mut history = History::default();
        let mut workers = Vec::new();
        for &(group, place) in &groups {
            client.find_coordinator(group);
            history.inputs.insert(place, INPUTS);
            let member = (group == "members").then(|| Member::of(group));
            let source = Source { group, place, member };
            workers.push((format!("copier-{}", place.1), Some(source)));
        }
        workers.extend((0..3).map(|number| (format!("writer-{number}"), None)));
        let workers = workers.into_iter().map(|(name, source)| {
            let version = if random.chance(1, 3) { 0 } else { 2 };
            let mut worker = Worker::new(name, version, TIMEOUT_MS, source);
            worker.come();
            worker
        });
        let workers = workers.collect();
        let places = (0..PARTITIONS).map(|it| (OUT, it)).chain((0..2).map(|it| (LATEST, it)));
        let readers = places.flat_map(|it| [Reader::new(it, true), Reader::new(it, false)]);
        Self {
            world,
            chances,
            history,
            wire: Wire::default(),
            workers,
            readers: readers.collect(),
            groups,
            began: Instant::now(),
            random,
        }
    }

    fn happens(&mut self, chance: u64) -> bool {
        self.random.chance(chance, 1000)
    }

    fn step(&mut self) {
        if self.happens(self.chances.stop) && !self.world.is_failing() {
            self.history.count("stopped");
            self.world.begin_again(true);
        }
        if self.happens(self.chances.failure) && !self.world.is_failing() {
            self.world.fail_soon(&mut self.random);
        }
        let arriving = match self.random.chance(1, 5) {
            true => self.wire.arrive(self.world, &mut self.random),
            false => None,
        };
        match self.random.below(20) {
            0..15 => self.work(),
            15..19 => self.read(),
            _ => self.look(),
        }
        if let Some(arriving) = arriving {
            arriving.answer(&mut self.history);
        }
        if self.world.has_failed() {
            self.history.count("failed");
            self.world.begin_again(false);
        }
    }

    fn work(&mut self) {
        let at = self.random.below(self.workers.len() as u64) as usize;
        if self.happens(self.chances.zombie) && !self.workers[at].is_zombie {
            let zombie = self.workers[at].replace();
            self.workers.push(zombie);
            self.history.count("replaced");
        }
        if self.happens(self.chances.abandoned) {
            // Nobody does anything until all that is open has taken too long.
            std::thread::sleep(Duration::from_millis(TIMEOUT_MS as u64 + 100));
            self.history.count("waited");
        }
        let Ok(mut client) = self.world.client() else { return };
        let Chances { answer_lost, cut_off, late, doubled, .. } = self.chances;
        let fates = [
            (answer_lost, Fate::AnswerLost),
            (cut_off, Fate::CutOff),
            (late, Fate::Late),
            (doubled, Fate::Doubled),
        ];
        let drawn = fates.into_iter().find(|(chance, _)| self.happens(*chance));
        client.fate = drawn.map(|(_, fate)| fate).unwrap_or_default();
        let gap = self.happens(self.chances.gap);
        let worker = &mut self.workers[at];
        let value = worker.act(&mut client, &mut self.history, &mut self.random, gap);
        self.wire.keep(client.overdue.take(), &value);
        self.workers.retain(|it| !it.is_zombie || it.state != State::Gone);
    }

    fn read(&mut self) {
        let Ok(mut client) = self.world.client() else { return };
        let at = self.random.below(self.readers.len() as u64) as usize;
        self.readers[at].read(&mut client, &mut self.history, self.began);
    }

    fn look(&mut self) {
        let Ok(mut client) = self.world.client() else { return };
        let at = self.random.below(self.groups.len() as u64) as usize;
        look(&mut client, &mut self.history, self.groups[at]);
    }

    /// The faults are over: what is open ends by itself, what is left is copied, and all is read.
    fn settle(&mut self) {
        if self.world.is_failing() {
            self.world.begin_again(false);
        }
        self.workers.retain(|it| it.source.is_some() && !it.is_zombie);
        while !self.wire.is_empty() {
            if let Some(arriving) = self.wire.arrive(self.world, &mut self.random) {
                arriving.answer(&mut self.history);
            }
        }
        let begin = Instant::now();
        for worker in &mut self.workers {
            worker.is_calm = true;
            worker.come();
        }
        while self.workers.iter().any(|it| it.state != State::Gone) {
            assert!(begin.elapsed() < PATIENCE, "{:?} do not come to an end", self.workers);
            for worker in &mut self.workers {
                let mut client = self.world.client().unwrap();
                worker.act(&mut client, &mut self.history, &mut self.random, false);
            }
        }
        let mut client = self.world.client().unwrap();
        self.read_all(&mut client);
        for &group in &self.groups {
            look(&mut client, &mut self.history, group);
        }
        // Those who come now see the same.
        let then = (self.history.committed.clone(), self.history.uncommitted.clone());
        (self.history.committed, self.history.uncommitted) = Default::default();
        for reader in &mut self.readers {
            *reader = Reader::new(reader.place, reader.is_committed);
        }
        self.read_all(&mut client);
        self.count_compacted();
        let history = &mut self.history;
        (history.committed_at_last, history.uncommitted_at_last) =
            (std::mem::take(&mut history.committed), std::mem::take(&mut history.uncommitted));
        (history.committed, history.uncommitted) = then;
    }

    /// How many records compaction has taken.
    fn count_compacted(&mut self) {
        let sent = self.history.transactions.iter().flat_map(|it| &it.sent);
        let latest = sent.filter(|it| it.place.0 == LATEST && !it.acknowledged.is_empty());
        let there = self.history.uncommitted.iter().filter(|(place, _)| place.0 == LATEST);
        let gone = latest.count() - there.map(|(_, seen)| seen.len()).sum::<usize>();
        (0..gone).for_each(|_| self.history.count("compacted"));
    }

    /// Until all have come to the end of all there is, or something is open for ever.
    fn read_all(&mut self, client: &mut Client) {
        let begin = Instant::now();
        let mut is_over = false;
        while !is_over && begin.elapsed() < PATIENCE {
            is_over = true;
            for reader in &mut self.readers {
                is_over &= reader.read(client, &mut self.history, self.began);
            }
        }
    }
}
