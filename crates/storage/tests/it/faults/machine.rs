//! A machine with one log directory: it is switched on, opened, crashed and opened again.

use std::sync::Arc;

use milena_env::{Clock, Disk, ManualClock, Random, disk::SimulatedDisk};
use milena_protocol::Uuid;
use milena_storage::{
    DirectoryConfig, DirectoryIdentity, LogConfig, LogDirectory, OpenOptions, StorageError, Workers,
};

use crate::rig::{NOW_MS, path};

pub(crate) struct Machine {
    pub(crate) seed: u64,
    pub(crate) disk: Arc<SimulatedDisk>,
    pub(crate) random: Random,
    pub(crate) config: DirectoryConfig,
    pub(crate) segment_bytes: u32,
    pub(crate) workers: Workers,
    pub(crate) directory_id: u128,
}

impl Machine {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::from_seed(seed);
        let disk = SimulatedDisk::new(seed);
        if random.chance(1, 3) {
            disk.lose_names_in_any_order();
        }
        let config = DirectoryConfig {
            journal_bytes: 256 << 10,
            journal_file_bytes: 48 << 10,
            journal_first_file_bytes: 32 << 10,
            round_bytes_max: [2 << 10, 8 << 10, 8 << 20][random.below(3) as usize],
            open_segments_max: [2, 8192][random.below(2) as usize],
            sync_each_max: [1, 64][random.below(2) as usize],
            write_back_bytes: 1 << 10,
            free_bytes_min: 0,
        };
        let segment_bytes = [600, 2_000, 1 << 20][random.below(3) as usize];
        let (workers, directory_id) = (Workers::Caller, 77);
        Self { seed, disk, random, config, segment_bytes, workers, directory_id }
    }

    /// The configuration of a topic: those whose name begins with "lazy" are not flushed.
    pub(crate) fn log_config(&self, topic: &str) -> Arc<LogConfig> {
        Arc::new(LogConfig {
            segment_bytes: self.segment_bytes,
            index_interval_bytes: 100,
            flush_messages: if topic.starts_with("lazy") { i64::MAX } else { 1 },
            ..LogConfig::default()
        })
    }

    pub(crate) fn open(&mut self) -> Result<Arc<LogDirectory>, StorageError> {
        let disk: Arc<dyn Disk> = self.disk.clone();
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(NOW_MS));
        let mut new_ring_key = [0; 16];
        self.random.fill(&mut new_ring_key);
        LogDirectory::open(OpenOptions {
            disk,
            clock,
            path: path(),
            identity: DirectoryIdentity {
                cluster_id: None,
                new_cluster_id: "cluster".to_owned(),
                node_id: 1,
                new_directory_id: Uuid::from_u128(self.directory_id),
            },
            config: self.config.clone(),
            new_ring_key,
            first: None,
            log_config: &|topic| self.log_config(topic),
            workers: self.workers,
            threads: 1,
        })
    }

    /// The power fails.
    pub(crate) fn crash(&mut self) {
        self.disk = self.disk.crash();
    }

    /// The process is killed.
    pub(crate) fn kill(&mut self) {
        self.disk = self.disk.kill();
    }

    /// Opens the directory after a crash; now and then the power fails again meanwhile.
    pub(crate) fn recover(&mut self) -> Arc<LogDirectory> {
        for _ in 0..self.random.below(4) {
            if self.random.chance(1, 2) {
                let count = self.random.below(60);
                self.disk.crash_after(count);
                drop(self.open());
                self.crash();
            }
        }
        let seed = self.seed;
        self.open().unwrap_or_else(|error| panic!("seed {seed}: cannot be opened again: {error}"))
    }
}
