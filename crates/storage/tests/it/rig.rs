//! A log directory on a simulated disk, with no threads: every step is the test's, and the seed
//! says what a crash leaves behind.

use std::{path::PathBuf, sync::Arc};

use bytes::BytesMut;
use milena_env::{Clock, Disk, ManualClock, disk::SimulatedDisk};
use milena_protocol::{
    LeaderEpoch, Offset, Uuid,
    records::{self, Batch, BatchBuilder, Budget, Rules, Scratch, TimestampRule, Validated},
};
use milena_storage::{
    AppendError, Appended, DirectoryConfig, DirectoryIdentity, Limit, Log, LogConfig, LogDirectory,
    OpenOptions, ReadError, StorageError, TopicPartition, Workers, producers::Origin,
};

pub(crate) const NOW_MS: i64 = 1_700_000_000_000;

pub(crate) struct Rig {
    pub(crate) disk: Arc<SimulatedDisk>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) config: Arc<LogConfig>,
    /// That open and replay logs.
    pub(crate) threads: usize,
    pub(crate) directory_config: DirectoryConfig,
}

impl Rig {
    pub(crate) fn new(seed: u64, config: LogConfig) -> Self {
        Self {
            disk: SimulatedDisk::new(seed),
            clock: Arc::new(ManualClock::new(NOW_MS)),
            config: Arc::new(config),
            threads: 1,
            directory_config: DirectoryConfig {
                journal_bytes: 1 << 20,
                journal_file_bytes: 128 << 10,
                journal_first_file_bytes: 32 << 10,
                free_bytes_min: 0,
                ..DirectoryConfig::default()
            },
        }
    }

    pub(crate) fn open(&self) -> Result<Arc<LogDirectory>, StorageError> {
        self.open_at(path())
    }

    pub(crate) fn open_at(&self, path: PathBuf) -> Result<Arc<LogDirectory>, StorageError> {
        let disk: Arc<dyn Disk> = self.disk.clone();
        let clock: Arc<dyn Clock> = self.clock.clone();
        let config = Arc::clone(&self.config);
        LogDirectory::open(OpenOptions {
            disk,
            clock,
            path,
            identity: DirectoryIdentity {
                cluster_id: None,
                new_cluster_id: "cluster".to_owned(),
                node_id: 1,
                new_directory_id: Uuid::from_u128(77),
            },
            config: self.directory_config.clone(),
            new_ring_key: [9; 16],
            first: None,
            log_config: &|_| Arc::clone(&config),
            workers: Workers::Caller,
            threads: self.threads,
        })
    }

    pub(crate) fn log(&self, directory: &LogDirectory, topic: &str) -> Arc<Log> {
        let id = topic.bytes().fold(1, |id, byte| id * 31 + u128::from(byte));
        let config = Arc::clone(&self.config);
        directory.create(partition(topic), Uuid::from_u128(id), config).unwrap()
    }

    /// The power fails; what was not synced is kept, lost or torn by the seed.
    pub(crate) fn crash(&mut self) {
        self.disk = self.disk.crash();
    }

    /// The process is killed.
    pub(crate) fn kill(&mut self) {
        self.disk = self.disk.kill();
    }
}

pub(crate) fn path() -> PathBuf {
    PathBuf::from("/data")
}

pub(crate) fn partition(topic: &str) -> TopicPartition {
    TopicPartition { topic: topic.into(), partition: 0 }
}

/// A batch of records with these values.
pub(crate) fn batch(values: &[&str]) -> BytesMut {
    build(BatchBuilder::new(Offset::ZERO), values)
}

pub(crate) fn build(mut builder: BatchBuilder, values: &[&str]) -> BytesMut {
    for (index, value) in values.iter().enumerate() {
        builder.append(NOW_MS + index as i64, None, Some(value.as_bytes()), []);
    }
    let mut bytes = Vec::new();
    builder.build(&mut bytes).unwrap();
    BytesMut::from(&bytes[..])
}

pub(crate) fn append(log: &Arc<Log>, batch: BytesMut, epoch: i32) -> Result<Appended, AppendError> {
    let validated = validated(&batch);
    log.append_as_leader(batch, &validated, LeaderEpoch(epoch), Origin::Client)
}

/// What validation says of a sound batch.
pub(crate) fn validated(batch: &[u8]) -> Validated {
    let rules = Rules {
        produce_version: 11,
        batch_bytes_max: 1 << 20,
        is_compacted: false,
        timestamps: TimestampRule::Create { before_max_ms: i64::MAX, after_max_ms: i64::MAX },
        now_ms: NOW_MS,
        origin: records::Origin::Coordinator,
        budget: Budget::default(),
    };
    records::validate(batch, &rules, &mut Scratch::new()).unwrap()
}

/// All batches from `from` to the appended end, as (offset, value) of every record.
pub(crate) fn read_all(log: &Log, from: Offset) -> Result<Vec<(i64, String)>, ReadError> {
    let mut records = Vec::new();
    let mut scratch = Scratch::new();
    let mut from = from;
    let end = log.appended_end();
    while from < end {
        let limit = Limit { bytes_max: 4096, at_least_one: true };
        let plan = log.read(from, end, limit)?;
        let bytes = plan.read().unwrap();
        let before = from;
        for batch in records::Batches::new(&bytes) {
            let batch = Batch::check(batch.bytes()).unwrap();
            for record in batch.records(&mut scratch, Budget::default()).unwrap() {
                let record = record.unwrap();
                if record.offset >= before && record.offset < end {
                    let value = String::from_utf8(record.value.unwrap_or_default().to_vec());
                    records.push((record.offset.0, value.unwrap()));
                }
            }
            from = batch.header().next_offset();
        }
        assert!(from > before, "a read below the end gives at least one batch");
    }
    Ok(records)
}

pub(crate) fn values(log: &Log) -> Vec<String> {
    let records = read_all(log, log.start_offset()).unwrap();
    records.into_iter().map(|(_, value)| value).collect()
}
