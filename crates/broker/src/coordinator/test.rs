//! The stage of stories about a core: its log, and the world around it. No socket, no disk, and
//! time passes when the story says so.

use std::time::Duration;

use milena_config::{Entry, ServerConfig, properties::Origin};
use milena_env::Random;
use milena_metadata::image::{Delta, MetadataImage, Replay};
use milena_protocol::{
    Offset, ProducerId,
    metadata::Value as MetadataRecord,
    records::{Batch, Budget, Scratch},
};
use tokio::sync::oneshot;

use super::{
    Counters, Effects, Logged, Machine, Now, ReplayError, Reply, Scene, What, transaction::Action,
};

/// What a record's batch may take in a story: `max.message.bytes` as it is by default.
const BATCH_BYTES_MAX: usize = 1_048_588;

/// Key and value of a record.
pub(super) type Pair = (Vec<u8>, Option<Vec<u8>>);

pub(super) struct Stage<M> {
    pub(super) core: M,
    pub(super) now: Now,
    pub(super) config: ServerConfig,
    pub(super) image: MetadataImage,
    pub(super) random: Random,
    pub(super) counters: Counters,
    /// Every record that was written, in order.
    pub(super) log: Vec<Pair>,
    /// What was asked for and is not done yet.
    pub(super) actions: Vec<Action>,
    /// The last id that a producer was given.
    producer_id: i64,
}

impl<M: Machine> Stage<M> {
    /// A core that has replayed nothing and does not serve yet.
    pub(super) fn empty(settings: &[(&str, &str)]) -> Self {
        let entry = |(key, value): &(&str, &str)| Entry {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
            origin: Origin::Override(1),
        };
        let entries: Vec<_> = settings.iter().map(entry).collect();
        let (config, _) = ServerConfig::parse(&entries).unwrap();
        Self {
            core: M::default(),
            now: Now { wall_ms: 1_700_000_000_000, elapsed: Duration::from_secs(1_000) },
            config,
            image: MetadataImage::default(),
            random: Random::from_seed(7),
            counters: Counters::default(),
            log: Vec::new(),
            actions: Vec::new(),
            producer_id: 1000,
        }
    }

    /// Lets one event happen; what it wants written is in the log when this returns.
    pub(super) fn happens<T>(&mut self, event: impl FnOnce(&mut M, &mut Scene<'_>) -> T) -> T {
        let mut effects = Effects::new(BATCH_BYTES_MAX, Offset(self.log.len() as i64));
        let came = event(
            &mut self.core,
            &mut Scene {
                now: self.now,
                image: &self.image,
                config: &self.config,
                random: &mut self.random,
                effects: &mut effects,
                counters: &self.counters,
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

    /// The same for what may be answered later.
    pub(super) fn asks<T>(
        &mut self,
        event: impl FnOnce(&mut M, &mut Scene<'_>, Reply<T>),
    ) -> Answer<T> {
        let (reply, answer) = Reply::new();
        self.happens(|core, scene| event(core, scene, reply));
        Answer(answer)
    }

    /// Time passes, and what becomes due happens in its turn.
    pub(super) fn passes(&mut self, time: Duration) {
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
    pub(super) fn reload(&mut self) {
        self.core = replayed(&self.log).unwrap();
        self.actions.clear();
        self.happens(|core, scene| core.loaded(scene));
    }

    pub(super) fn metadata(&mut self, records: &[MetadataRecord<'_>]) {
        let mut replay = Replay::new(self.image.clone());
        records.iter().for_each(|record| replay.apply(record).unwrap());
        let mut image = replay.image;
        image.position.offset = self.image.position.offset + records.len() as i64;
        let delta = Delta::between(&self.image, &image);
        self.image = image;
        self.happens(|core, scene| core.on_metadata(&delta, scene));
    }

    /// An id that no producer has had.
    pub(super) fn unused(&mut self) -> ProducerId {
        self.producer_id += 1;
        ProducerId(self.producer_id)
    }

    /// How often what has happened, and why.
    pub(super) fn counted(&self) -> Vec<(&'static str, &'static str, u64)> {
        self.counters.snapshot().collect()
    }
}

/// What a log leads to.
pub(super) fn replayed<M: Machine>(log: &[Pair]) -> Result<M, ReplayError> {
    let mut core = M::default();
    for (at, (key, value)) in log.iter().enumerate() {
        let what = What::Record { key, value: value.as_deref() };
        let logged = Logged { offset: Offset(at as i64), transaction: None, what };
        core.replay(&logged)?;
    }
    Ok(core)
}

/// An answer that may not be there yet.
pub(super) struct Answer<T>(oneshot::Receiver<(T, Offset)>);

impl<T> Answer<T> {
    /// `None` while it is waited for.
    pub(super) fn take(&mut self) -> Option<T> {
        self.0.try_recv().ok().map(|(answer, _)| answer)
    }

    /// Whether it may still come.
    pub(super) fn is_open(&self) -> bool {
        self.0.is_empty() && !self.0.is_terminated()
    }
}
