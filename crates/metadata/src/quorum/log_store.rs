//! openraft's log over `__cluster_metadata-0`.

use std::{
    collections::BTreeSet,
    fmt::Debug,
    ops::{Bound, RangeBounds},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use milena_env::{Clock, timer};
use milena_protocol::{Offset, records::Batch};
use milena_storage::{AppendError, BadBatch, Log, LogDirectory};
use openraft::{
    EntryPayload, LogState, OptionalSend, RaftLogReader,
    storage::{LogFlushed, RaftLogStorage},
};

use super::{
    entry::{self, EntryError},
    positions::Positions,
    types::{Entry, LogId, StorageError, StorageIoError, TypeConfig, Vote, log_id},
    vote::VoteFile,
};
use crate::image::ApplyError;

/// How much of the log is in memory at once while it is read through.
const READ_BYTES: usize = 4 << 20;

/// How soon an append is tried again that was not welcome.
const RETRY: Duration = Duration::from_millis(50);

/// What the log needs of its surroundings.
#[derive(Clone, Debug)]
pub(super) struct LogStore {
    log: Arc<Log>,
    directory: Arc<LogDirectory>,
    clock: Arc<dyn Clock>,
    /// Nobody else writes the directory's journal.
    drives_directory: bool,
    /// What the log had behind the snapshot when it was opened.
    pub(super) bytes_behind_snapshot: u64,
    /// The voters that the log named last when it was opened.
    pub(super) named_voters: Option<BTreeSet<i32>>,
    shared: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    positions: Positions,
    /// The last entry that is not there any more.
    purged: Option<LogId>,
    vote: VoteFile,
}

/// Why the metadata log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogStoreError {
    #[error(transparent)]
    Read(#[from] milena_storage::ReadError),
    #[error("metadata log cannot be read: {0}")]
    Io(#[from] std::io::Error),
    #[error("metadata log is damaged at offset {offset}: {why}")]
    Batch { offset: i64, why: String },
    #[error("metadata log begins at offset {start}, beyond the snapshot, which ends at {snapshot}")]
    Gap { start: i64, snapshot: i64 },
    #[error(transparent)]
    Entry(#[from] EntryError),
    #[error("metadata log at offset {offset}: {why}")]
    Apply { offset: i64, why: ApplyError },
    #[error("metadata log was cut or its directory went offline")]
    NotDurable,
}

impl From<BadBatch> for LogStoreError {
    fn from(bad: BadBatch) -> Self {
        Self::Batch { offset: bad.offset.0, why: bad.why.to_string() }
    }
}

impl LogStore {
    /// Reads through the log once, to learn where each entry lies. `anchor` is the entry that the
    /// snapshot ends with, and the offset after it.
    pub(super) fn open(
        log: Arc<Log>,
        directory: Arc<LogDirectory>,
        clock: Arc<dyn Clock>,
        vote: VoteFile,
        drives_directory: bool,
        anchor: Option<(LogId, i64)>,
    ) -> Result<Self, LogStoreError> {
        let snapshot = anchor.map_or(0, |(_, end)| end);
        if log.appended_end().0 < snapshot {
            // The snapshot came from elsewhere and the log ended before it.
            log.reset_to(Offset(snapshot)).map_err(milena_storage::ReadError::from)?;
        }
        let start = log.start_offset().0;
        if start > snapshot {
            return Err(LogStoreError::Gap { start, snapshot });
        }
        let next_index = anchor.map_or(0, |(id, _)| id.index + 1);
        let mut positions = Positions::new(next_index, snapshot);
        let (mut bytes_behind_snapshot, mut named_voters) = (0, None);
        walk(&log, Offset(snapshot), log.appended_end(), |batch| {
            positions.push(batch.header().next_offset().0);
            bytes_behind_snapshot += batch.bytes().len() as u64;
            if batch.header().attributes.is_control() {
                let entry = entry::from_batch(batch, 0)?;
                if let EntryPayload::Membership(membership) = entry.payload {
                    named_voters = Some(membership.voter_ids().collect());
                }
            }
            Ok(())
        })?;
        let purged = anchor.map(|(id, _)| id);
        let shared = Arc::new(Mutex::new(State { positions, purged, vote }));
        Ok(Self {
            log,
            directory,
            clock,
            drives_directory,
            bytes_behind_snapshot,
            named_voters,
            shared,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The offset that the next record gets.
    pub(super) fn end_offset(&self) -> i64 {
        self.state().positions.end_offset()
    }

    /// The offset of an entry's last record.
    pub(super) fn last_offset(&self, index: u64) -> Option<i64> {
        self.state().positions.end_of(index).map(|end| end - 1)
    }

    fn read(&self, from: u64, to: u64) -> Result<Vec<Entry>, LogStoreError> {
        let mut entries = Vec::new();
        self.visit(from, to, |entry| {
            entries.push(entry);
            Ok(())
        })?;
        Ok(entries)
    }

    /// Hands over the entries of `[from, to)` one by one.
    pub(super) fn visit(
        &self,
        from: u64,
        to: u64,
        mut take: impl FnMut(Entry) -> Result<(), LogStoreError>,
    ) -> Result<(), LogStoreError> {
        let (mut index, start, end) = {
            let positions = &self.state().positions;
            let first = from.max(positions.first_index());
            let to = to.min(positions.next_index());
            match (positions.base_offset(first), positions.base_offset(to)) {
                (Some(start), Some(end)) if first < to => (first, start, end),
                _ => return Ok(()),
            }
        };
        walk(&self.log, Offset(start), Offset(end), |batch| {
            let entry = entry::from_batch(batch, index)?;
            index += 1;
            take(entry)
        })
    }

    /// Appends and says where the log ends then.
    fn put(&self, entry: &Entry) -> Result<Offset, PutError> {
        let mut state = self.state();
        let leader = state.vote.last().and_then(|vote| vote.leader_id.voted_for).unwrap_or(-1);
        let at = state.positions.end_offset();
        let bytes = entry::to_batch(entry, at, leader, self.clock.now_ms())?;
        let end = self.log.append_as_follower(&Bytes::from(bytes))?;
        state.positions.push(end.0);
        Ok(end)
    }

    /// Appends as soon as the log takes something: a full disk is no reason to give up.
    async fn put_when_welcome(&self, entry: &Entry) -> Result<Offset, PutError> {
        loop {
            match self.put(entry) {
                Err(PutError::Append(AppendError::DiskFull(_) | AppendError::Paused(_))) => {
                    timer::sleep(RETRY).await;
                    if self.drives_directory {
                        self.directory.run_pending();
                    }
                }
                result => return result,
            }
        }
    }
}

/// Why an entry was not appended.
#[derive(Debug, thiserror::Error)]
enum PutError {
    #[error(transparent)]
    Entry(#[from] EntryError),
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// Hands over every batch of `[from, to)`, proven.
pub(super) fn walk(
    log: &Log,
    from: Offset,
    to: Offset,
    take: impl FnMut(&Batch<'_>) -> Result<(), LogStoreError>,
) -> Result<(), LogStoreError> {
    let reached = log.walk(from, to, READ_BYTES, take)?;
    if reached < to {
        return Err(LogStoreError::Batch { offset: reached.0, why: "nothing there".to_owned() });
    }
    Ok(())
}

fn io_error(error: impl std::error::Error) -> openraft::AnyError {
    openraft::AnyError::error(error)
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        let from = match range.start_bound() {
            Bound::Included(from) => *from,
            Bound::Excluded(before) => before + 1,
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(last) => last + 1,
            Bound::Excluded(to) => *to,
            Bound::Unbounded => u64::MAX,
        };
        self.read(from, to).map_err(|error| StorageIoError::read_logs(io_error(error)).into())
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError> {
        let (purged, next) = {
            let state = self.state();
            (state.purged, state.positions.next_index())
        };
        let last = match next.checked_sub(1) {
            Some(last) => self
                .read(last, next)
                .map_err(|error| StorageIoError::read_logs(io_error(error)))?
                .pop()
                .map(|entry| entry.log_id),
            None => None,
        };
        Ok(LogState { last_purged_log_id: purged, last_log_id: last.or(purged) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let saved = self.state().vote.save(vote);
        saved.map_err(|error| StorageIoError::write_vote(io_error(error)).into())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        Ok(self.state().vote.last())
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: LogFlushed<TypeConfig>,
    ) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut end = Offset(self.end_offset());
        for entry in entries {
            let put = self.put_when_welcome(&entry).await;
            end = put.map_err(|error| StorageIoError::write_logs(io_error(error)))?;
        }
        if self.drives_directory {
            self.directory.run_pending();
        }
        let log = Arc::clone(&self.log);
        tokio::spawn(async move {
            let result = match log.wait_durable(end).await {
                true => Ok(()),
                false => Err(std::io::Error::other(LogStoreError::NotDurable)),
            };
            callback.log_io_completed(result);
        });
        Ok(())
    }

    async fn truncate(&mut self, from: LogId) -> Result<(), StorageError> {
        let mut state = self.state();
        if let Some(offset) = state.positions.base_offset(from.index) {
            self.log
                .truncate_to(Offset(offset))
                .map_err(|error| StorageIoError::write_logs(io_error(error)))?;
            state.positions.truncate(from.index);
        }
        Ok(())
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), StorageError> {
        let mut state = self.state();
        if let Some(end) = state.positions.end_of(upto.index) {
            self.log.delete_records(Offset(end));
        }
        state.positions.drop_below(upto.index + 1);
        state.purged = Some(log_id(super::types::epoch_of(&upto), upto.index));
        Ok(())
    }
}
