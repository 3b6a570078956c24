//! Opening a log that lies on disk: as a clean stop noted it (`resume`), or from its files as it
//! was left cleanly, behind the journal's replay, or after somebody's crash, with a scan
//! (`stands`).

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use milena_protocol::{Offset, Uuid};

use super::{
    Log, Segments, TopicPartition,
    ends::Ends,
    rebuild::Rebuild,
    state::{Active, State},
    tail::{Tail, TailEnd},
};
use crate::{
    compaction::Turn,
    config::LogConfig,
    directory::Shared,
    epochs::EpochCache,
    error::StorageError,
    producers::ProducerStates,
    segment::{Folder, Segment},
};

/// How a log was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// Stopped: every file is as it should be.
    Clean,
    /// By a crash, but the journal has vouched for every byte. Derived files are rebuilt.
    Journalled,
    /// By a crash without journal: what lies beyond the recovery point is to be proven.
    Unproven,
}

/// What is known of a log before its folder is looked at.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    pub name: TopicPartition,
    pub topic_id: Uuid,
    pub config: Arc<LogConfig>,
    pub left: Left,
    pub recovery_point: Offset,
    pub start: Offset,
}

impl Opening {
    /// Its folder, which is to know what the topic wants.
    pub(super) fn of(&self, folder: Folder) -> Arc<Folder> {
        folder.set_index_interval(self.config.index_interval_bytes);
        Arc::new(folder)
    }
}

impl Log {
    /// A log that exists in memory alone, yet.
    pub(crate) fn create(shared: &Arc<Shared>, folder: Folder, opening: Opening) -> Self {
        let folder = opening.of(folder);
        let segment = Arc::new(Segment::new(&folder, opening.start));
        let now_ms = shared.clock.now_ms();
        let active = Active::new(Arc::clone(&segment), now_ms, &opening.config);
        let parts = Parts {
            segments: vec![segment],
            active,
            producers: ProducerStates::new(opening.start),
            epochs: EpochCache::default(),
            epochs_changed: false,
            start: opening.start,
            end: opening.start,
            doubtful: None,
        };
        Self::from_parts(shared, folder, opening, parts)
    }

    /// Opens what lies in a folder.
    pub(crate) fn open(
        shared: &Arc<Shared>,
        folder: Folder,
        opening: Opening,
    ) -> Result<Arc<Self>, StorageError> {
        let folder = opening.of(folder);
        let rebuild = Rebuild { shared, log_config: &opening.config };
        let parts = rebuild.open(&folder, &opening)?;
        let doubtful = parts.doubtful;
        let log = Arc::new(Self::from_parts(shared, folder, opening, parts));
        if log.lock().epochs_changed {
            shared.dirty.add_log(&log);
        }
        // Their indexes are in memory alone, and the recovery point must not pass them so.
        let is_rebuilt = |s: &&Arc<Segment>| doubtful.is_some_and(|from| s.base_offset() >= from);
        for segment in log.segments.load().iter().filter(is_rebuilt) {
            if segment.is_finished() && segment.written() > 0 && segment.soil() {
                shared.dirty.add_segment(&log, segment);
            }
        }
        Ok(log)
    }

    pub(super) fn from_parts(
        shared: &Arc<Shared>,
        folder: Arc<Folder>,
        opening: Opening,
        parts: Parts,
    ) -> Self {
        let recovery_point = match opening.left {
            Left::Clean => parts.end,
            _ => opening.recovery_point.min(parts.end),
        };
        let state = State {
            next_offset: parts.end,
            epochs: parts.epochs,
            producers: parts.producers,
            active: parts.active,
            tail_end: TailEnd::default(),
            incarnation: 0,
            epochs_changed: parts.epochs_changed,
            epoch_announced: false,
            closed: false,
            left: false,
        };
        Self {
            name: opening.name,
            topic_id: opening.topic_id,
            alias: shared.next_alias(),
            shared: Arc::clone(shared),
            folder,
            config: ArcSwap::new(opening.config),
            state: state.into(),
            segments: ArcSwap::from_pointee(parts.segments),
            tail: Tail::default(),
            ends: Ends::new(parts.start, parts.end, recovery_point),
            compaction: Turn::default(),
            saving: Mutex::default(),
            pauses: false.into(),
            opened_in: 0.into(),
            listener: std::sync::OnceLock::new(),
        }
    }
}

/// A log taken apart.
pub(super) struct Parts {
    pub(super) segments: Segments,
    pub(super) active: Active,
    pub(super) producers: ProducerStates,
    pub(super) epochs: EpochCache,
    /// They are not what their file says.
    pub(super) epochs_changed: bool,
    pub(super) start: Offset,
    pub(super) end: Offset,
    /// From here on the indexes are not what their files say.
    pub(super) doubtful: Option<Offset>,
}
