//! Puts a ring that a crash left behind into the segments, before any log is opened.
//!
//! Every entry says where its bytes lie, so replay knows nothing of batches and may be cut short
//! and begun again as often as it likes. It serves nobody and recycles nothing until all that it
//! touched is synced.

mod folders;
mod shares;
mod target;

use std::{
    collections::{BTreeMap, BTreeSet, hash_map::Entry as MapEntry},
    io::IoSlice,
    path::{Path, PathBuf},
    sync::Arc,
};

use milena_env::{
    Disk, DiskFile, HashMap,
    disk::{FileSystem, Open},
};
use milena_protocol::{Offset, Uuid, records::BatchHeader};

use self::target::{Life, Target};
use super::{
    entry::{Entry, Place},
    found::Found,
    ring::{Ring, RingFiles},
    segments::unless_missing,
};
use crate::{
    error::StorageError,
    log::TopicPartition,
    names::{self, FileKind, SegmentFile, Stage},
    segment::scan::Scanner,
};

/// Above this many files the whole file system is synced: one wait instead of thousands.
const SYNC_EACH_MAX: usize = 64;

/// Files that replay keeps open at once.
const OPEN_MAX: usize = 4096;

/// The ring to go on with, and which partitions of which topics it spoke of.
type Replayed = (Ring, BTreeMap<TopicPartition, Uuid>);

/// Replays what a crash left behind; `None` where there is no ring.
pub(crate) fn replay(
    disk: &Arc<dyn Disk>,
    directory: &Path,
    directory_id: [u8; 16],
    threads: usize,
) -> Result<Option<Replayed>, StorageError> {
    let Some(found) = Found::look(&**disk, directory, directory_id)? else { return Ok(None) };
    // Held since before anything is written: it knows of every byte that is lost.
    let file_system = disk.file_system(directory);
    let file_system =
        file_system.map_err(StorageError::io("open the file system of", directory))?;
    let mut replay = Replay::new(&**disk, directory);
    let mut touched = BTreeMap::new();
    if !found.is_empty() {
        if disk.metadata(&directory.join(names::CLEAN_SHUTDOWN)).is_ok() {
            return Err(foreign(directory));
        }
        // After a kill the last round may be in memory alone. It must not reach a segment and then
        // be lost here: that would look as if somebody else had written to the log.
        for ring in &found.files {
            ring.file.sync_data().map_err(StorageError::io("sync", &ring.path))?;
        }
        replay.survey(&found)?;
        replay.carry_out_all(&found, threads)?;
        replay.sync(&*file_system)?;
        replay.store_offsets()?;
        let open = replay.targets.iter().filter(|(_, target)| target.closed.is_none());
        touched = open.map(|(life, _)| life.clone()).collect();
    }
    let ring = go_on(disk, directory, found)?;
    Ok(Some((ring, touched)))
}

/// The ring behind its last round, which says from now on that nothing before it is needed.
fn go_on(disk: &Arc<dyn Disk>, directory: &Path, found: Found) -> Result<Ring, StorageError> {
    for path in &found.unfinished {
        unless_missing(disk.remove_file(path), "remove", path)?;
    }
    let existing = found.files.iter().map(|file| file.len).sum();
    let (identity, next_number) = (found.identity, found.next_number);
    let files = RingFiles::new(Arc::clone(disk), directory, identity, next_number, existing);
    let files = Arc::new(files);
    let (index, position) = found.next;
    let mut others = found.files;
    let active = others.swap_remove(index);
    if others.is_empty() {
        // A crash came while the second one was made; one alone can never be set free.
        files.make(active.len)?;
    }
    let last = found.last_sequence;
    let mut ring = Ring::continuing(files, active, position, last, others);
    if !ring.has_reserve() {
        ring.make_room(0);
    }
    ring.write(last + 1, 0, &[])?;
    Ok(ring)
}

fn foreign(directory: &Path) -> StorageError {
    StorageError::Foreign {
        path: directory.to_owned(),
        reason: "was written to by another program after Milena crashed, and the journal cannot \
                 be replayed any more. If what that program wrote counts, remove the \
                 milena-journal-* files; if not, restore the directory from a copy"
            .to_owned(),
    }
}

struct Replay<'a> {
    disk: &'a dyn Disk,
    directory: &'a Path,
    files: HashMap<PathBuf, Opened>,
    /// Files were closed that are not synced.
    is_large: bool,
    /// Files that were only read, and that a process that was killed may not have synced: who reads
    /// them now would not know.
    believed: Vec<PathBuf>,
    touched: BTreeSet<PathBuf>,
    targets: BTreeMap<Life, Target>,
}

/// A segment's file, which nobody else writes to.
#[derive(Clone)]
struct Opened {
    file: Arc<dyn DiskFile>,
    len: u64,
}

impl<'a> Replay<'a> {
    fn new(disk: &'a dyn Disk, directory: &'a Path) -> Self {
        Self {
            disk,
            directory,
            files: HashMap::default(),
            is_large: false,
            believed: Vec::new(),
            touched: BTreeSet::new(),
            targets: BTreeMap::new(),
        }
    }

    /// First pass: which lives of which partitions the entries speak of, and which count.
    fn survey(&mut self, found: &Found) -> Result<(), StorageError> {
        each(found, |life, position, entry| {
            let target = self.targets.entry(life.clone()).or_default();
            match entry {
                Entry::Close(reason) => {
                    target.closed = Some(*reason);
                    target.skip_through = position;
                }
                Entry::Reset { .. } => target.skip_through = position - 1,
                _ => target.closed = None,
            }
            Ok(())
        })
    }

    /// Second pass: carries the entries out.
    fn apply(&mut self, found: &Found) -> Result<(), StorageError> {
        self.prepare_folders()?;
        let mut targets = std::mem::take(&mut self.targets);
        each(found, |life, position, entry| match targets.get_mut(life) {
            Some(target) if target.closed.is_none() && position > target.skip_through => {
                self.carry_out(&self.folder(&life.0), target, entry)
            }
            _ => Ok(()),
        })?;
        self.targets = targets;
        Ok(())
    }

    fn carry_out(
        &mut self,
        folder: &Path,
        target: &mut Target,
        entry: &Entry<'_>,
    ) -> Result<(), StorageError> {
        match entry {
            Entry::Open { .. } | Entry::Close(_) => {}
            Entry::Append { place, batch } => {
                let path = log_path(folder, place.segment);
                let opened = self.open(&path)?;
                let at = u64::from(place.position);
                target.check_reach(&path, opened.len, *place);
                // Also where it seems to be there: once a write-back has failed the page cache
                // holds what the disk does not.
                let wrote = opened.file.write_all_at(&[IoSlice::new(batch)], at);
                wrote.map_err(StorageError::io("write", &path))?;
                opened.len = opened.len.max(at + batch.len() as u64);
                let position = place.position + batch.len() as u32;
                target.end = Some(Place { segment: place.segment, position });
                target.end_offset = BatchHeader::read(batch).ok().map(|h| h.next_offset());
            }
            Entry::Truncate { to, place } => {
                let (path, len) = self.cut(folder, *place, None)?;
                target.cut_at(*to);
                target.hole.take_if(|(begins, _)| {
                    (place.segment, place.position) <= (begins.segment, begins.position)
                });
                target.check_reach(&path, len, *place);
                target.end = Some(*place);
                target.end_offset = Some(*to);
                target.was_cut = true;
            }
            Entry::Reset { start } => {
                self.remove_segments(folder, |_| true)?;
                // Of the log as it was; the batches that follow say what the epochs are now.
                let epochs = folder.join(names::LEADER_EPOCHS);
                unless_missing(self.disk.remove_file(&epochs), "remove", &epochs)?;
                target.cut_at(*start);
                target.start = Some(*start);
                target.was_reset = true;
                target.end = Some(Place { segment: *start, position: 0 });
                target.was_cut = true;
            }
            Entry::LogStart { offset } => self.start_at(folder, target, *offset)?,
        }
        Ok(())
    }

    /// The log starts at `offset`: what lies below goes, and nothing of it is missed.
    fn start_at(
        &mut self,
        folder: &Path,
        target: &mut Target,
        offset: Offset,
    ) -> Result<(), StorageError> {
        let below = self.bases(folder)?;
        let mut keep = below.range(..=offset).next_back().copied();
        let is_in_hole = target.hole.as_ref().is_some_and(|h| Some(h.0.segment) == keep);
        if is_in_hole && target.end_offset == Some(offset) {
            // All records went, and their files with them: the log goes on in a segment
            // that had no file yet.
            keep = Some(offset);
        }
        self.remove_segments(folder, |f| keep.is_some_and(|keep| f.base_offset < keep))?;
        target.hole.take_if(|(begins, _)| keep.is_some_and(|keep| begins.segment < keep));
        // A segment that follows the last record has nothing in it yet.
        let is_gone = |end: &Place| keep.is_some_and(|keep| end.segment < keep);
        if let (Some(segment), Some(_)) = (keep, target.end.filter(is_gone)) {
            target.end = Some(Place { segment, position: 0 });
        }
        target.start = target.start.max(Some(offset));
        Ok(())
    }

    /// Cuts each log behind its last entry, unless there is something that was durable: of a round
    /// that is damaged, or of somebody else.
    fn cut_ends(&mut self, found: &Found) -> Result<(), StorageError> {
        let mut targets = std::mem::take(&mut self.targets);
        for ((name, _), target) in &mut targets {
            let folder = self.folder(name);
            if target.hole.is_some() {
                // A log that was cut at its start went on in a new segment, and the files before
                // that went for good.
                let stored = self.stored_start(name)?.filter(|_| !target.was_reset);
                if let Some(start) = target.start.max(stored) {
                    self.start_at(&folder, target, start)?;
                }
            }
            if let Some((_, lost)) = target.hole.take() {
                return Err(lost);
            }
            let Some(end) = target.end.filter(|_| target.closed.is_none()) else { continue };
            if !target.was_cut && self.somebody_wrote(&folder, end)? {
                return Err(found.damaged_end().unwrap_or_else(|| foreign(self.directory)));
            }
            self.cut(&folder, end, target.end_offset.filter(|_| !target.was_cut))?;
        }
        self.targets = targets;
        Ok(())
    }

    /// Whether a whole sound batch lies behind the end, there or at the start of a later segment:
    /// Milena's would be in the journal.
    fn somebody_wrote(&mut self, folder: &Path, end: Place) -> Result<bool, StorageError> {
        let later = self.bases(folder)?.split_off(&end.segment.next());
        let later = later.into_iter().map(|segment| Place { segment, position: 0 });
        for Place { segment, position } in std::iter::once(end).chain(later) {
            let path = log_path(folder, segment);
            let Opened { file, len } = self.open(&path)?;
            let mut scanner = Scanner::checked(file, u64::from(position), *len);
            if scanner.next().map_err(StorageError::io("read", &path))?.is_ok() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Cuts the log at `end`; gives the file that it ends in, and what its length was. Snapshots of
    /// producers are kept below the offset that is known not to have been cut.
    fn cut(
        &mut self,
        folder: &Path,
        end: Place,
        known: Option<Offset>,
    ) -> Result<(PathBuf, u64), StorageError> {
        self.remove_segments(folder, |file| {
            let is_kept = file.kind == FileKind::ProducerSnapshot && Some(file.base_offset) < known;
            file.base_offset > end.segment && !is_kept
        })?;
        let path = log_path(folder, end.segment);
        let opened = self.open(&path)?;
        let (len, to) = (opened.len, u64::from(end.position));
        if len != to {
            opened.file.set_len(to).map_err(StorageError::io("cut", &path))?;
            opened.len = to;
        }
        Ok((path, len))
    }

    fn remove_segments(
        &mut self,
        folder: &Path,
        is_gone: impl Fn(&SegmentFile) -> bool,
    ) -> Result<(), StorageError> {
        for entry in self.disk.list(folder).map_err(StorageError::io("list", folder))? {
            let Some(file) = SegmentFile::parse(&entry.name) else { continue };
            if is_gone(&file) {
                let path = folder.join(&entry.name);
                self.files.remove(&path);
                unless_missing(self.disk.remove_file(&path), "remove", &path)?;
            }
        }
        self.touched.insert(folder.to_owned());
        Ok(())
    }

    fn bases(&self, folder: &Path) -> Result<BTreeSet<Offset>, StorageError> {
        let entries = self.disk.list(folder).map_err(StorageError::io("list", folder))?;
        let files = entries.iter().filter_map(|e| SegmentFile::parse(&e.name));
        // A segment that waits for its removal holds nothing: what it had is in one before it.
        let is_log = |f: &SegmentFile| {
            f.kind == FileKind::Log && matches!(f.stage, Stage::Live | Stage::Swap)
        };
        Ok(files.filter(is_log).map(|f| f.base_offset).collect())
    }

    fn open(&mut self, path: &Path) -> Result<&mut Opened, StorageError> {
        if self.files.len() >= OPEN_MAX && !self.files.contains_key(path) {
            self.files.clear();
            self.is_large = true;
        }
        match self.files.entry(path.to_owned()) {
            MapEntry::Occupied(opened) => Ok(opened.into_mut()),
            MapEntry::Vacant(place) => {
                let file = self.disk.open(path, Open::Create);
                let file = file.map_err(StorageError::io("open", path))?;
                let len = file.size().map_err(StorageError::io("look at", path))?;
                self.touched.extend(path.parent().map(Path::to_owned));
                Ok(place.insert(Opened { file, len }))
            }
        }
    }

    fn sync(&mut self, file_system: &dyn FileSystem) -> Result<(), StorageError> {
        let files = std::mem::take(&mut self.files);
        let count = files.len() + self.believed.len() + self.touched.len();
        if self.is_large || count > SYNC_EACH_MAX {
            drop(files);
            let sync = file_system.sync();
            return sync.map_err(StorageError::io("sync the file system of", self.directory));
        }
        for (path, Opened { file, .. }) in files {
            file.sync_data().map_err(StorageError::io("sync", &path))?;
        }
        for path in &self.believed {
            let synced = self.disk.open(path, Open::ReadWrite).and_then(|file| file.sync_data());
            synced.map_err(StorageError::io("sync", path))?;
        }
        for folder in self.touched.iter().map(PathBuf::as_path).chain([self.directory]) {
            self.disk.sync_dir(folder).map_err(StorageError::io("sync folder", folder))?;
        }
        Ok(())
    }

    fn folder(&self, name: &TopicPartition) -> PathBuf {
        self.directory.join(names::partition_folder(&name.topic, name.partition))
    }
}

/// Visits the entries that are needed, each with the life that it speaks of, and counted.
fn each(
    found: &Found,
    mut act: impl FnMut(&Life, usize, &Entry<'_>) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let mut named: BTreeMap<u32, Life> = BTreeMap::new();
    let mut position = 0;
    found.visit(|alias, entry, is_needed| {
        position += 1;
        if let Entry::Open { topic_id, partition, topic } = entry {
            named.insert(alias, (TopicPartition { topic: topic.into(), partition }, topic_id));
        }
        match named.get(&alias) {
            Some(life) if is_needed => act(life, position, &entry),
            _ => Ok(()),
        }
    })
}

fn log_path(folder: &Path, base_offset: Offset) -> PathBuf {
    folder.join(SegmentFile::live(base_offset, FileKind::Log).to_string())
}
