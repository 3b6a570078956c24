//! Going on where a clean stop left off, by what it noted (`clean_stop`) instead of by the files
//! that say it too. None of a log's files is read, unless it had transactions; whether somebody
//! has been there since is told by lengths and times of change.

use std::sync::Arc;

use milena_env::Disk;

use super::{
    Log, Segments,
    open::{Opening, Parts},
    state::Active,
};
use crate::{
    clean_stop::{NotedLog, NotedSegment, nanoseconds},
    directory::Shared,
    names::FileKind,
    producers::ProducerStates,
    segment::{Folder, Segment},
};

impl Log {
    /// What the next start needs, once everything is saved and synced. `None` for a log without a
    /// folder, or one whose files are not what they should be.
    pub(crate) fn noted(&self, disk: &dyn Disk) -> Option<NotedLog> {
        if !self.folder.exists() {
            return None;
        }
        let state = self.lock();
        let noted = |segment: &Arc<Segment>| {
            let file = disk.metadata(&segment.path(FileKind::Log)).ok()?;
            (file.len == segment.written()).then(|| NotedSegment {
                base_offset: segment.base_offset(),
                len: file.len,
                changed_ns: nanoseconds(file.modified),
                max: segment.max_timestamp(),
                has_transactions: segment.has_transactions(),
            })
        };
        Some(NotedLog {
            topic_id: self.topic_id,
            folder_changed_ns: nanoseconds(disk.metadata(&self.folder.path()).ok()?.modified),
            start: self.durable_start(),
            end: state.next_offset,
            epochs: state.epochs.clone(),
            producers: state.producers.to_snapshot(),
            segments: self.segments.load().iter().map(noted).collect::<Option<_>>()?,
            first_timestamp: state.active.first_timestamp,
            entries: state.active.entries,
            since_entry: state.active.since_entry,
        })
    }

    /// Opens a log as it was noted; `None` where that does not fit what lies there.
    pub(crate) fn resume(
        shared: &Arc<Shared>,
        folder: Folder,
        opening: &Opening,
        noted: &NotedLog,
    ) -> Option<Arc<Self>> {
        let changed = shared.disk.metadata(&folder.path()).ok()?.modified;
        let is_as_it_was = nanoseconds(changed) == noted.folder_changed_ns
            && opening.recovery_point == noted.end
            && opening.start <= noted.start;
        if !is_as_it_was {
            return None;
        }
        let folder = opening.of(folder);
        let segments: Segments = noted
            .segments
            .iter()
            .map(|segment| as_noted(&*shared.disk, &folder, segment))
            .collect::<Option<_>>()?;
        let (last, finished) = segments.split_last()?;
        finished.iter().for_each(|segment| segment.finish());
        if !last.has_transactions() {
            // There were none, rather than that they are not known.
            last.forget_transactions();
        }
        let mut active = Active::new(Arc::clone(last), shared.clock.now_ms(), &opening.config);
        active.size = last.written();
        active.max = last.max_timestamp();
        active.first_timestamp = noted.first_timestamp;
        active.entries = noted.entries;
        active.since_entry = noted.since_entry;
        let mut producers = ProducerStates::from_snapshot(noted.end, &noted.producers).ok()?;
        producers.raise_log_start(noted.start);
        let parts = Parts {
            active,
            segments,
            producers,
            epochs: noted.epochs.clone(),
            epochs_changed: false,
            start: noted.start,
            end: noted.end,
            doubtful: None,
        };
        Some(Arc::new(Self::from_parts(shared, folder, opening.clone(), parts)))
    }
}

/// A segment whose file is what was noted, and whose transaction index can be read.
fn as_noted(disk: &dyn Disk, folder: &Arc<Folder>, noted: &NotedSegment) -> Option<Arc<Segment>> {
    let base_offset = noted.base_offset;
    let segment = Segment::existing(folder, base_offset, noted.len, noted.has_transactions);
    let file = disk.metadata(&segment.path(FileKind::Log)).ok()?;
    if file.len != noted.len || nanoseconds(file.modified) != noted.changed_ns {
        return None;
    }
    if noted.has_transactions {
        segment.aborted_transactions(disk, base_offset, base_offset).ok()?;
    }
    segment.set_max_timestamp(noted.max);
    Some(Arc::new(segment))
}
