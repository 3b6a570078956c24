//! What the logs of a directory, the journal's writer and the checkpoint have in common.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
};

use milena_env::{Clock, Disk};
use milena_protocol::Offset;

use super::removal::{Doomed, Removal};
use crate::{
    checkpoints,
    compaction::CleanedOffsets,
    config::DirectoryConfig,
    error::StorageError,
    journal::{
        checkpoint::{Dirty, checkpoint},
        queue::Queue,
        writer::{Step, Writer},
    },
    log::{Log, TopicPartition},
    names,
    segment::OpenFiles,
};

#[derive(Debug)]
pub(crate) struct Shared {
    pub path: PathBuf,
    pub disk: Arc<dyn Disk>,
    pub clock: Arc<dyn Clock>,
    pub config: DirectoryConfig,
    pub queue: Queue,
    pub files: OpenFiles,
    pub dirty: Dirty,
    pub removal: Removal,
    pub logs: RwLock<BTreeMap<TopicPartition, Arc<Log>>>,
    /// Logs that were deleted, and of which a crash may still make a log again.
    leaving: Mutex<Vec<Arc<Log>>>,
    /// There once the directory is open, until it is closed.
    writer: Mutex<Option<Writer>>,
    /// One checkpoint at a time.
    checkpointing: Mutex<()>,
    /// Why the directory is offline, once it is. Never taken back: replay heals it after a restart.
    offline: OnceLock<String>,
    disk_full: AtomicBool,
    /// The most of what was kept free is used, too.
    reserve_used: AtomicBool,
    /// The last round whose bytes are all in segments.
    handed: AtomicU64,
    /// The lowest sequence that replay needs.
    tail: AtomicU64,
    ring_capacity: AtomicU64,
    ring_used: AtomicU64,
    aliases: AtomicU32,
    /// How far each log was compacted.
    pub cleaned: CleanedOffsets,
}

impl Shared {
    pub(crate) fn new(
        path: PathBuf,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        config: DirectoryConfig,
    ) -> Result<Self, StorageError> {
        let file_system =
            disk.file_system(&path).map_err(StorageError::io("open folder", &path))?;
        let files = OpenFiles::new(Arc::clone(&disk), file_system, config.open_segments_max);
        Ok(Self {
            path,
            disk,
            clock,
            config,
            queue: Queue::default(),
            files,
            dirty: Dirty::default(),
            removal: Removal::default(),
            logs: RwLock::default(),
            leaving: Mutex::default(),
            writer: Mutex::default(),
            checkpointing: Mutex::default(),
            offline: OnceLock::new(),
            disk_full: AtomicBool::new(false),
            reserve_used: AtomicBool::new(false),
            handed: AtomicU64::new(0),
            tail: AtomicU64::new(1),
            ring_capacity: AtomicU64::new(0),
            ring_used: AtomicU64::new(0),
            aliases: AtomicU32::new(0),
            cleaned: CleanedOffsets::default(),
        })
    }

    /// The journal begins with this round: nothing before it is needed.
    pub(crate) fn begin_at(&self, sequence: u64) {
        self.handed_to_segments(sequence - 1);
        self.set_tail(sequence);
    }

    pub(crate) fn set_writer(&self, writer: Writer) {
        *self.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(writer);
    }

    pub(crate) fn take_writer(&self) -> Option<Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// One round of the journal. The writer's thread does nothing else; whoever needs the queue
    /// empty may lend a hand.
    pub(crate) fn step(&self) -> Step {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.as_mut().map_or(Step::Idle, |writer| writer.step(self))
    }

    /// Writes rounds until the queue is empty; fails where the disk is full or the directory
    /// offline.
    pub(crate) fn drain(&self) -> Result<(), StorageError> {
        loop {
            match self.step() {
                Step::Worked => {}
                Step::Idle => break,
                Step::Blocked if self.is_disk_full() => break,
                // The ring is full: only a checkpoint makes room in it.
                Step::Blocked => self.checkpoint()?,
            }
        }
        match self.offline_error() {
            Some(offline) => Err(offline),
            None if self.queue.unwritten_bytes() > 0 && self.is_disk_full() => {
                Err(StorageError::io("write segments in", &self.path)(
                    std::io::ErrorKind::StorageFull.into(),
                ))
            }
            None => Ok(()),
        }
    }

    /// All logs, in the order of their names.
    pub(crate) fn all_logs(&self) -> Vec<Arc<Log>> {
        let logs = self.logs.read().unwrap_or_else(PoisonError::into_inner);
        logs.values().map(Arc::clone).collect()
    }

    /// The log is about to leave the directory.
    pub(crate) fn is_leaving(&self, log: &Arc<Log>) {
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(log));
    }

    /// It has left it for good.
    pub(crate) fn has_left(&self, log: &Arc<Log>) {
        let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        leaving.retain(|other| !Arc::ptr_eq(other, log));
    }

    /// Writes `recovery-point-offset-checkpoint`.
    pub(crate) fn store_recovery_points(&self) -> Result<(), StorageError> {
        self.store_offsets(names::RECOVERY_POINTS, |log| {
            log.folder().exists().then(|| log.recovery_point())
        })
    }

    /// Writes `log-start-offset-checkpoint`: the logs that start within their first file.
    pub(crate) fn store_starts(&self) -> Result<(), StorageError> {
        self.store_offsets(names::LOG_START_OFFSETS, |log| {
            let start = log.durable_start();
            // Where it is about to move, the files of the first segments are still there.
            let is_moving = log.start_offset() != start;
            (start > log.first_written_segment() || is_moving).then_some(start)
        })
    }

    fn store_offsets(
        &self,
        file: &str,
        offset: impl Fn(&Log) -> Option<Offset>,
    ) -> Result<(), StorageError> {
        // One that leaves counts until it has left, and not the next one of its name.
        let logs = self.all_logs();
        let leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let named: BTreeMap<&TopicPartition, &Arc<Log>> =
            logs.iter().chain(&leaving).map(|log| (log.name(), log)).collect();
        let lines = named.into_iter().filter_map(|(name, log)| {
            offset(log).map(|offset| (&*name.topic, name.partition, offset))
        });
        checkpoints::store_offsets(&*self.disk, &self.path.join(file), lines)
    }

    /// Makes all segments durable so that the journal's tail may move. A failure takes the
    /// directory offline.
    pub(crate) fn checkpoint(&self) -> Result<(), StorageError> {
        let _one = self.checkpointing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(offline) = self.offline_error() {
            return Err(offline);
        }
        checkpoint(self).inspect_err(|error| {
            if !error.is_no_space() {
                self.go_offline(error);
            }
        })
    }

    /// Takes all that is in segments by now out of the journal's reach: once this answers `true`,
    /// no replay writes to where something was written before the call. `false` while the disk or
    /// the journal is full.
    pub(crate) fn outlive_journal(&self) -> Result<bool, StorageError> {
        let Some(last) = self.with_writer(|writer| writer.last_sequence(self)) else {
            return Ok(false);
        };
        self.checkpoint()?;
        let carried = self.with_writer(|writer| writer.carry_tail(self.tail(), last));
        carried.unwrap_or(Ok(false)).inspect_err(|error| self.go_offline(error))
    }

    /// Keeps checkpoints away while files change their names.
    pub(crate) fn hold_checkpoints(&self) -> MutexGuard<'_, ()> {
        self.checkpointing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_writer<T>(&self, act: impl FnOnce(&mut Writer) -> T) -> Option<T> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(act)
    }

    pub(crate) fn next_alias(&self) -> u32 {
        self.aliases.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn is_offline(&self) -> bool {
        self.offline.get().is_some()
    }

    pub(crate) fn offline_error(&self) -> Option<StorageError> {
        let reason = self.offline.get()?.clone();
        Some(StorageError::Offline { path: self.path.clone(), reason })
    }

    /// Nothing in this directory is acknowledged from here on. No failed sync is tried again: what
    /// it lost is known to nobody.
    pub(crate) fn go_offline(&self, error: &StorageError) {
        if self.offline.set(error.to_string()).is_ok() {
            tracing::error!(
                directory = %self.path.display(),
                %error,
                "log directory goes offline: its partitions refuse writes until a restart; \
                 check the disk"
            );
            self.queue.stop();
            self.dirty.stop();
            self.removal.stop();
            // Also those who wait for something to come to a log that nothing was sent to.
            self.all_logs().iter().for_each(|log| log.wake_all());
        }
    }

    pub(crate) fn is_disk_full(&self) -> bool {
        self.disk_full.load(Ordering::Relaxed)
    }

    pub(crate) fn is_reserve_used(&self) -> bool {
        self.reserve_used.load(Ordering::Relaxed)
    }

    pub(crate) fn set_reserve_used(&self, used: bool) {
        self.reserve_used.store(used, Ordering::Relaxed);
    }

    /// Notes what nobody looks for any more. A full disk does not wait for the next checkpoint.
    pub(crate) fn doom(&self, doomed: Doomed) {
        self.dirty.add_doomed(doomed);
        if self.is_disk_full() {
            self.checkpoint_wanted();
        }
    }

    pub(crate) fn set_disk_full(&self, full: bool) {
        if self.disk_full.swap(full, Ordering::Relaxed) != full {
            let directory = self.path.display();
            if full {
                let reserve_bytes = self.config.free_bytes_min;
                tracing::error!(
                    %directory, reserve_bytes,
                    "disk full: writes are refused until more than the reserve is free"
                );
            } else {
                tracing::info!(%directory, "there is room on the disk again: writes are accepted");
            }
        }
    }

    pub(crate) fn handed(&self) -> u64 {
        self.handed.load(Ordering::Acquire)
    }

    pub(crate) fn handed_to_segments(&self, sequence: u64) {
        self.handed.fetch_max(sequence, Ordering::AcqRel);
    }

    pub(crate) fn tail(&self) -> u64 {
        self.tail.load(Ordering::Acquire)
    }

    pub(crate) fn set_tail(&self, sequence: u64) {
        self.tail.fetch_max(sequence, Ordering::AcqRel);
    }

    pub(crate) fn checkpoint_wanted(&self) {
        self.dirty.want();
    }

    /// Notes how full the ring is; from half on a checkpoint makes room.
    pub(crate) fn set_ring_usage(&self, capacity: u64, used: u64) {
        self.ring_capacity.store(capacity, Ordering::Relaxed);
        self.ring_used.store(used, Ordering::Relaxed);
        if used * 2 >= capacity {
            self.checkpoint_wanted();
        }
    }

    pub(crate) fn ring_usage(&self) -> (u64, u64) {
        (self.ring_capacity.load(Ordering::Relaxed), self.ring_used.load(Ordering::Relaxed))
    }
}
