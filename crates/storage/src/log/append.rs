//! Appending: as leader, which assigns offsets, and as follower, which keeps the leader's.
//!
//! Under the partition's lock only memory changes; the bytes go to the journal's queue and to the
//! tail, from where they are read until they are in a segment.

use std::sync::{Arc, MutexGuard};

use bytes::{Bytes, BytesMut};
use milena_protocol::{
    LeaderEpoch, Offset,
    records::{
        Batch, BatchError, BatchHeader, Budget, EndTransactionMarker, LOG_OVERHEAD, Scratch,
        Validated,
    },
};

use super::{
    Log,
    state::{Active, Incoming, State},
    tail::TailBatch,
};
use crate::{
    error::StorageError,
    journal::queue::{Append, Task, What},
    producers::{Admission, Marker, Origin, Proof, SequenceError},
    segment::{MaxTimestamp, Segment},
};

/// Why a batch was not appended; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The partition is gone from this directory.
    #[error("partition {0} is closed")]
    Closed(String),
    /// For a few milliseconds; whoever tries again succeeds.
    #[error("partition {0} is just entering or leaving the journal; try again")]
    Paused(String),
    #[error("disk full: log directory {0} takes no more until there is room")]
    DiskFull(String),
    #[error(transparent)]
    Sequence(#[from] SequenceError),
    /// The batch's epoch lies before one that the log has seen.
    #[error("leader epoch {got} is older than the log's {known}")]
    OldEpoch { known: LeaderEpoch, got: LeaderEpoch },
    /// A follower got a batch that does not follow.
    #[error("batch at offset {got} where the log ends at {end}")]
    OutOfOrder { end: Offset, got: Offset },
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error("batch of {size} bytes does not fit into a segment of {max}")]
    LargerThanSegment { size: usize, max: u32 },
    /// A control batch whose record is no marker.
    #[error("control batch at offset {0} holds no transaction marker")]
    Marker(Offset),
}

/// Where a batch went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub base_offset: Offset,
    /// The offset after its last record: what to wait for.
    pub end: Offset,
    /// It had been appended before, and was not again.
    pub is_duplicate: bool,
}

impl Log {
    /// Appends one batch that a producer or coordinator sent: gives it its offsets and its epoch.
    pub fn append_as_leader(
        self: &Arc<Self>,
        batch: BytesMut,
        validated: &Validated,
        epoch: LeaderEpoch,
        origin: Origin,
    ) -> Result<Appended, AppendError> {
        self.append_proven(batch, validated, epoch, origin, Proof::NotAsked)
    }

    /// Likewise, where a batch that begins a transaction has to show that it may.
    pub fn append_proven(
        self: &Arc<Self>,
        mut batch: BytesMut,
        validated: &Validated,
        epoch: LeaderEpoch,
        origin: Origin,
        proof: Proof<'_>,
    ) -> Result<Appended, AppendError> {
        let config = self.config();
        if batch.len() as u64 > u64::from(config.segment_bytes) {
            return Err(AppendError::LargerThanSegment {
                size: batch.len(),
                max: config.segment_bytes,
            });
        }
        let marker = read_marker(&batch, &validated.header)?;
        let mut state = self.lock_for(epoch)?;
        if let Some(oldest) = state.producers.has_forgotten(&validated.header, origin) {
            drop(state);
            self.recall(&validated.header, oldest)?;
            state = self.lock_for(epoch)?;
        }
        match marker {
            Some(marker) => state.producers.check_marker(&marker, origin)?,
            None => {
                let admission = state.producers.check(&validated.header, origin, proof)?;
                if let Admission::Duplicate { base_offset, last_offset, .. } = admission {
                    let end = last_offset.next();
                    return Ok(Appended { base_offset, end, is_duplicate: true });
                }
            }
        }
        let base_offset = state.next_offset;
        validated.place(&mut batch, base_offset, epoch);
        let max_timestamp = validated.max_timestamp;
        let leader_epoch = epoch;
        let header = BatchHeader { base_offset, leader_epoch, max_timestamp, ..validated.header };
        let marker =
            marker.map(|marker| Marker { offset: base_offset, timestamp: max_timestamp, ..marker });
        self.place(&mut state, batch.freeze(), &header, marker)?;
        Ok(Appended { base_offset, end: header.next_offset(), is_duplicate: false })
    }

    /// The lock, if appends of a leader of this epoch are welcome.
    fn lock_for(&self, epoch: LeaderEpoch) -> Result<MutexGuard<'_, State>, AppendError> {
        let state = self.lock_to_append()?;
        match state.epochs.latest() {
            Some(latest) if latest.epoch > epoch => {
                Err(AppendError::OldEpoch { known: latest.epoch, got: epoch })
            }
            _ => Ok(state),
        }
    }

    /// Appends batches as a leader sent them: offsets and epochs stay, a partial batch at the end
    /// is left out. Says where the log ends now.
    pub fn append_as_follower(self: &Arc<Self>, batches: &Bytes) -> Result<Offset, AppendError> {
        let mut rest = batches.clone();
        let mut state = self.lock_to_append()?;
        while let Some(size) = whole_batch(&rest) {
            let bytes = rest.split_to(size);
            let header = *Batch::check(&bytes)?.header();
            if header.base_offset < state.next_offset {
                let end = state.next_offset;
                return Err(AppendError::OutOfOrder { end, got: header.base_offset });
            }
            let marker = read_marker(&bytes, &header)?;
            self.place(&mut state, bytes, &header, marker)?;
        }
        Ok(state.next_offset)
    }

    /// Puts a batch that has its offsets behind the others.
    fn place(
        self: &Arc<Self>,
        state: &mut State,
        bytes: Bytes,
        header: &BatchHeader,
        marker: Option<Marker>,
    ) -> Result<(), AppendError> {
        let config = self.config();
        let incoming = Incoming {
            size: bytes.len() as u64,
            last_offset: header.last_offset(),
            max_timestamp: header.max_timestamp,
            now_ms: self.shared.clock.now_ms(),
        };
        if state.active.must_roll(&incoming, &config) {
            self.roll(state, header.base_offset, incoming.now_ms);
        }
        self.note_producer(state, header, marker)?;
        let active = &mut state.active;
        let position = active.size as u32;
        let indexed = active.take(&incoming, &config);
        let MaxTimestamp { timestamp, offset } = active.max;
        let segment = Arc::clone(&active.segment);
        let is_new = state.epochs.assign(header.leader_epoch, header.base_offset);
        if std::mem::take(&mut state.epoch_announced) || is_new {
            state.epochs_changed = true;
            self.shared.dirty.add_log(self);
        }
        state.next_offset = header.next_offset();
        self.tail.push(
            &mut state.tail_end,
            TailBatch {
                base_offset: header.base_offset,
                next_offset: header.next_offset(),
                max_timestamp: header.max_timestamp,
                segment: segment.base_offset(),
                position,
                bytes: bytes.clone(),
            },
        );
        self.enqueue(What::Append(Append {
            segment,
            position,
            bytes,
            last_offset: header.last_offset(),
            max_timestamp: timestamp,
            max_timestamp_offset: offset,
            indexed,
            incarnation: state.incarnation,
        }));
        self.ends.raise_appended(state.next_offset);
        Ok(())
    }

    fn note_producer(
        &self,
        state: &mut State,
        header: &BatchHeader,
        marker: Option<Marker>,
    ) -> Result<(), AppendError> {
        if header.attributes.is_transactional() {
            state.active.segment.expect_transactions();
        }
        if let Some(marker) = marker
            && let Some(done) = state.producers.end_transaction(&marker)
            && let Some(aborted) = done.aborted()
        {
            state.active.segment.add_aborted(&*self.shared.disk, aborted)?;
        }
        state.producers.update(header);
        Ok(())
    }

    /// Begins a new segment at `base_offset`.
    pub(super) fn roll(self: &Arc<Self>, state: &mut State, base_offset: Offset, now_ms: i64) {
        let segment = Arc::new(Segment::new(&self.folder, base_offset));
        let active = Active::new(Arc::clone(&segment), now_ms, &self.config());
        let finished = std::mem::replace(&mut state.active, active).segment;
        let mut segments = Vec::clone(&self.segments.load());
        segments.push(segment);
        self.segments.store(Arc::new(segments));
        // Also without producers: it bounds what has to be read to know that there are none.
        let snapshot = (base_offset, state.producers.to_snapshot());
        self.enqueue(What::Roll { finished, snapshot });
    }

    pub(crate) fn enqueue(self: &Arc<Self>, what: What) {
        let journalled = self.config().is_journalled();
        self.shared.queue.push(Task { log: Arc::clone(self), journalled, what });
    }
}

/// The size of the batch at the start of `bytes`, if all of it is there.
fn whole_batch(bytes: &Bytes) -> Option<usize> {
    let length = i32::from_be_bytes(*bytes.get(8..)?.first_chunk()?);
    let size = LOG_OVERHEAD + usize::try_from(length).ok()?;
    (bytes.len() >= size && size > LOG_OVERHEAD).then_some(size)
}

/// The marker in a transaction's control batch.
pub(super) fn read_marker(
    batch: &[u8],
    header: &BatchHeader,
) -> Result<Option<Marker>, AppendError> {
    if !header.attributes.is_control() || !header.has_producer_id() {
        return Ok(None);
    }
    let none = || AppendError::Marker(header.base_offset);
    let mut scratch = Scratch::default();
    let mut records =
        Batch::read(batch)?.records(&mut scratch, Budget::default()).map_err(|_| none())?;
    let record = records.next().ok_or_else(none)?.map_err(|_| none())?;
    let (key, value) = record.key.zip(record.value).ok_or_else(none)?;
    let marker = EndTransactionMarker::read(key, value).ok_or_else(none)?;
    Ok(Some(Marker {
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        coordinator_epoch: marker.coordinator_epoch,
        is_abort: !marker.is_commit,
        offset: header.base_offset,
        timestamp: header.max_timestamp,
    }))
}
