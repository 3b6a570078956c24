//! Groups as stories: who asks what, what is answered, what is written down. No socket, no disk,
//! and time passes when the story says so.

mod classic;
mod consumer;
mod offsets;

use std::time::Duration;

use milena_config::{Entry, ServerConfig, properties::Origin};
use milena_env::Random;
use milena_metadata::image::{Delta, MetadataImage, Replay, ResourceType};
use milena_protocol::{
    Offset, Uuid,
    group::{Key, Value},
    metadata::{
        ConfigRecord, PartitionRecord, RemoveTopicRecord, TopicRecord, Value as MetadataRecord,
    },
    records::{Batch, Budget, Scratch},
};
use tokio::sync::oneshot;

use super::{Groups, record};
use crate::coordinator::{Counters, Effects, Logged, Machine, Now, Reply, Scene, What};

/// What a record's batch may take in a story: `max.message.bytes` as it is by default.
const BATCH_BYTES_MAX: usize = 1_048_588;

/// A partition of `__consumer_offsets`, its log, and the world around it.
pub(crate) struct Rig {
    pub(crate) groups: Groups,
    pub(crate) now: Now,
    pub(crate) config: ServerConfig,
    pub(crate) image: MetadataImage,
    random: Random,
    pub(crate) counters: Counters,
    /// Key and value of every record that was written, in order.
    pub(crate) log: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Rig {
    pub(crate) fn new(settings: &[(&str, &str)]) -> Self {
        let entry = |(key, value): &(&str, &str)| Entry {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
            origin: Origin::Override(1),
        };
        let entries: Vec<_> = settings.iter().map(entry).collect();
        let (config, _) = ServerConfig::parse(&entries).unwrap();
        let mut rig = Self {
            groups: Groups::default(),
            now: Now { wall_ms: 1_700_000_000_000, elapsed: Duration::from_secs(1_000) },
            config,
            image: MetadataImage::default(),
            random: Random::from_seed(7),
            counters: Counters::default(),
            log: Vec::new(),
        };
        rig.happens(|groups, scene| groups.loaded(scene));
        rig
    }

    /// Lets one event happen; what it wants written is in the log when this returns.
    pub(crate) fn happens<T>(&mut self, event: impl FnOnce(&mut Groups, &mut Scene<'_>) -> T) -> T {
        let end = Offset(self.log.len() as i64);
        let mut effects = Effects::new(BATCH_BYTES_MAX, end);
        let came = event(
            &mut self.groups,
            &mut Scene {
                now: self.now,
                image: &self.image,
                config: &self.config,
                random: &mut self.random,
                effects: &mut effects,
                counters: &self.counters,
            },
        );
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
    pub(crate) fn asks<T>(
        &mut self,
        event: impl FnOnce(&mut Groups, &mut Scene<'_>, Reply<T>),
    ) -> Answer<T> {
        let (reply, answer) = Reply::new();
        self.happens(|groups, scene| event(groups, scene, reply));
        Answer(answer)
    }

    /// Time passes, and what becomes due happens in its turn.
    pub(crate) fn passes(&mut self, time: Duration) {
        let until = self.now.elapsed + time;
        while let Some(at) = self.groups.next_wake().filter(|at| *at <= until) {
            self.move_to(at.max(self.now.elapsed));
            self.happens(|groups, scene| groups.on_time(scene));
        }
        self.move_to(until);
    }

    fn move_to(&mut self, at: Duration) {
        self.now.wall_ms += (at - self.now.elapsed).as_millis() as i64;
        self.now.elapsed = at;
    }

    /// How often what has happened, and why.
    pub(crate) fn counted(&self) -> Vec<(&'static str, &'static str, u64)> {
        self.counters.snapshot().collect()
    }

    /// Another broker takes over: it knows what is in the log, and nothing else.
    pub(crate) fn reload(&mut self) {
        self.groups = Groups::default();
        for (at, (key, value)) in self.log.iter().enumerate() {
            let what = What::Record { key, value: value.as_deref() };
            let logged = Logged { offset: Offset(at as i64), transaction: None, what };
            self.groups.replay(&logged).unwrap();
        }
        self.happens(|groups, scene| groups.loaded(scene));
    }

    /// What was written from this place of the log on.
    pub(crate) fn written(&self, from: usize) -> Vec<(Key<'_>, Option<Value<'_>>)> {
        self.log[from..].iter().map(read).collect()
    }

    /// A topic comes into being, or gets more partitions.
    pub(crate) fn topic(&mut self, name: &str, partitions: i32) -> Uuid {
        let known = self.image.topics.by_name(name).map(|it| (it.id, it.partition_count() as i32));
        let (id, have) = known.unwrap_or_else(|| (Uuid::from_be_bytes(self.random.uuid()), 0));
        let mut records = Vec::new();
        if have == 0 {
            records.push(MetadataRecord::TopicRecord(TopicRecord { name, topic_id: id }));
        }
        records.extend((have..partitions).map(|partition_id| {
            MetadataRecord::PartitionRecord(PartitionRecord {
                partition_id,
                topic_id: id,
                replicas: vec![1],
                isr: vec![1],
                leader: 1,
                ..Default::default()
            })
        }));
        self.metadata(&records);
        id
    }

    pub(crate) fn delete_topic(&mut self, topic_id: Uuid) {
        self.metadata(&[MetadataRecord::RemoveTopicRecord(RemoveTopicRecord { topic_id })]);
    }

    pub(crate) fn configure_group(&mut self, group: &str, key: &str, value: &str) {
        self.metadata(&[MetadataRecord::ConfigRecord(ConfigRecord {
            resource_type: ResourceType::Group.number(),
            resource_name: group,
            name: key,
            value: Some(value),
        })]);
    }

    pub(crate) fn metadata(&mut self, records: &[MetadataRecord<'_>]) {
        let mut replay = Replay::new(self.image.clone());
        for record in records {
            replay.apply(record).unwrap();
        }
        let mut image = replay.image;
        image.position.offset = self.image.position.offset + records.len() as i64;
        let delta = Delta::between(&self.image, &image);
        self.image = image;
        self.happens(|groups, scene| groups.on_metadata(&delta, scene));
    }
}

fn read((key, value): &(Vec<u8>, Option<Vec<u8>>)) -> (Key<'_>, Option<Value<'_>>) {
    let key = record::read_key(key).unwrap().unwrap();
    let value = value.as_deref().map(|value| record::read_value(&key, value).unwrap());
    (key, value)
}

/// An answer that may not be there yet.
pub(crate) struct Answer<T>(oneshot::Receiver<(T, Offset)>);

impl<T> Answer<T> {
    /// `None` while it is waited for.
    pub(crate) fn take(&mut self) -> Option<T> {
        self.0.try_recv().ok().map(|(answer, _)| answer)
    }

    /// Whether it may still come.
    pub(crate) fn is_open(&self) -> bool {
        self.0.is_empty() && !self.0.is_terminated()
    }
}
