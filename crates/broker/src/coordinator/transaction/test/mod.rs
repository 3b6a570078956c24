//! Transactions as stories: who asks what, what is answered, what is written down, which markers
//! are asked for. No socket, no disk, and time passes when the story says so.

mod ending;
mod initializing;
mod passing;
mod random;
mod records;

use std::time::Duration;

use milena_config::{Entry, ServerConfig, properties::Origin};
use milena_env::Random;
use milena_metadata::image::{MetadataImage, Replay};
use milena_protocol::{
    ErrorCode, Offset, ProducerEpoch, ProducerId, Uuid,
    metadata::{FeatureLevelRecord, PartitionRecord, TopicRecord, Value as MetadataRecord},
    records::{Batch, Budget, Scratch},
};

use super::{
    Action, Adding, EndRequest, Ended, Ending, InitRequest, Initialized, Producer, State,
    TRANSACTION_VERSION, Transaction, TransactionError, Transactions, Verdict,
};
use crate::{
    coordinator::{Effects, Logged, Machine, Now, ReplayError, Scene, What, counters::Counters},
    error_map::ToCode,
};

/// What a record's batch may take in a story: `max.message.bytes` as it is by default.
const BATCH_BYTES_MAX: usize = 1_048_588;

/// The id that most stories are about.
const ID: &str = "shop";

/// A partition of `__transaction_state`, its log, and the world around it.
struct Rig {
    core: Transactions,
    now: Now,
    config: ServerConfig,
    image: MetadataImage,
    random: Random,
    /// Key and value of every record that was written, in order.
    log: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// What was asked for and is not done yet.
    actions: Vec<Action>,
    next_producer_id: i64,
}

impl Rig {
    fn new(transaction_version: i16, settings: &[(&str, &str)]) -> Self {
        let entry = |(key, value): &(&str, &str)| Entry {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
            origin: Origin::Override(1),
        };
        let entries: Vec<_> = settings.iter().map(entry).collect();
        let (config, _) = ServerConfig::parse(&entries).unwrap();
        let mut rig = Self {
            core: Transactions::default(),
            now: Now { wall_ms: 1_700_000_000_000, elapsed: Duration::from_secs(1_000) },
            config,
            image: MetadataImage::default(),
            random: Random::from_seed(7),
            log: Vec::new(),
            actions: Vec::new(),
            next_producer_id: 1000,
        };
        rig.finalise(transaction_version);
        rig.metadata(&[MetadataRecord::TopicRecord(TopicRecord {
            name: "orders",
            topic_id: Uuid::from_be_bytes([7; 16]),
        })]);
        for partition_id in 0..3 {
            rig.metadata(&[MetadataRecord::PartitionRecord(PartitionRecord {
                partition_id,
                topic_id: Uuid::from_be_bytes([7; 16]),
                replicas: vec![1],
                isr: vec![1],
                leader: 1,
                ..Default::default()
            })]);
        }
        rig.happens(|core, scene| core.loaded(scene));
        rig
    }

    fn metadata(&mut self, records: &[MetadataRecord<'_>]) {
        let mut replay = Replay::new(self.image.clone());
        records.iter().for_each(|record| replay.apply(record).unwrap());
        self.image = replay.image;
    }

    fn finalise(&mut self, feature_level: i16) {
        let name = TRANSACTION_VERSION;
        let record = FeatureLevelRecord { name, feature_level };
        self.metadata(&[MetadataRecord::FeatureLevelRecord(record)]);
    }

    /// Lets one event happen; what it wants written is in the log when this returns.
    fn happens<T>(&mut self, event: impl FnOnce(&mut Transactions, &mut Scene<'_>) -> T) -> T {
        let mut effects = Effects::new(BATCH_BYTES_MAX, Offset(self.log.len() as i64));
        let came = event(
            &mut self.core,
            &mut Scene {
                now: self.now,
                image: &self.image,
                config: &self.config,
                random: &mut self.random,
                effects: &mut effects,
                counters: &Counters::default(),
            },
        );
        self.actions.extend(effects.take_actions());
        let (batches, replies) = effects.into_parts();
        for batch in batches.iter().filter(|batch| batch.record_count() > 0) {
            let mut bytes = Vec::new();
            batch.build(&mut bytes).unwrap();
            let batch = Batch::read(&bytes).unwrap();
            let mut scratch = Scratch::default();
            for record in batch.records(&mut scratch, Budget::default()).unwrap() {
                let record = record.unwrap();
                let value = record.value.map(<[u8]>::to_vec);
                self.log.push((record.key.unwrap().to_vec(), value));
            }
        }
        let end = Offset(self.log.len() as i64);
        replies.into_iter().for_each(|reply| reply(end));
        came
    }

    /// Time passes, and what becomes due happens in its turn.
    fn passes(&mut self, time: Duration) {
        let until = self.now.elapsed + time;
        while let Some(at) = self.core.next_wake().filter(|at| *at <= until) {
            self.move_to(at.max(self.now.elapsed));
            self.happens(|core, scene| core.on_time(scene));
        }
        self.move_to(until);
    }

    fn move_to(&mut self, at: Duration) {
        self.now.wall_ms += (at - self.now.elapsed).as_millis() as i64;
        self.now.elapsed = at;
    }

    /// Another broker takes over: it knows what is in the log, and nothing else.
    fn reload(&mut self) {
        self.core = replayed(&self.log).unwrap();
        self.actions.clear();
        self.happens(|core, scene| core.loaded(scene));
    }

    fn unused(&mut self) -> ProducerId {
        self.next_producer_id += 1;
        ProducerId(self.next_producer_id)
    }

    fn init_as(&mut self, expected: Option<(i64, i16)>) -> Result<(i64, i16), ErrorCode> {
        let expected = expected.map(|(id, epoch)| Initialized {
            producer_id: ProducerId(id),
            epoch: ProducerEpoch(epoch),
        });
        let request = InitRequest {
            transactional_id: ID,
            timeout_ms: 60_000,
            enables_two_phase_commit: false,
            keeps_prepared: false,
            expected,
        };
        request.check(&self.config).map_err(|error| error.code())?;
        let mut asked = self.happens(|core, scene| core.init(&request, None, scene));
        if let Err(TransactionError::NoProducerId) = asked {
            let unused = Some(self.unused());
            asked = self.happens(|core, scene| core.init(&request, unused, scene));
        }
        asked.map(|it| (it.producer_id.0, it.epoch.0)).map_err(|error| error.code())
    }

    fn init(&mut self) -> Result<(i64, i16), ErrorCode> {
        self.init_as(None)
    }

    /// A producer of transaction version 0 has its id.
    fn add(&mut self, producer: (i64, i16), partitions: &[(&str, i32)]) -> ErrorCode {
        self.add_in(producer, partitions, 0)
    }

    fn add_in(&mut self, of: (i64, i16), partitions: &[(&str, i32)], version: i16) -> ErrorCode {
        let adding = Adding { producer: producer(of), partitions, version };
        let added = self.happens(|core, scene| core.add(&adding, scene));
        added.err().map_or(ErrorCode::None, |error| error.code())
    }

    fn end_in(&mut self, of: (i64, i16), verdict: Verdict, version: i16) -> Answer {
        let request = EndRequest { producer: producer(of), verdict, version };
        let mut ended = self.happens(|core, scene| core.end(&request, None, scene));
        if let Err(TransactionError::NoProducerId) = ended {
            let unused = Some(self.unused());
            ended = self.happens(|core, scene| core.end(&request, unused, scene));
        }
        answer(ended)
    }

    /// The markers that were asked for.
    fn endings(&mut self) -> Vec<Ending> {
        let asked = std::mem::take(&mut self.actions).into_iter().map(|action| match action {
            Action::WriteMarkers(ending) => ending,
            Action::BringProducerId { .. } => panic!("no markers: {action:?}"),
        });
        asked.collect()
    }

    /// All markers that were asked for are written.
    fn markers_are_written(&mut self) -> Vec<Ending> {
        let endings = self.endings();
        for ending in &endings {
            self.happens(|core, scene| core.markers_written(ending, &[], scene));
        }
        endings
    }

    fn state(&self) -> State {
        self.known().state
    }

    fn known(&self) -> &Transaction {
        self.core.get(ID).unwrap()
    }

    /// The states that were written down from this place of the log on.
    fn written(&self, from: usize) -> Vec<State> {
        let state = |(key, value): &(Vec<u8>, Option<Vec<u8>>)| {
            assert_eq!(super::record::read_key(key).unwrap(), Some(ID));
            let value = super::record::read_value(value.as_deref().unwrap()).unwrap().unwrap();
            State::from_number(value.transaction_status).unwrap()
        };
        self.log[from..].iter().map(state).collect()
    }
}

fn producer(of: (i64, i16)) -> Producer<'static> {
    Producer { transactional_id: ID, id: ProducerId(of.0), epoch: ProducerEpoch(of.1) }
}

/// What a log leads to.
fn replayed(log: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<Transactions, ReplayError> {
    let mut core = Transactions::default();
    for (at, (key, value)) in log.iter().enumerate() {
        let what = What::Record { key, value: value.as_deref() };
        let logged = Logged { offset: Offset(at as i64), transaction: None, what };
        core.replay(&logged)?;
    }
    Ok(core)
}

/// What EndTxn came to: the producer that it tells, if any.
type Answer = Result<Option<(i64, i16)>, ErrorCode>;

fn answer(ended: Result<Ended, TransactionError>) -> Answer {
    match ended {
        Ok(next) => Ok(next.map(|(id, epoch)| (id.0, epoch.0))),
        Err(error) => Err(error.code()),
    }
}
