//! Opening a log directory.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use milena_env::{Clock, Disk, spawn_thread};
use milena_protocol::{Offset, Uuid};

use super::{DirectoryIdentity, Doomed, LogDirectory, Shared, removal};
use crate::{
    checkpoints,
    clean_stop::CleanStop,
    config::{DirectoryConfig, LogConfig},
    error::StorageError,
    journal::{
        replay::replay,
        ring::{Ring, RingFiles, RingIdentity},
        round::{BLOCK, RingKey},
        writer::{self, Writer},
    },
    log::{
        Log, TopicPartition,
        open::{Left, Opening},
    },
    names::{self, PartitionFolder},
    partition_metadata,
    segment::Folder,
};

/// How often the small checkpoint files are written, and the journal's tail moves, without need.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(60);

/// Who writes rounds and checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// Three threads: the journal's writer, the checkpoint, and who removes what is deleted.
    Threads,
    /// Whoever calls `run_pending` and `checkpoint`: a test that must be repeatable.
    Caller,
}

/// How long a start may take until the journal gets its first file of its proper size, unless a
/// burst needs it before. Those zeros would hold up the syncs of the start.
const SETTLING: Duration = Duration::from_millis(500);

/// What is needed to open a log directory.
#[expect(missing_debug_implementations, reason = "it holds a function")]
pub struct OpenOptions<'a> {
    pub disk: Arc<dyn Disk>,
    pub clock: Arc<dyn Clock>,
    pub path: PathBuf,
    pub identity: DirectoryIdentity,
    pub config: DirectoryConfig,
    /// Random bits for the key of a new journal.
    pub new_ring_key: [u8; 16],
    /// The log that the others' configuration is kept in: it is opened first.
    pub first: Option<FirstLog<'a>>,
    /// The configuration of a topic's logs.
    pub log_config: &'a (dyn Fn(&str) -> Arc<LogConfig> + Sync),
    pub workers: Workers,
    /// How many threads open logs.
    pub threads: usize,
}

/// A log that is opened before all others of its directory.
#[expect(missing_debug_implementations, reason = "it holds a function")]
pub struct FirstLog<'a> {
    pub name: TopicPartition,
    /// Called with it if it is there, unless the directory was closed cleanly: then nothing has to
    /// be proven, and whatever `log_config` says can still be changed.
    pub opened: &'a (dyn Fn(&Log) + Sync),
}

impl LogDirectory {
    /// Opens a directory, which is made where it does not exist.
    pub fn open(options: OpenOptions<'_>) -> Result<Arc<Self>, StorageError> {
        let OpenOptions { disk, clock, path, .. } = &options;
        if disk.metadata(path).is_err() {
            make_directory(&**disk, path)?;
        }
        let lock_path = path.join(names::LOCK);
        let lock = disk.lock(&lock_path).map_err(|source| match source.kind() {
            std::io::ErrorKind::WouldBlock => StorageError::InUse(path.clone()),
            _ => StorageError::io("lock", &lock_path)(source),
        })?;
        let meta = options.identity.claim(&**disk, path)?;
        let directory_id = meta.directory_id.unwrap_or(Uuid::ZERO).to_be_bytes();

        let replayed = replay(disk, path, directory_id, options.threads)?;
        let stopped = checkpoints::clean_shutdown(&**disk, path)?;
        let was_clean = stopped.is_some();
        let had_ring = replayed.is_some();
        let noted = CleanStop::load(&**disk, path, |epoch| match stopped {
            // Who was never registered has no epoch, and could not be told from another program.
            Some(stopped) => epoch >= 0 && stopped.broker_epoch == Some(epoch),
            // Our own crash: the start before it found them to be right.
            None => had_ring,
        });
        if noted.logs.is_empty() {
            // Before there is a journal, which would say that nobody else was here.
            CleanStop::forget(&**disk, path)?;
        }
        let (ring, touched) = match replayed {
            Some((ring, touched)) => (ring, touched),
            None => (new_ring(&options, directory_id)?, BTreeMap::new()),
        };
        let shared =
            Shared::new(path.clone(), Arc::clone(disk), Arc::clone(clock), options.config.clone())?;
        let shared = Arc::new(shared);
        shared.begin_at(ring.next_sequence());
        let ring_files = Arc::clone(&ring.files);
        shared.set_writer(Writer::new(ring));

        let found = Survey::of(&options, &shared, noted)?;
        let logs = found.open_logs(&options, was_clean, had_ring, &touched)?;
        shared.cleaned.load(&shared, |name| logs.contains_key(name))?;
        *shared.logs.write().unwrap_or_else(PoisonError::into_inner) = logs;
        if was_clean {
            checkpoints::forget_clean_shutdown(&**disk, path)?;
        }
        let directory = Arc::new(Self {
            shared,
            meta,
            stopped_in: stopped.and_then(|it| it.broker_epoch),
            ring_files,
            threads: Mutex::default(),
            _lock: lock,
        });
        if options.workers == Workers::Threads {
            directory.start_threads()?;
        }
        Ok(directory)
    }

    fn start_threads(self: &Arc<Self>) -> Result<(), StorageError> {
        let shared = Arc::clone(&self.shared);
        let writer = spawn_thread("journal", move || writer::run(&shared));
        let directory = Arc::downgrade(self);
        let shared = Arc::clone(&self.shared);
        let checkpoint = spawn_thread("checkpoint", move || {
            let mut wanted = shared.dirty.wait(SETTLING);
            // Many threads opened logs, and threw away what they read.
            milena_env::memory::give_back();
            let mut next_points = shared.clock.monotonic() + CHECKPOINT_INTERVAL;
            while wanted {
                let Some(directory) = directory.upgrade() else { return };
                directory.grow_journal();
                // A failure has taken the directory offline and been logged there.
                if directory.checkpoint().is_ok() && shared.clock.monotonic() >= next_points {
                    next_points = shared.clock.monotonic() + CHECKPOINT_INTERVAL;
                    if let Err(error) = shared.store_recovery_points() {
                        tracing::warn!(%error, "the next start after a crash will take longer");
                    }
                }
                drop(directory);
                wanted = shared.dirty.wait(CHECKPOINT_INTERVAL);
            }
        });
        let shared = Arc::clone(&self.shared);
        let removal = spawn_thread("removal", move || removal::run(&shared));
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in [writer, checkpoint, removal] {
            threads.push(thread.map_err(StorageError::io("start a thread for", self.path()))?);
        }
        Ok(())
    }
}

/// Makes the directory and its name durable: else a crash takes all that is in it along.
fn make_directory(disk: &dyn Disk, path: &Path) -> Result<(), StorageError> {
    disk.create_dir_all(path).map_err(StorageError::io("create folder", path))?;
    for parent in path.ancestors().skip(1) {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        disk.sync_dir(parent).map_err(StorageError::io("sync folder", parent))?;
    }
    Ok(())
}

fn new_ring(options: &OpenOptions<'_>, directory_id: [u8; 16]) -> Result<Ring, StorageError> {
    let key = RingKey(options.new_ring_key);
    let identity = RingIdentity { directory_id, key };
    let files = RingFiles::new(Arc::clone(&options.disk), &options.path, identity, 0, 0);
    let len = options.config.journal_first_file_bytes.next_multiple_of(BLOCK);
    // Two, so that one can be filled while the other is still needed.
    files.make(len)?;
    files.make(len)?;
    Ring::fresh(Arc::new(files)).ok_or_else(|| StorageError::Foreign {
        path: options.path.clone(),
        reason: "has no journal".to_owned(),
    })
}

/// What lies in a log directory.
struct Survey<'a> {
    shared: &'a Arc<Shared>,
    folders: Vec<(TopicPartition, PathBuf)>,
    recovery_points: BTreeMap<TopicPartition, Offset>,
    starts: BTreeMap<TopicPartition, Offset>,
    /// What the last clean stop says of the logs.
    noted: CleanStop,
}

impl<'a> Survey<'a> {
    fn of(
        options: &OpenOptions<'_>,
        shared: &'a Arc<Shared>,
        noted: CleanStop,
    ) -> Result<Self, StorageError> {
        let path = &options.path;
        let disk = &*options.disk;
        let mut folders = Vec::new();
        for entry in disk.list(path).map_err(StorageError::io("list", path))? {
            if !entry.is_dir {
                continue;
            }
            match PartitionFolder::parse(&entry.name) {
                Some(PartitionFolder { topic, partition, mark: None }) => {
                    let name = TopicPartition { topic: topic.into(), partition };
                    folders.push((name, path.join(&entry.name)));
                }
                Some(PartitionFolder { mark: Some(names::Mark::Delete), .. }) => {
                    let folder = path.join(&entry.name);
                    shared.dirty.add_doomed(Doomed::Folder(folder, Vec::new()));
                }
                // Stray and future replicas are the broker's to decide on.
                _ => {}
            }
        }
        Ok(Self {
            shared,
            folders,
            recovery_points: offsets(disk, &path.join(names::RECOVERY_POINTS))?,
            starts: offsets(disk, &path.join(names::LOG_START_OFFSETS))?,
            noted,
        })
    }

    /// Opens every log, on as many threads as were asked for.
    fn open_logs(
        &self,
        options: &OpenOptions<'_>,
        was_clean: bool,
        had_ring: bool,
        touched: &BTreeMap<TopicPartition, Uuid>,
    ) -> Result<BTreeMap<TopicPartition, Arc<Log>>, StorageError> {
        let open = |(name, path): &(TopicPartition, PathBuf)| {
            let config = (options.log_config)(&name.topic);
            let left = if touched.contains_key(name) {
                Left::Journalled
            } else if was_clean {
                Left::Clean
            } else if had_ring && config.is_journalled() {
                Left::Journalled
            } else {
                Left::Unproven
            };
            // Nothing reaches a segment before the journal has it: what it does not speak of is as
            // the stop left it, or was synced since and has another length or time of change.
            let is_idle =
                left == Left::Clean || (left == Left::Journalled && !touched.contains_key(name));
            let noted = self.noted.logs.get(name).filter(|_| is_idle);
            let mut opening = Opening {
                name: name.clone(),
                topic_id: noted.map_or(Uuid::ZERO, |noted| noted.topic_id),
                config,
                left,
                recovery_point: self.recovery_points.get(name).copied().unwrap_or(Offset::ZERO),
                start: self.starts.get(name).copied().unwrap_or(Offset::ZERO),
            };
            let folder = || Folder::new(path, true);
            if let Some(noted) = noted
                && let Some(log) = Log::resume(self.shared, folder(), &opening, noted)
            {
                return Ok((name.clone(), log));
            }
            let metadata = || path.join(names::PARTITION_METADATA);
            let topic_id = match touched.get(name) {
                Some(id) => Some(*id),
                None => partition_metadata::load(&*options.disk, &metadata())?,
            };
            opening.topic_id = topic_id.unwrap_or(Uuid::ZERO);
            Log::open(self.shared, folder(), opening).map(|log| (name.clone(), log))
        };
        let mut early = None;
        if let Some(first) = &options.first
            && let Some(at) = self.folders.iter().position(|(name, _)| *name == first.name)
            && let Some(folder) = self.folders.get(at)
        {
            let (name, log) = open(folder)?;
            if !was_clean {
                (first.opened)(&log);
            }
            early = Some((name, log));
        }
        let is_early = |name: &TopicPartition| early.as_ref().is_some_and(|(it, _)| it == name);
        let open = |folder: &(TopicPartition, PathBuf)| match &early {
            Some((name, log)) if is_early(&folder.0) => Ok((name.clone(), Arc::clone(log))),
            _ => open(folder),
        };
        let threads = options.threads.max(1);
        let share = self.folders.len().div_ceil(threads).max(1);
        if threads == 1 || self.folders.len() < 64 {
            return self.folders.iter().map(&open).collect();
        }
        std::thread::scope(|scope| {
            let open = &open;
            let workers: Vec<_> = self
                .folders
                .chunks(share)
                .map(|folders| {
                    scope.spawn(move || folders.iter().map(open).collect::<Result<Vec<_>, _>>())
                })
                .collect();
            let mut logs = BTreeMap::new();
            for worker in workers {
                match worker.join() {
                    Ok(opened) => logs.extend(opened?),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Ok(logs)
        })
    }
}

fn offsets(disk: &dyn Disk, path: &Path) -> Result<BTreeMap<TopicPartition, Offset>, StorageError> {
    let lines = checkpoints::load_offsets(disk, path)?;
    let named = lines.into_iter().map(|line| {
        let name = TopicPartition { topic: line.topic.into(), partition: line.partition };
        (name, line.offset)
    });
    Ok(named.collect())
}
