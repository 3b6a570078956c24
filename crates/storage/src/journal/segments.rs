//! Puts what a round made durable into the segments' files, and tells the logs.

use std::{
    io::{self, IoSlice},
    path::Path,
    sync::Arc,
};

use milena_env::disk::Open;
use milena_protocol::Offset;

use super::{
    entry::CloseReason,
    queue::{Append, Task, What},
};
use crate::{
    directory::{Doomed, Shared},
    error::StorageError,
    log::Log,
    names::{FileKind, Mark},
    segment::{MaxTimestamp, Segment},
};

/// A run of batches that lie behind each other in one segment.
type Run<'a> = Vec<&'a Append>;

/// Tells each log how far it is durable now.
pub(super) fn publish_durable(tasks: &[Task]) {
    for group in by_log(tasks).chunk_by(same_log) {
        let appends = group.iter().rev().filter(|t| t.journalled).find_map(|t| match &t.what {
            What::Append(append) => Some((&t.log, append)),
            _ => None,
        });
        if let Some((log, append)) = appends {
            log.publish_durable(append.last_offset.next(), append.incarnation);
        }
    }
}

/// Carries out the tasks of one round on the segments. Doing it twice does nothing new, so a round
/// that a full disk refused half-way is simply tried again.
pub(super) fn write(shared: &Shared, tasks: &[Task]) -> Result<(), StorageError> {
    let mut written = 0;
    let ordered = by_log(tasks);
    for group in ordered.chunk_by(same_log) {
        let mut run = Run::new();
        for task in group {
            if let What::Append(append) = &task.what {
                written += append.bytes.len() as u64;
                if !follows(&run, append) {
                    flush(shared, &task.log, &mut run)?;
                }
                run.push(append);
            } else {
                flush(shared, &task.log, &mut run)?;
                carry_out(shared, task)?;
            }
        }
        if let Some(task) = group.first() {
            flush(shared, &task.log, &mut run)?;
        }
    }
    for group in ordered.chunk_by(same_log) {
        let last = group.iter().rev().find_map(|task| match &task.what {
            What::Append(append) => Some((task, append)),
            _ => None,
        });
        let Some((task, append)) = last else { continue };
        if !task.journalled {
            let end = append.last_offset.next();
            task.log.publish_durable(end, append.incarnation);
            // Nobody waits for it: it is synced after so many records, not before they are seen.
            if end.0 - task.log.recovery_point().0 >= task.log.config().flush_messages {
                shared.checkpoint_wanted();
            }
        }
        task.log.in_segments(append.last_offset.next(), append.incarnation);
    }
    shared.queue.written(written);
    Ok(())
}

/// The tasks of each log together, each log's in their order.
fn by_log(tasks: &[Task]) -> Vec<&Task> {
    let mut ordered: Vec<&Task> = tasks.iter().collect();
    ordered.sort_by_key(|task| task.log.alias());
    ordered
}

fn same_log(a: &&Task, b: &&Task) -> bool {
    a.log.alias() == b.log.alias()
}

fn follows(run: &Run<'_>, append: &Append) -> bool {
    run.last().is_some_and(|last| {
        Arc::ptr_eq(&last.segment, &append.segment)
            && last.position as usize + last.bytes.len() == append.position as usize
    })
}

/// Writes a run with one call, and gives the indexes their entries.
fn flush(shared: &Shared, log: &Arc<Log>, run: &mut Run<'_>) -> Result<(), StorageError> {
    let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(()) };
    let segment = &first.segment;
    let open = open_for_write(shared, log, segment)?;
    let slices: Vec<IoSlice<'_>> = run.iter().map(|a| IoSlice::new(&a.bytes)).collect();
    let start = u64::from(first.position);
    let wrote = open.file.write_all_at(&slices, start);
    wrote.map_err(StorageError::io("write", &segment.path(FileKind::Log)))?;
    {
        let mut indexes = open.indexes();
        for append in run.iter().filter(|a| a.indexed) {
            indexes.add(append.last_offset, append.position, max_timestamp(append));
        }
    }
    let end = u64::from(last.position) + last.bytes.len() as u64;
    segment.set_max_timestamp(max_timestamp(last));
    log.begins_in_segments(last.last_offset.next());
    segment.set_written(end);
    if segment.soil() {
        shared.dirty.add_segment(log, segment);
    }
    let fresh = segment.count_fresh(end - start, shared.config.write_back_bytes);
    if fresh > 0 {
        // Only a hint: what goes wrong shows at the sync.
        let _ = open.file.start_write_back(end - fresh.min(end), fresh);
    }
    run.clear();
    Ok(())
}

fn max_timestamp(append: &Append) -> MaxTimestamp {
    MaxTimestamp { timestamp: append.max_timestamp, offset: append.max_timestamp_offset }
}

/// Opens a segment's file, making it, and the partition's folder, where they do not exist yet.
fn open_for_write(
    shared: &Shared,
    log: &Log,
    segment: &Arc<Segment>,
) -> Result<Arc<crate::segment::OpenSegment>, StorageError> {
    log.make_folder(shared)?;
    if segment.written() == 0 {
        // A new file: its name is durable once the folder is.
        shared.dirty.add_folder(&segment.folder().path());
    }
    shared.files.get_or_create(segment)
}

fn carry_out(shared: &Shared, task: &Task) -> Result<(), StorageError> {
    let is_cut = matches!(task.what, What::Truncate { .. } | What::Reset { .. });
    if is_cut && !task.journalled {
        // Before the file is cut: what lies below its recovery point must be there.
        shared.store_recovery_points()?;
    }
    match &task.what {
        What::Append(_) => Ok(()),
        What::Close(reason) => {
            shared.dirty.add_offsets();
            let mark = match reason {
                CloseReason::Deleted => Some(Mark::Delete),
                CloseReason::Moved => Some(Mark::Stray),
                CloseReason::NotJournalled => None,
            };
            if let Some(mark) = mark {
                task.log.set_aside(shared, mark)?;
                shared.has_left(&task.log);
            }
            Ok(())
        }
        What::LogStart { offset, removed } => {
            task.log.start_is_durable(*offset);
            shared.dirty.add_log(&task.log);
            shared.dirty.add_offsets();
            if !task.journalled && !removed.is_empty() {
                // Nothing but a file that is left would say where the log was.
                task.log.save_files(shared)?;
                let folder = task.log.folder().path();
                let synced = shared.disk.sync_dir(&folder);
                synced.map_err(StorageError::io("sync folder", &folder))?;
            }
            remove(shared, removed)
        }
        What::Roll { finished, snapshot } => {
            roll(shared, &task.log, finished, snapshot)?;
            if task.journalled { Ok(()) } else { outlast(shared, finished) }
        }
        What::Truncate { to, segment, position, removed, cut } => {
            task.log.cut_is_durable(*cut);
            segment.cut_is_durable();
            shared.dirty.add_log(&task.log);
            shared.dirty.add_offsets();
            remove(shared, removed)?;
            if task.log.folder().exists() {
                let open = shared.files.get_or_create(segment)?;
                open.indexes().truncate(*to);
                let cut = open.file.set_len(u64::from(*position));
                cut.map_err(StorageError::io("cut", &segment.path(FileKind::Log)))?;
                if segment.soil() {
                    shared.dirty.add_segment(&task.log, segment);
                }
                task.log.remove_snapshots(shared, |offset| offset > *to)?;
            }
            Ok(())
        }
        What::Reset { start, removed, cut } => {
            task.log.cut_is_durable(*cut);
            task.log.reset_is_durable(*start);
            // No record says where an empty log begins.
            task.log.make_folder(shared)?;
            shared.dirty.add_log(&task.log);
            shared.dirty.add_offsets();
            remove(shared, removed)?;
            task.log.remove_snapshots(shared, |_| true)
        }
    }
}

fn roll(
    shared: &Shared,
    log: &Arc<Log>,
    finished: &Arc<Segment>,
    (offset, snapshot): &(Offset, Vec<u8>),
) -> Result<(), StorageError> {
    let open = open_for_write(shared, log, finished)?;
    open.indexes().close(finished.max_timestamp());
    finished.finish();
    if finished.soil() {
        shared.dirty.add_segment(log, finished);
    }
    let path = log.folder().file(*offset, FileKind::ProducerSnapshot);
    let write = || {
        let file = shared.disk.open(&path, Open::Create)?;
        file.set_len(0)?;
        file.write_all_at(&[IoSlice::new(snapshot)], 0)
    };
    write().map_err(StorageError::io("write", &path))?;
    shared.dirty.add_file(path);
    Ok(())
}

/// Makes a finished segment of a log without journal durable before the next one gets its first
/// byte. Else a power failure could take its end and leave the next one: a hole that nothing tells.
fn outlast(shared: &Shared, finished: &Arc<Segment>) -> Result<(), StorageError> {
    shared.files.sync_bytes(finished)?;
    let folder = finished.folder().path();
    shared.disk.sync_dir(&folder).map_err(StorageError::io("sync folder", &folder))
}

/// Takes away the files of segments that are in no view any more. Removing a large file takes a
/// file system long, so here it only gets another name, until a checkpoint has made that durable.
pub(crate) fn remove(shared: &Shared, segments: &[Arc<Segment>]) -> Result<(), StorageError> {
    use FileKind::{OffsetIndex, ProducerSnapshot, TimeIndex, TransactionIndex};
    for segment in segments {
        segment.retire();
        let path = segment.path(FileKind::Log);
        let doomed = Doomed::path_of(segment);
        unless_missing(shared.disk.rename(&path, &doomed), "rename", &path)?;
        for kind in [OffsetIndex, TimeIndex, TransactionIndex, ProducerSnapshot] {
            let path = segment.path(kind);
            unless_missing(shared.disk.remove_file(&path), "remove", &path)?;
        }
        shared.dirty.add_folder(&segment.folder().path());
        shared.doom(Doomed::Segment(Arc::clone(segment)));
    }
    Ok(())
}

/// What is gone already needs no removal.
pub(crate) fn unless_missing(
    result: io::Result<()>,
    doing: &'static str,
    path: &Path,
) -> Result<(), StorageError> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(StorageError::io(doing, path)),
    }
}
