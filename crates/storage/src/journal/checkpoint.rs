//! The checkpoint: makes the segments durable up to where the journal has handed them over, so that
//! the journal's tail may move.
//!
//! It runs on a thread of its own, and nothing that it waits for holds up an acknowledgement.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::segments::unless_missing;
use crate::{
    directory::{Doomed, Shared},
    error::StorageError,
    log::{Log, Reached},
    segment::Segment,
};
use milena_env::disk::Open;

/// What has changed since the last checkpoint.
#[derive(Debug, Default)]
struct Changed {
    segments: Vec<(Arc<Log>, Arc<Segment>)>,
    /// Snapshots and the like: small files, written once.
    files: BTreeSet<PathBuf>,
    folders: BTreeSet<PathBuf>,
    /// What is in nobody's way any more, once its new name is durable.
    doomed: Vec<Doomed>,
    /// A log starts elsewhere, or is shorter, than Kafka's checkpoint files say.
    offsets: bool,
    /// Logs that need a folder, or whose epochs are to be saved.
    logs: Vec<Arc<Log>>,
}

impl Changed {
    fn absorb(&mut self, other: Self) {
        self.segments.extend(other.segments);
        self.files.extend(other.files);
        self.folders.extend(other.folders);
        self.doomed.extend(other.doomed);
        self.logs.extend(other.logs);
        self.offsets |= other.offsets;
    }
}

#[derive(Debug, Default)]
pub(crate) struct Dirty {
    changed: Mutex<Changed>,
    wanted: Mutex<(bool, bool)>,
    wake: Condvar,
}

impl Dirty {
    pub(crate) fn add_segment(&self, log: &Arc<Log>, segment: &Arc<Segment>) {
        self.lock().segments.push((Arc::clone(log), Arc::clone(segment)));
    }

    pub(crate) fn add_file(&self, path: PathBuf) {
        let mut changed = self.lock();
        if let Some(folder) = path.parent() {
            changed.folders.insert(folder.to_owned());
        }
        changed.files.insert(path);
    }

    /// Something to be removed, now that nobody looks for it. It has its new name already, in a
    /// folder that is added by itself.
    pub(crate) fn add_doomed(&self, doomed: Doomed) {
        self.lock().doomed.push(doomed);
    }

    pub(crate) fn add_offsets(&self) {
        self.lock().offsets = true;
    }

    pub(crate) fn add_folder(&self, path: &Path) {
        self.lock().folders.insert(path.to_owned());
    }

    pub(crate) fn add_log(&self, log: &Arc<Log>) {
        self.lock().logs.push(Arc::clone(log));
    }

    /// Asks for a checkpoint soon.
    pub(crate) fn want(&self) {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).0 = true;
        self.wake.notify_one();
    }

    pub(crate) fn stop(&self) {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.wake.notify_one();
    }

    /// Waits until a checkpoint is wanted, or for `at_most`; `false` once the directory stops.
    pub(crate) fn wait(&self, at_most: Duration) -> bool {
        let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.wake.wait_timeout_while(wanted, at_most, |w| !w.0 && !w.1);
        let mut wanted = waited.unwrap_or_else(PoisonError::into_inner).0;
        wanted.0 = false;
        !wanted.1
    }

    /// All of it, and how far each log will be durable once it is synced. One lock for both: what
    /// the writer adds later, it also counts later.
    fn take(&self) -> (Changed, Vec<(Arc<Log>, Reached)>) {
        let mut changed = self.lock();
        let ends = changed.segments.iter().map(|(log, _)| (Arc::clone(log), log.reached()));
        let ends = ends.collect();
        (std::mem::take(&mut *changed), ends)
    }

    /// What a checkpoint could not finish is dirty again.
    fn put_back(&self, changed: Changed) {
        changed.segments.iter().for_each(|(_, segment)| {
            segment.soil();
        });
        self.lock().absorb(changed);
    }

    fn lock(&self) -> MutexGuard<'_, Changed> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Syncs everything that was handed to the segments, then lets the journal's tail move.
pub(crate) fn checkpoint(shared: &Shared) -> Result<(), StorageError> {
    // Read before what has changed is taken: a round handed over in between is synced in vain,
    // and never passed over.
    let through = shared.handed();
    let (mut changed, recovered) = shared.dirty.take();
    if let Err(error) = save_and_sync(shared, &mut changed) {
        // A full disk passes: the next checkpoint has all of this to do again.
        shared.dirty.put_back(changed);
        return Err(error);
    }
    for (log, reached) in recovered {
        log.advance_recovery_point(reached);
    }
    // The journal will not say it again once its tail has moved.
    if changed.offsets
        && let Err(error) = shared.store_starts().and_then(|()| shared.store_recovery_points())
    {
        shared.dirty.put_back(Changed { offsets: true, ..Changed::default() });
        return Err(error);
    }
    shared.set_tail(through + 1);
    Ok(())
}

fn save_and_sync(shared: &Shared, changed: &mut Changed) -> Result<(), StorageError> {
    for log in &changed.logs {
        log.save_files(shared)?;
    }
    // What saving made belongs to this checkpoint; logs that came meanwhile to the next.
    let (mut made, _) = shared.dirty.take();
    let later = std::mem::take(&mut made.logs);
    changed.absorb(made);
    shared.dirty.lock().logs.extend(later);

    let segments = changed.segments.iter().map(|(_, s)| s).filter(|s| !s.is_gone());
    if changed.segments.len() + changed.files.len() > shared.config.sync_each_max {
        for segment in segments {
            segment.cleanse();
            if segment.is_finished() {
                unless_gone(segment, shared.files.save_indexes(segment).map(drop))?;
            }
        }
        let sync = shared.files.sync_all();
        sync.map_err(StorageError::io("sync the file system of", &shared.path))?;
    } else {
        for segment in segments {
            unless_gone(segment, shared.files.sync(segment))?;
        }
        changed.files.iter().try_for_each(|path| sync_file(shared, path))?;
        changed.folders.iter().try_for_each(|path| sync_folder(shared, path))?;
    }
    shared.removal.add(std::mem::take(&mut changed.doomed));
    Ok(())
}

/// A segment may be removed at any moment; then there is nothing left to sync.
fn unless_gone(segment: &Segment, result: Result<(), StorageError>) -> Result<(), StorageError> {
    if segment.is_gone() { Ok(()) } else { result }
}

fn sync_file(shared: &Shared, path: &Path) -> Result<(), StorageError> {
    let synced = shared.disk.open(path, Open::ReadWrite).and_then(|file| file.sync_data());
    unless_missing(synced, "sync", path)
}

fn sync_folder(shared: &Shared, path: &Path) -> Result<(), StorageError> {
    unless_missing(shared.disk.sync_dir(path), "sync folder", path)
}
