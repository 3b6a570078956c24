//! The log of one partition.
//!
//! [`Log`] is shared by everybody: appends take its one short lock, readers never do. What decides
//! is in `state`, what readers see is an immutable list of segments, the `tail` in memory and the
//! `ends`. Files are written by the journal's writer alone.

mod append;
mod bring_in;
mod compact;
mod configure;
mod ends;
mod files;
mod listed;
mod look_up;
pub(crate) mod open;
mod prepare;
mod proof;
mod read;
mod read_committed;
mod rebuild;
mod resume;
mod retention;
mod stands;
mod state;
mod tail;
mod truncate;
mod walk;
mod window;

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use arc_swap::{ArcSwap, Guard};
use milena_protocol::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Uuid};

pub use append::{AppendError, Appended};
pub(crate) use compact::Finished;
pub use look_up::TimestampedOffset;
pub use read::{Limit, Piece, ReadError, ReadPlan};
pub use walk::BadBatch;

use self::{ends::Ends, rebuild::Rebuild, state::State, tail::Tail};
use crate::{
    compaction::Turn,
    config::LogConfig,
    directory::Shared,
    error::StorageError,
    index::AbortedTransaction,
    journal::{entry::CloseReason, queue::What},
    producers::{Claim, Proof, SequenceError, VerificationGuard},
    segment::{Folder, Segment},
};

/// Which partition of which topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    pub topic: Box<str>,
    pub partition: i32,
}

impl std::fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// How far a log reached at some moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reached {
    /// Tells a log that was cut since from one that was not.
    cuts: u64,
    end: Offset,
}

/// A list of segments that never changes; a roll or a cut makes another.
type Segments = Vec<Arc<Segment>>;

pub struct Log {
    name: TopicPartition,
    topic_id: Uuid,
    /// Its name in the journal.
    alias: u32,
    shared: Arc<Shared>,
    folder: Arc<Folder>,
    config: ArcSwap<LogConfig>,
    state: Mutex<State>,
    segments: ArcSwap<Segments>,
    tail: Tail,
    ends: Ends,
    /// Who may give the files of finished segments to others: one at a time.
    pub(crate) compaction: Turn,
    /// Held by who makes files beside the segments, and by who takes the folder away.
    saving: Mutex<()>,
    /// Appends are put off while the log enters the journal or leaves it.
    pauses: AtomicBool,
    /// In which use of a journal file the alias was last explained.
    opened_in: AtomicU64,
    listener: OnceLock<Weak<dyn Listener>>,
}

/// Learns how a log goes on. Called by the journal's writer, and not under the log's lock: it must
/// be quick, and may look at the log.
pub trait Listener: Send + Sync {
    /// Everything below `end` is durable.
    fn durable(&self, end: Offset);
    /// The log was cut or closed, or its directory went offline: who waits is to look again.
    fn disturbed(&self);
}

impl std::fmt::Debug for Log {
    /// Its name and ends: the directory that it shares knows all logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.name.to_string();
        f.debug_struct("Log").field("name", &name).field("ends", &self.ends).finish_non_exhaustive()
    }
}

impl Log {
    #[must_use]
    pub const fn name(&self) -> &TopicPartition {
        &self.name
    }

    #[must_use]
    pub const fn topic_id(&self) -> Uuid {
        self.topic_id
    }

    /// The first offset that may be read; it only grows.
    #[must_use]
    pub fn start_offset(&self) -> Offset {
        self.ends.start()
    }

    /// The first offset that lies here rather than in tiered storage: as yet the same.
    #[must_use]
    pub fn local_start_offset(&self) -> Offset {
        self.ends.start()
    }

    /// The offset that the next record gets.
    #[must_use]
    pub fn appended_end(&self) -> Offset {
        self.ends.appended()
    }

    /// The offset below which everything survives a power failure.
    #[must_use]
    pub fn durable_end(&self) -> Offset {
        self.ends.durable()
    }

    /// Whether nothing can be appended any more: the partition left this directory, or the
    /// directory is offline or closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.ends.is_closed()
    }

    /// Whether its directory went offline.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        self.shared.offline_error().is_some()
    }

    /// Who is told from now on how the log goes on: one for its whole life.
    pub fn listen(&self, listener: Weak<dyn Listener>) {
        let is_first = self.listener.set(listener).is_ok();
        debug_assert!(is_first, "{} has a listener", self.name);
    }

    fn tell(&self, news: impl FnOnce(&dyn Listener)) {
        if let Some(listener) = self.listener.get().and_then(Weak::upgrade) {
            news(&*listener);
        }
    }

    /// Waits until everything below `offset` is durable; `false` if that will not happen, because
    /// the log was cut or closed or its directory went offline.
    pub async fn wait_durable(&self, offset: Offset) -> bool {
        self.ends.wait_durable(offset).await
    }

    /// Waits until what [`Log::delete_records`] deleted below `offset` stays deleted, whatever
    /// happens; `false` if the log was closed or its directory went offline before.
    pub async fn wait_deleted(&self, offset: Offset) -> bool {
        self.ends.wait_start(offset).await
    }

    /// Waits until everything below `offset` is appended; `false` as above.
    pub async fn wait_appended(&self, offset: Offset) -> bool {
        self.ends.wait_appended(offset).await
    }

    /// The offset below which every transaction is decided, given how far the log is replicated.
    #[must_use]
    pub fn last_stable_offset(&self, high_watermark: Offset) -> Offset {
        let mut state = self.lock();
        state.producers.raise_high_watermark(high_watermark);
        let unstable = state.producers.first_unstable_offset();
        // A transaction may have begun with records that are deleted since.
        let unstable = unstable.map(|offset| offset.max(self.start_offset()));
        unstable.map_or(high_watermark, |offset| offset.min(high_watermark))
    }

    /// The latest leader epoch that wrote or was announced.
    #[must_use]
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.lock().epochs.latest().map(|entry| entry.epoch)
    }

    /// Notes that a leader begins `epoch` at the log's end. It is saved when a record of it comes:
    /// all partitions begin a new one together when a broker comes back.
    pub fn begin_epoch(&self, epoch: LeaderEpoch) {
        let mut state = self.lock();
        let end = state.next_offset;
        state.epoch_announced |= state.epochs.assign(epoch, end);
    }

    /// The greatest epoch at or below `epoch`, and the offset at which it ended.
    #[must_use]
    pub fn end_offset_for(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        let state = self.lock();
        state.epochs.end_offset_for(epoch, state.next_offset)
    }

    /// The epoch in which the record at `offset` was written.
    #[must_use]
    pub fn epoch_for_offset(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.lock().epochs.epoch_for_offset(offset)
    }

    /// Lets `look` see what is known of the producers, for DescribeProducers.
    pub fn with_producers<T>(
        &self,
        look: impl FnOnce(&crate::producers::ProducerStates) -> T,
    ) -> T {
        look(&self.lock().producers)
    }

    /// Begins to verify that a producer's transaction has this partition; `None` where it has
    /// written here already. Until that is forgotten again, batches behind the claim's are refused.
    pub fn begin_verification(
        &self,
        claim: &Claim,
    ) -> Result<Option<VerificationGuard>, SequenceError> {
        self.lock().producers.begin_verification(claim, self.shared.clock.now_ms())
    }

    /// Whether a coordinator may write to a producer's transaction here, and begin it.
    pub fn check_transaction(
        &self,
        producer_id: ProducerId,
        epoch: ProducerEpoch,
        proof: Proof<'_>,
    ) -> Result<(), SequenceError> {
        self.lock().producers.check_transaction(producer_id, epoch, proof)
    }

    /// Aborted transactions that a reader of committed records in `[from, to)` must know. Whoever
    /// reads them too wants [`Log::read_committed`].
    pub fn aborted_transactions(
        &self,
        from: Offset,
        to: Offset,
    ) -> Result<Vec<AbortedTransaction>, StorageError> {
        let segments = self.segments.load();
        let first = segments.partition_point(|s| s.base_offset() <= from).saturating_sub(1);
        let mut found = Vec::new();
        for (index, segment) in segments.iter().enumerate().skip(first) {
            self.find_transactions(&segments, index)?;
            let (some, is_complete) = segment.aborted_transactions(&*self.shared.disk, from, to)?;
            found.extend(some);
            if is_complete {
                break;
            }
        }
        Ok(found)
    }

    /// Makes sure that a segment without a transaction index has none because it needs none.
    fn find_transactions(&self, segments: &Segments, index: usize) -> Result<(), StorageError> {
        let next = segments.get(index + 1).map(|next| next.base_offset());
        match (segments.get(index), next) {
            (Some(segment), Some(next)) if segment.misses_transactions() => {
                let rebuild = Rebuild { shared: &self.shared, log_config: &self.config() };
                rebuild.transactions(&self.folder, segments, segment, next)
            }
            _ => Ok(()),
        }
    }

    /// Bytes of all segments, written or waiting to be.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        let active = self.lock().active.size;
        let segments = self.segments.load();
        let (_, closed) = segments.split_last().map_or((None, &[][..]), |(l, c)| (Some(l), c));
        closed.iter().map(|s| s.written()).sum::<u64>() + active
    }

    #[must_use]
    pub fn config(&self) -> Guard<Arc<LogConfig>> {
        self.config.load()
    }

    pub(crate) const fn alias(&self) -> u32 {
        self.alias
    }

    pub(crate) const fn folder(&self) -> &Arc<Folder> {
        &self.folder
    }

    /// Whether the alias was explained in this use of a journal file; from now on it is.
    pub(crate) fn opened_in(&self, file_use: u64) -> bool {
        self.opened_in.swap(file_use, Ordering::Relaxed) == file_use
    }

    /// The journal's writer: everything below `end` is durable, if the log was not cut since.
    pub(crate) fn publish_durable(&self, end: Offset, incarnation: u32) {
        let state = self.lock();
        if state.incarnation != incarnation {
            return;
        }
        self.ends.raise_durable(end);
        drop(state);
        self.tell(|listener| listener.durable(end));
    }

    /// The journal's writer: what may be read of segment files is below `end` from now on.
    pub(crate) fn begins_in_segments(&self, end: Offset) {
        self.ends.raise_writing(end);
    }

    /// The journal's writer: everything below `end` is in segment files.
    pub(crate) fn in_segments(&self, end: Offset, incarnation: u32) {
        let mut state = self.lock();
        if state.incarnation == incarnation {
            self.ends.raise_written(end);
            let appended = state.next_offset;
            self.tail.drop_below(end, &mut state.tail_end, appended);
        }
    }

    pub(crate) fn written_end(&self) -> Offset {
        self.ends.written()
    }

    pub(crate) fn recovery_point(&self) -> Offset {
        self.ends.recovery_point()
    }

    /// How far the segments' files reach, for a checkpoint that is about to sync them.
    pub(crate) fn reached(&self) -> Reached {
        let cuts = self.ends.cuts();
        Reached { cuts, end: self.ends.written() }
    }

    /// What was reached is synced by now; it says nothing of a log that was cut meanwhile.
    pub(crate) fn advance_recovery_point(&self, reached: Reached) {
        let state = self.lock();
        // Below the recovery point nobody reads batches to find epochs that were not saved.
        if self.ends.cuts() == reached.cuts && !state.epochs_changed {
            self.ends.raise_recovery_point(reached.end);
        }
    }

    /// The start that survives a power failure.
    pub(crate) fn durable_start(&self) -> Offset {
        self.ends.durable_start()
    }

    pub(crate) fn start_is_durable(&self, start: Offset) {
        self.ends.raise_durable_start(start);
    }

    pub(crate) fn cut_is_durable(&self, cut: u64) {
        self.ends.cut_is_durable(cut);
    }

    pub(crate) fn reset_is_durable(&self, start: Offset) {
        self.ends.reset_durable_start(start);
    }

    /// Where the first segment begins that surely has a file.
    pub(crate) fn first_written_segment(&self) -> Offset {
        let segments = self.segments.load();
        let first = segments.first().filter(|segment| segment.written() > 0);
        first.map_or(Offset::ZERO, |segment| segment.base_offset())
    }

    /// The segments as they are now.
    pub(crate) fn segments(&self) -> Arc<Segments> {
        self.segments.load_full()
    }

    /// How often the log was cut.
    pub(crate) fn cuts(&self) -> u64 {
        self.ends.cuts()
    }

    /// Appends that were refused are welcome again.
    pub(crate) fn welcome_appends(&self) {
        self.lock().closed = false;
    }

    /// From here on appends are refused.
    pub(crate) fn refuse_appends(&self) {
        self.lock().closed = true;
    }

    /// The partition leaves this directory.
    pub(crate) fn close_for(self: &Arc<Self>, reason: CloseReason) {
        self.refuse_appends();
        self.enqueue(What::Close(reason));
        self.wake_all();
    }

    /// The directory went offline: whoever waits learns that it is in vain.
    pub(crate) fn wake_all(&self) {
        self.ends.close();
        self.tell(|listener| listener.disturbed());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock, if appends are welcome.
    fn lock_to_append(&self) -> Result<MutexGuard<'_, State>, AppendError> {
        if let Some(offline) = self.shared.offline_error() {
            return Err(offline.into());
        }
        let is_full = if self.config().uses_reserve {
            self.shared.is_reserve_used()
        } else {
            self.shared.is_disk_full()
        };
        if is_full {
            return Err(AppendError::DiskFull(self.shared.path.display().to_string()));
        }
        let state = self.lock();
        if self.pauses.load(Ordering::SeqCst) {
            return Err(AppendError::Paused(self.name.to_string()));
        }
        if state.closed {
            return Err(AppendError::Closed(self.name.to_string()));
        }
        Ok(state)
    }
}
