//! Moving a partition to another directory of the same broker, while it is served.
//!
//! Its files are copied into a `-future` folder as they grow. When little is missing, appends are
//! put off: the log is left as at a clean stop, the rest is copied and synced, and the folder gets
//! the partition's name. From that moment on the partition lies there, and here it is deleted
//! before anything is appended there. So a crash finds a folder that is of no use yet, or two that
//! hold the same, and never two that each have something of their own.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::IoSlice,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use milena_env::disk::Open;
use milena_protocol::Offset;

use super::LogDirectory;
use crate::{
    error::StorageError,
    journal::segments::unless_missing,
    log::{
        Log, TopicPartition,
        open::{Left, Opening},
    },
    names::{self, FileKind, Mark, PartitionFolder, SegmentFile, Stage},
    segment::{Folder, Segment},
};

/// What is read and written at once.
const CHUNK: usize = 1 << 20;

/// One partition on its way.
#[derive(Debug)]
pub struct Relocation {
    from: Arc<LogDirectory>,
    to: Arc<LogDirectory>,
    log: Arc<Log>,
    folder: PathBuf,
    copied: Mutex<Copied>,
    end: AtomicI64,
    bytes: AtomicU64,
}

/// How much of each segment is in the other folder.
#[derive(Debug, Default)]
struct Copied {
    /// How often the log had been cut.
    cuts: u64,
    segments: BTreeMap<Offset, (Arc<Segment>, u64)>,
}

impl Relocation {
    /// Begins to move a partition of `from`; `None` where it is not there, or no longer.
    pub fn begin(
        from: &Arc<LogDirectory>,
        to: &Arc<LogDirectory>,
        name: &TopicPartition,
    ) -> Result<Option<Self>, StorageError> {
        let Some(log) = from.log(name) else { return Ok(None) };
        let id = u128::from_be_bytes(log.topic_id().to_be_bytes());
        let marked = names::marked_partition_folder(&name.topic, name.partition, Mark::Future, id);
        let folder = to.path().join(marked);
        remove(to, &folder)?;
        let disk = &to.shared.disk;
        disk.create_dir_all(&folder).map_err(StorageError::io("create folder", &folder))?;
        Ok(Some(Self {
            from: Arc::clone(from),
            to: Arc::clone(to),
            log,
            folder,
            copied: Mutex::default(),
            end: AtomicI64::new(0),
            bytes: AtomicU64::new(0),
        }))
    }

    #[must_use]
    pub const fn log(&self) -> &Arc<Log> {
        &self.log
    }

    #[must_use]
    pub const fn to(&self) -> &Arc<LogDirectory> {
        &self.to
    }

    /// Up to where the copy has the records.
    #[must_use]
    pub fn copied_end(&self) -> Offset {
        Offset(self.end.load(Ordering::Relaxed))
    }

    #[must_use]
    pub fn copied_bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Copies what has come since the last time, as long as `go_on` says so. Says how many bytes
    /// that were. It reads and writes much, and holds nobody up.
    pub fn catch_up(&self, go_on: &dyn Fn() -> bool) -> Result<u64, StorageError> {
        let mut copied = self.copied.lock().unwrap_or_else(PoisonError::into_inner);
        let (cuts, reached) = (self.log.cuts(), self.log.written_end());
        if copied.cuts != cuts {
            *copied = Copied { cuts, ..Copied::default() };
            self.bytes.store(0, Ordering::Relaxed);
        }
        let mut fresh = 0;
        for segment in self.log.segments().iter() {
            let base = segment.base_offset();
            let same = copied.segments.get(&base).filter(|(it, _)| Arc::ptr_eq(it, segment));
            let mut at = same.map_or(0, |(_, at)| *at);
            while at < segment.written() && go_on() {
                match self.copy_some(segment, at) {
                    // Retention or compaction took it away; whatever is in its place comes later.
                    Err(_) if segment.is_gone() => break,
                    bytes => {
                        let bytes = bytes?;
                        at += bytes;
                        self.bytes.fetch_add(bytes, Ordering::Relaxed);
                    }
                }
            }
            fresh += at - same.map_or(0, |(_, at)| *at).min(at);
            copied.segments.insert(base, (Arc::clone(segment), at));
        }
        let bases: BTreeSet<Offset> =
            self.log.segments().iter().map(|segment| segment.base_offset()).collect();
        copied.segments.retain(|base, _| bases.contains(base));
        let total = copied.segments.values().map(|(_, at)| at).sum();
        self.bytes.store(total, Ordering::Relaxed);
        if go_on() {
            self.end.store(reached.0, Ordering::Relaxed);
        }
        Ok(fresh)
    }

    fn copy_some(&self, segment: &Arc<Segment>, at: u64) -> Result<u64, StorageError> {
        let path = segment.path(FileKind::Log);
        let mut bytes = vec![0; CHUNK.min((segment.written() - at) as usize)];
        let source = self.from.shared.files.get(segment)?;
        let read = source.file.read_exact_at(&mut bytes, at);
        read.map_err(StorageError::io("read", &path))?;
        let path = self.folder.join(live(segment.base_offset(), FileKind::Log));
        let write = || {
            let file = self.to.shared.disk.open(&path, Open::Create)?;
            file.write_all_at(&[IoSlice::new(&bytes)], at)?;
            // Only a hint: what goes wrong shows at the sync.
            let _ = file.start_write_back(at, bytes.len() as u64);
            Ok(())
        };
        write().map_err(StorageError::io("write", &path))?;
        Ok(bytes.len() as u64)
    }

    /// Moves the partition, for which its appends are refused until somebody appends to the log
    /// that this answers. Where it fails everything is as before; else the old log is to be
    /// [left](Self::leave) when everybody finds the new one.
    pub fn finish(&self) -> Result<Arc<Log>, StorageError> {
        let _alone = self.log.compaction.take();
        self.log.refuse_appends();
        self.hand_over().inspect_err(|_| self.log.welcome_appends())
    }

    /// Deletes the old log. If this fails its directory is offline or full, and the next start
    /// finds two that hold the same.
    pub fn leave(&self) {
        if let Err(error) = self.from.delete(self.log.name()) {
            tracing::error!(partition = %self.log.name(), %error, "moved, but not deleted here");
        }
    }

    fn hand_over(&self) -> Result<Arc<Log>, StorageError> {
        let (here, there) = (&self.from.shared, &self.to.shared);
        here.drain()?;
        if let Some(offline) = there.offline_error() {
            return Err(offline);
        }
        let name = self.log.name();
        if !self.log.folder().exists() {
            remove(&self.to, &self.folder)?;
            return self.to.create(
                name.clone(),
                self.log.topic_id(),
                Arc::clone(&self.log.config()),
            );
        }
        here.checkpoint()?;
        self.log.save_at_stop(here)?;
        self.catch_up(&|| true)?;
        self.copy_small_files()?;
        let sync = StorageError::io("sync the file system of", self.to.path());
        there.files.sync_all().map_err(sync)?;
        let opening = Opening {
            name: name.clone(),
            topic_id: self.log.topic_id(),
            config: Arc::clone(&self.log.config()),
            left: Left::Clean,
            recovery_point: self.log.appended_end(),
            start: self.log.start_offset(),
        };
        let moved = Log::open(there, Folder::new(&self.folder, true), opening)?;
        {
            let mut logs = there.logs.write().unwrap_or_else(PoisonError::into_inner);
            if logs.contains_key(name) {
                let reason = format!("holds {name} already");
                return Err(StorageError::Foreign { path: self.to.path().to_owned(), reason });
            }
            logs.insert(name.clone(), Arc::clone(&moved));
        }
        // Where it starts is durable before it is there, lest deleted records come back.
        let renamed = there.store_recovery_points().and_then(|()| there.store_starts());
        if let Err(error) = renamed.and_then(|()| self.rename(&moved)) {
            there.logs.write().unwrap_or_else(PoisonError::into_inner).remove(name);
            there.dirty.add_offsets();
            return Err(error);
        }
        Ok(moved)
    }

    fn rename(&self, moved: &Log) -> Result<(), StorageError> {
        let there = &self.to.shared;
        let name = self.log.name();
        let path = there.path.join(names::partition_folder(&name.topic, name.partition));
        let renamed = there.disk.rename(&self.folder, &path);
        renamed.map_err(StorageError::io("rename", &self.folder))?;
        moved.folder().moved_to(&path);
        let synced = there.disk.sync_dir(&there.path);
        synced.map_err(StorageError::io("sync folder", &there.path)).inspect_err(|error| {
            // Whether it is there nobody knows: nothing may be done with it.
            there.go_offline(error);
        })
    }

    /// Everything but the segments themselves, as the stop left it; what is there and does not
    /// belong there goes.
    fn copy_small_files(&self) -> Result<(), StorageError> {
        let (source, disk) = (self.log.folder().path(), &self.to.shared.disk);
        let segments = self.log.segments();
        let mut expected = BTreeSet::new();
        for segment in segments.iter() {
            let name = live(segment.base_offset(), FileKind::Log);
            let path = self.folder.join(&name);
            let cut = || disk.open(&path, Open::Create)?.set_len(segment.written());
            cut().map_err(StorageError::io("cut", &path))?;
            expected.insert(name);
        }
        let entries = self.from.shared.disk.list(&source);
        for entry in entries.map_err(StorageError::io("list", &source))? {
            let belongs = match SegmentFile::parse(&entry.name) {
                Some(file) if file.kind == FileKind::ProducerSnapshot => file.stage == Stage::Live,
                Some(file) => {
                    let is_here = |s: &Arc<Segment>| s.base_offset() == file.base_offset;
                    file.stage == Stage::Live
                        && file.kind != FileKind::Log
                        && segments.iter().any(is_here)
                }
                None => [names::PARTITION_METADATA, names::LEADER_EPOCHS].contains(&&*entry.name),
            };
            if belongs {
                let path = source.join(&entry.name);
                let bytes = self.from.shared.disk.read(&path);
                let bytes = bytes.map_err(StorageError::io("read", &path))?;
                let path = self.folder.join(&entry.name);
                let write = || {
                    let file = disk.open(&path, Open::Create)?;
                    file.set_len(0)?;
                    file.write_all_at(&[IoSlice::new(&bytes)], 0)
                };
                write().map_err(StorageError::io("write", &path))?;
                expected.insert(entry.name);
            }
        }
        let entries = disk.list(&self.folder).map_err(StorageError::io("list", &self.folder))?;
        for entry in entries.into_iter().filter(|entry| !expected.contains(&entry.name)) {
            let path = self.folder.join(&entry.name);
            unless_missing(disk.remove_file(&path), "remove", &path)?;
        }
        Ok(())
    }

    /// Gives the move up.
    pub fn abandon(&self) -> Result<(), StorageError> {
        remove(&self.to, &self.folder)
    }

    /// Leaves the move to the next start, which finds by an empty folder that it is wanted.
    pub fn put_off(&self) -> Result<(), StorageError> {
        self.abandon()?;
        let made = self.to.shared.disk.create_dir_all(&self.folder);
        made.map_err(StorageError::io("create folder", &self.folder))
    }
}

impl LogDirectory {
    /// Copies that the last process left unfinished, of partitions that `is_somewhere`: they go.
    /// Says of which they were, since these are still wanted here.
    pub fn forget_copies(
        &self,
        is_somewhere: &dyn Fn(&TopicPartition) -> bool,
    ) -> Result<Vec<TopicPartition>, StorageError> {
        let path = self.path();
        let entries = self.shared.disk.list(path).map_err(StorageError::io("list", path))?;
        let mut forgotten = Vec::new();
        for entry in entries.iter().filter(|entry| entry.is_dir) {
            if let Some(PartitionFolder { topic, partition, mark: Some(Mark::Future) }) =
                PartitionFolder::parse(&entry.name)
            {
                let name = TopicPartition { topic: topic.into(), partition };
                if is_somewhere(&name) {
                    // At once: another copy may be begun under the same name.
                    remove(self, &path.join(&entry.name))?;
                    forgotten.push(name);
                }
            }
        }
        if !forgotten.is_empty() {
            // They may speak of where the copy would have begun.
            self.shared.store_recovery_points()?;
            self.shared.store_starts()?;
        }
        Ok(forgotten)
    }
}

fn remove(directory: &LogDirectory, folder: &Path) -> Result<(), StorageError> {
    unless_missing(directory.shared.disk.remove_dir_all(folder), "remove", folder)
}

fn live(base_offset: Offset, kind: FileKind) -> String {
    SegmentFile::live(base_offset, kind).to_string()
}
