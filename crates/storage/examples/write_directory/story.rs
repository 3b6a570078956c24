//! What is written to each partition, and what a consumer must therefore find there.

use std::{collections::BTreeMap, error::Error, sync::Arc};

use bytes::BytesMut;
use milena_env::Random;
use milena_protocol::{
    LeaderEpoch, Offset, ProducerEpoch, ProducerId, Uuid,
    records::{
        self, BatchBuilder, Budget, Codec, EndTransactionMarker, Header, Rules, Scratch,
        TimestampRule, validate,
    },
};
use milena_storage::{Appended, Log, LogConfig, LogDirectory, TopicPartition, producers::Origin};
use serde_json::{Value, json};

use crate::Done;

const NOW_MS: i64 = 1_760_000_000_000;

/// All partitions of the directory and what was written to them.
pub(crate) struct Stories<'a> {
    directory: &'a LogDirectory,
    pub(crate) random: Random,
    pub(crate) told: Vec<Story>,
}

/// A batch that is to be sent.
pub(crate) struct Sent {
    builder: BatchBuilder,
    pub(crate) records: Vec<Record>,
}

#[derive(Clone)]
pub(crate) struct Record {
    pub(crate) offset: Offset,
    pub(crate) epoch: LeaderEpoch,
    pub(crate) timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(&'static str, Option<Vec<u8>>)>,
    is_committed: bool,
}

/// One partition and what was written to it.
pub(crate) struct Story {
    pub(crate) log: Arc<Log>,
    pub(crate) epoch: LeaderEpoch,
    pub(crate) now_ms: i64,
    pub(crate) records: Vec<Record>,
    /// Where in `records` those of each open transaction lie, by producer.
    pub(crate) open: BTreeMap<i64, (ProducerEpoch, Vec<usize>)>,
}

impl<'a> Stories<'a> {
    pub(crate) fn new(directory: &'a LogDirectory) -> Self {
        Self { directory, random: Random::from_seed(1), told: vec![] }
    }

    pub(crate) fn begin(
        &mut self,
        topic: &str,
        config: LogConfig,
    ) -> Result<Story, Box<dyn Error>> {
        self.begin_partition(topic, 0, config)
    }

    pub(crate) fn begin_partition(
        &mut self,
        topic: &str,
        partition: i32,
        config: LogConfig,
    ) -> Result<Story, Box<dyn Error>> {
        let hash = topic.bytes().fold(7_u128, |hash, byte| hash * 131 + u128::from(byte));
        let name = TopicPartition { topic: topic.into(), partition };
        let log = self.directory.create(name, Uuid::from_u128(hash), Arc::new(config))?;
        let epoch = LeaderEpoch(0);
        log.begin_epoch(epoch);
        Ok(Story { log, epoch, now_ms: NOW_MS, records: vec![], open: BTreeMap::new() })
    }

    /// Random records; some without a key, a value or any byte in them, and some that are older
    /// than the ones before.
    pub(crate) fn batch(&mut self, builder: BatchBuilder, codec: Codec, count: u64) -> Sent {
        let builder = builder.with_codec(codec, None);
        let random = &mut self.random;
        let mut bytes = |max| {
            let mut bytes = vec![0; random.below(max) as usize];
            random.fill(&mut bytes);
            (!bytes.is_empty() || random.chance(1, 2)).then_some(bytes)
        };
        let mut record = |_| Record {
            offset: Offset::ZERO,
            epoch: LeaderEpoch::UNKNOWN,
            timestamp: NOW_MS + bytes(200).map_or(0, |bytes| bytes.len() as i64 * 50),
            key: bytes(12),
            value: bytes(120),
            headers: (0..bytes(3).map_or(0, |bytes| bytes.len()))
                .map(|_| ("trace", bytes(8)))
                .collect(),
            is_committed: true,
        };
        let records = (0..count).map(&mut record).collect();
        Sent { builder, records }
    }

    /// The lines that Kafka is asked to agree with.
    pub(crate) fn told(&self) -> Result<(Vec<u8>, Vec<u8>), Box<dyn Error>> {
        let (mut records, mut partitions) = (String::new(), String::new());
        for Story { log, records: told, open, .. } in &self.told {
            let end = log.appended_end();
            let stable = log.last_stable_offset(end);
            if open.is_empty() != (stable == end) {
                return Err(format!("{} is stable up to {stable}", log.name()).into());
            }
            let name = log.name();
            for record in told {
                let is_committed = record.is_committed && record.offset < stable;
                let headers = record.headers.iter();
                let headers: Vec<_> = headers.map(|(k, v)| json!([k, base64(v)])).collect();
                let line = json!({
                    "topic": name.topic, "partition": name.partition, "offset": record.offset.0,
                    "leaderEpoch": record.epoch.0, "timestamp": record.timestamp,
                    "key": base64(&record.key), "value": base64(&record.value),
                    "headers": headers, "committed": is_committed,
                });
                records += &format!("{line}\n");
            }
            let line = json!({
                "topic": name.topic, "partition": name.partition,
                "logStartOffset": log.start_offset().0, "lastStableOffset": stable.0,
                "highWatermark": end.0,
            });
            partitions += &format!("{line}\n");
        }
        Ok((records.into_bytes(), partitions.into_bytes()))
    }
}

impl Story {
    /// Appends a batch and remembers its records.
    pub(crate) fn send(&mut self, batch: &Sent) -> Done {
        let base_offset = self.append(batch)?.base_offset;
        let header = batch.builder.build(&mut Vec::new())?;
        let first = self.records.len();
        for (index, record) in batch.records.iter().enumerate() {
            let mut record = record.clone();
            record.offset = base_offset.plus(index as i64);
            record.epoch = self.epoch;
            if self.log.config().log_append_time {
                record.timestamp = self.now_ms;
            }
            record.is_committed = !header.attributes.is_transactional();
            self.records.push(record);
        }
        if header.attributes.is_transactional() {
            let open = self.open.entry(header.producer_id.0);
            let open = open.or_insert_with(|| (header.producer_epoch, vec![]));
            open.1.extend(first..self.records.len());
        }
        Ok(())
    }

    pub(crate) fn append(&self, batch: &Sent) -> Result<Appended, Box<dyn Error>> {
        let mut builder = batch.builder.clone();
        for record in &batch.records {
            let headers = record
                .headers
                .iter()
                .map(|(key, value)| Header { key: key.as_bytes(), value: value.as_deref() });
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            builder.append(record.timestamp, key, value, headers.collect::<Vec<_>>());
        }
        let mut bytes = Vec::new();
        builder.build(&mut bytes)?;
        self.append_bytes(&bytes, records::Origin::Client)
    }

    fn append_bytes(
        &self,
        bytes: &[u8],
        origin: records::Origin,
    ) -> Result<Appended, Box<dyn Error>> {
        let rules = Rules {
            produce_version: 11,
            batch_bytes_max: 1 << 20,
            is_compacted: false,
            timestamps: if self.log.config().log_append_time {
                TimestampRule::Append
            } else {
                TimestampRule::Create { before_max_ms: i64::MAX, after_max_ms: i64::MAX }
            },
            now_ms: self.now_ms,
            origin,
            budget: Budget::default(),
        };
        let validated = validate(bytes, &rules, &mut Scratch::new())?;
        let origin = match origin {
            records::Origin::Client => Origin::Client,
            records::Origin::Coordinator => Origin::Coordinator,
        };
        let batch = BytesMut::from(bytes);
        Ok(self.log.append_as_leader(batch, &validated, self.epoch, origin)?)
    }

    pub(crate) fn end_transaction(&mut self, producer_id: i64, is_commit: bool) -> Done {
        let (epoch, indexes) = self.open.remove(&producer_id).ok_or("no open transaction")?;
        let marker = EndTransactionMarker { is_commit, coordinator_epoch: 3 };
        let epoch = ProducerEpoch(epoch.0 + 1);
        let mut bytes = Vec::new();
        marker.build(Offset::ZERO, ProducerId(producer_id), epoch, self.now_ms, &mut bytes)?;
        self.append_bytes(&bytes, records::Origin::Coordinator)?;
        for index in indexes {
            if let Some(record) = self.records.get_mut(index) {
                record.is_committed = is_commit;
            }
        }
        Ok(())
    }
}

fn base64(bytes: &Option<Vec<u8>>) -> Value {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let Some(bytes) = bytes else {
        return Value::Null;
    };
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = (0..3)
            .fold(0_u32, |group, at| group << 8 | u32::from(chunk.get(at).copied().unwrap_or(0)));
        for place in 0..4 {
            let letter = LETTERS.get((group >> (18 - 6 * place)) as usize & 63);
            let letter = letter.filter(|_| place <= chunk.len()).unwrap_or(&b'=');
            text.push(char::from(*letter));
        }
    }
    Value::String(text)
}
