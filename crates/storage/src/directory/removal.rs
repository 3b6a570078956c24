//! Removes what nobody looks for any more: segments that retention, cuts or compaction took away,
//! and the folders of deleted partitions.
//!
//! On a thread of its own and in steps, with rests between them: to give back a segment of 1 GiB
//! takes a file system a fifth of a second, in which every sync waits for it. No checkpoint and no
//! acknowledgement is to stand behind that. A crash may leave all of it, since it has names of its
//! own by now (`.deleted`, `-delete`), by which the next start knows it.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use milena_env::{Disk, disk::Open};

use super::Shared;
use crate::{
    error::StorageError,
    journal::segments::unless_missing,
    names::{FileKind, SegmentFile, Stage},
    segment::Segment,
};

/// What a file loses in a step: some milliseconds.
const STEP_BYTES: u64 = 16 << 20;
/// How often what somebody still reads is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Something that waits for its removal, under a name that says so.
#[derive(Debug)]
pub(crate) enum Doomed {
    Segment(Arc<Segment>),
    /// A whole partition, with those of its segments that may be open.
    Folder(PathBuf, Vec<Arc<Segment>>),
}

impl Doomed {
    /// Where a segment's file waits for its removal.
    pub(crate) fn path_of(segment: &Segment) -> PathBuf {
        let file = SegmentFile::live(segment.base_offset(), FileKind::Log);
        segment.folder().path().join(file.with_stage(Stage::Deleted).to_string())
    }

    /// Closes its files; `false` while somebody reads one of them.
    fn close(&self) -> bool {
        match self {
            Self::Segment(segment) => segment.close_unread(),
            Self::Folder(_, segments) => segments.iter().all(|segment| segment.close_unread()),
        }
    }

    /// Removes it at once. Who reads it goes on reading.
    fn remove(&self, disk: &dyn Disk) -> Result<(), StorageError> {
        match self {
            Self::Segment(segment) => {
                let path = Self::path_of(segment);
                unless_missing(disk.remove_file(&path), "remove", &path)
            }
            Self::Folder(path, _) => unless_missing(disk.remove_dir_all(path), "remove", path),
        }
    }

    /// The files that may be large.
    fn logs(&self, disk: &dyn Disk) -> Vec<PathBuf> {
        match self {
            Self::Segment(segment) => vec![Self::path_of(segment)],
            Self::Folder(path, _) => {
                let is_log = |name: &str| {
                    SegmentFile::parse(name).is_some_and(|file| file.kind == FileKind::Log)
                };
                // What cannot be listed is for the removal itself to report.
                let entries = disk.list(path).unwrap_or_default();
                let logs = entries.iter().filter(|entry| is_log(&entry.name));
                logs.map(|entry| path.join(&entry.name)).collect()
            }
        }
    }
}

#[derive(Debug, Default)]
struct Waiting {
    doomed: VecDeque<Doomed>,
    stopping: bool,
}

/// What waits for its removal.
#[derive(Debug, Default)]
pub(crate) struct Removal {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

impl Removal {
    pub(crate) fn add(&self, doomed: impl IntoIterator<Item = Doomed>) {
        self.lock().doomed.extend(doomed);
        self.changed.notify_one();
    }

    pub(crate) fn stop(&self) {
        self.lock().stopping = true;
        self.changed.notify_one();
    }

    fn is_stopping(&self) -> bool {
        self.lock().stopping
    }

    /// The next one, once there is one; `None` when the directory stops.
    fn next(&self) -> Option<Doomed> {
        let waiting = self.lock();
        let waited = self.changed.wait_while(waiting, |w| w.doomed.is_empty() && !w.stopping);
        let mut waiting = waited.unwrap_or_else(PoisonError::into_inner);
        if waiting.stopping { None } else { waiting.doomed.pop_front() }
    }

    /// Sleeps a while, unless the directory stops.
    fn rest(&self, time: Duration) {
        let waiting = self.lock();
        drop(self.changed.wait_timeout_while(waiting, time, |w| !w.stopping));
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread: one after the other, slowly, until the directory stops.
pub(crate) fn run(shared: &Shared) {
    let removal = &shared.removal;
    while let Some(doomed) = removal.next() {
        if !doomed.close() {
            removal.add([doomed]);
            removal.rest(LOOK);
            continue;
        }
        let disk = &*shared.disk;
        for path in doomed.logs(disk) {
            // A file that cannot be made shorter goes as it is.
            let _ = shorten(shared, &path);
        }
        if removal.is_stopping() {
            removal.add([doomed]);
        } else if let Err(error) = doomed.remove(disk) {
            shared.go_offline(&error);
        }
    }
}

/// Takes the most of a file's bytes from its end, with a rest after each step that is as long as
/// the step was.
fn shorten(shared: &Shared, path: &Path) -> io::Result<()> {
    let file = shared.disk.open(path, Open::ReadWrite)?;
    let mut len = file.size()?;
    while len > STEP_BYTES && !shared.removal.is_stopping() {
        len -= STEP_BYTES;
        let began = shared.clock.monotonic();
        file.set_len(len)?;
        shared.removal.rest(shared.clock.monotonic().saturating_sub(began));
    }
    Ok(())
}

/// Removes all that waits, at once: where there is no thread for it, or no more.
pub(crate) fn remove_all(shared: &Shared) -> Result<(), StorageError> {
    let all = std::mem::take(&mut shared.removal.lock().doomed);
    all.iter().try_for_each(|doomed| doomed.remove(&*shared.disk))
}
