//! Compacts one log: reads its dirty part into the offset map, then writes it anew from its start.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use milena_protocol::{
    Offset, ProducerId,
    records::{Batch, Budget, LegacyMessage, Record, Scratch},
};

use super::{
    draft::Draft,
    eligibility::{Cleanable, Extent, group},
    filter::{Filter, FilterError, LastRecord, control_type},
    offset_map::OffsetMap,
    swap,
    transactions::CleanedTransactions,
};
use crate::{
    directory::{LogDirectory, Shared},
    error::StorageError,
    log::{Finished, Log, TopicPartition},
    names::FileKind,
    pace::Pace,
    segment::{
        OpenSegment, Segment,
        scan::{End, Scanned, Scanner},
    },
};

/// What a cleaner may use.
#[derive(Clone, Debug)]
pub struct CleanerOptions {
    /// `log.cleaner.dedupe.buffer.size`: memory for the keys of one run.
    pub dedupe_buffer_bytes: usize,
    /// `log.cleaner.io.max.bytes.per.second`, read and written together.
    pub io_bytes_per_second: Option<u64>,
    /// Random bits that nobody else knows: keys are told apart by hashes under it.
    pub secret: [u8; 16],
}

/// Compacts one log at a time; keeps its buffers between them.
#[derive(Debug)]
pub struct Cleaner {
    options: CleanerOptions,
    is_stopped: Arc<AtomicBool>,
    scratch: Scratch,
    pace: Pace,
}

/// What a run did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cleaning {
    pub log: TopicPartition,
    /// Everything below is clean now.
    pub cleaned_to: Offset,
    pub bytes_read: u64,
    pub bytes_written: u64,
    pub segments_before: usize,
    pub segments_after: usize,
}

/// Why a run ended early.
enum Halt {
    /// Somebody wants to cut or delete the log, or the disk is full: what is swapped in stays.
    GivenUp,
    Failed(StorageError),
}

impl From<StorageError> for Halt {
    fn from(error: StorageError) -> Self {
        Self::Failed(error)
    }
}

impl LogDirectory {
    /// Compacts the log of this directory that needs it most, if any needs it enough: by
    /// `min.cleanable.dirty.ratio`, or because `max.compaction.lag.ms` has passed. Nothing at or
    /// above what `high_watermark` says of a log is touched. To be called by a thread of its own.
    pub fn compact_dirtiest(
        &self,
        cleaner: &mut Cleaner,
        high_watermark: &dyn Fn(&Log) -> Offset,
    ) -> Result<Option<Cleaning>, StorageError> {
        let mut dirtiest: Option<(f64, Arc<Log>)> = None;
        for log in self.logs() {
            if !log.config().compact || log.compaction.is_broken() {
                continue;
            }
            let Some(found) = log.cleanable(high_watermark(&log)) else {
                continue;
            };
            let ratio = found.ratio();
            let is_due = ratio > log.config().min_cleanable_dirty_ratio
                // A segment that cannot be looked at may just have been deleted.
                || found.dirty_bytes > 0
                    && log.is_compaction_overdue(found.first_dirty).unwrap_or(false);
            if is_due && dirtiest.as_ref().is_none_or(|(most, _)| ratio > *most) {
                dirtiest = Some((ratio, log));
            }
        }
        let Some((_, log)) = dirtiest else {
            return Ok(None);
        };
        let bound = high_watermark(&log);
        cleaner.clean(&log, bound).inspect_err(|error| {
            log.compaction.set_broken();
            let partition = log.name();
            tracing::error!(%partition, %error, "compaction failed; it is not tried again");
        })
    }
}

impl Cleaner {
    #[must_use]
    pub fn new(options: CleanerOptions) -> Self {
        let is_stopped = Arc::default();
        Self { options, is_stopped, scratch: Scratch::new(), pace: Pace::default() }
    }

    /// Gives a run up soon after somebody has set this.
    #[must_use]
    pub fn stopped_by(mut self, is_stopped: Arc<AtomicBool>) -> Self {
        self.is_stopped = is_stopped;
        self
    }

    fn clean(&mut self, log: &Arc<Log>, bound: Offset) -> Result<Option<Cleaning>, StorageError> {
        let Some(turn) = log.compaction.try_take() else {
            return Ok(None);
        };
        let done = self.clean_alone(log, bound);
        drop(turn);
        log.remove_below_start();
        match done {
            Ok(done) => Ok(done),
            Err(Halt::GivenUp) => Ok(None),
            Err(Halt::Failed(error)) if error.is_no_space() => Ok(None),
            Err(Halt::Failed(error)) => Err(error),
        }
    }

    fn clean_alone(&mut self, log: &Arc<Log>, bound: Offset) -> Result<Option<Cleaning>, Halt> {
        let (Some(found), Some(finished)) = (log.cleanable(bound), log.finished_segments()) else {
            return Ok(None);
        };
        let shared = log.shared();
        if !shared.outlive_journal()? {
            return Ok(None);
        }
        let options = self.options.clone();
        let mut run = Run { log, shared, found, cleaner: self, read: 0 };
        let map = run.map(&finished, &options)?;
        let cleaned_to = map.latest().next();
        if cleaned_to <= found.first_dirty {
            tracing::warn!(
                partition = %log.name(),
                "log.cleaner.dedupe.buffer.size has no room for the keys of one batch"
            );
            return Ok(None);
        }
        let to_clean: Vec<&Finished> =
            finished.iter().filter(|f| f.segment.base_offset() < cleaned_to).collect();
        let (segments_after, bytes_written) = run.rewrite(&to_clean, &map)?;
        let bytes_read = run.read;
        shared.cleaned.set(shared, log.name(), cleaned_to)?;
        Ok(Some(Cleaning {
            log: log.name().clone(),
            cleaned_to,
            bytes_read,
            bytes_written,
            segments_before: to_clean.len(),
            segments_after,
        }))
    }
}

/// One run over one log, which nobody cuts meanwhile.
struct Run<'a> {
    log: &'a Arc<Log>,
    shared: &'a Arc<Shared>,
    found: Cleanable,
    cleaner: &'a mut Cleaner,
    read: u64,
}

impl Run<'_> {
    /// Whether nobody wants the log for themselves, and nothing stops.
    fn may_go_on(&self) -> bool {
        let is_stopped = self.cleaner.is_stopped.load(Ordering::Relaxed);
        !is_stopped && !self.log.compaction.is_wanted() && !self.shared.is_offline()
    }

    /// Keeps the rate after a batch was read, of which at most as much is written.
    fn rest(&mut self, bytes: u64) {
        let mut pace = std::mem::take(&mut self.cleaner.pace);
        let rate = self.cleaner.options.io_bytes_per_second;
        pace.spend(bytes, rate, &*self.shared.clock, &|| self.may_go_on());
        self.cleaner.pace = pace;
    }

    /// Of every key in the dirty part the last offset, as far as there is room for keys.
    fn map(&mut self, finished: &[Finished], options: &CleanerOptions) -> Result<OffsetMap, Halt> {
        let Cleanable { first_dirty, first_uncleanable, .. } = self.found;
        let records_max = first_uncleanable.0 - first_dirty.0;
        let bytes_max = options.dedupe_buffer_bytes;
        let mut map = OffsetMap::new(&options.secret, records_max as u64, bytes_max);
        let aborted = self.log.aborted_transactions(first_dirty, first_uncleanable)?;
        let mut transactions = CleanedTransactions::new(aborted);
        let mut scratch = std::mem::take(&mut self.cleaner.scratch);
        for Finished { segment, next_base } in finished {
            if *next_base <= first_dirty || *next_base > first_uncleanable {
                continue;
            }
            let open = self.shared.files.get(segment)?;
            let position = open.indexes().offsets.entries().look_up(first_dirty).position;
            let mut is_full = false;
            self.each_batch(segment, &open, u64::from(position), |batch, bytes| {
                if is_full || batch.last_offset < first_dirty {
                    return Ok(());
                }
                let put = put_keys(&mut map, bytes, first_dirty, &mut transactions, &mut scratch);
                if put.map_err(|error| unreadable(segment, batch, &error))? {
                    map.raise_latest(batch.last_offset);
                } else {
                    is_full = true;
                }
                Ok(())
            })?;
            if is_full {
                break;
            }
            // The end of a segment may have been compacted away.
            map.raise_latest(Offset(next_base.0 - 1));
        }
        self.cleaner.scratch = scratch;
        Ok(map)
    }

    /// Writes the segments anew, group by group; says how many there are now, of how many bytes.
    fn rewrite(&mut self, finished: &[&Finished], map: &OffsetMap) -> Result<(usize, u64), Halt> {
        let (log, shared) = (self.log, self.shared);
        let config = log.config();
        let mut extents = Vec::with_capacity(finished.len());
        for Finished { segment, next_base } in finished {
            let open = shared.files.get(segment)?;
            let indexes = open.indexes();
            extents.push(Extent {
                base: segment.base_offset(),
                next_base: *next_base,
                bytes: segment.written(),
                offset_index_bytes: indexes.offsets.len_bytes(),
                time_index_bytes: indexes.times.len_bytes(),
            });
        }
        let (bytes_max, index_max) = (config.segment_bytes, config.segment_index_bytes);
        let counts = group(&extents, u64::from(bytes_max), u64::from(index_max));
        let from = extents.first().map_or(Offset::ZERO, |first| first.base);
        let aborted = log.aborted_transactions(from, self.found.first_uncleanable)?;
        let producers = last_records(log);
        let mut scratch = std::mem::take(&mut self.cleaner.scratch);
        let mut filter = Filter {
            map,
            transactions: CleanedTransactions::new(aborted),
            producers: &producers,
            round_end: self.found.first_uncleanable,
            now_ms: shared.clock.now_ms(),
            delete_retention_ms: config.delete_retention_ms,
            scratch: &mut scratch,
        };
        let mut written = 0;
        let mut rest = finished;
        for count in &counts {
            let (group, others) = rest.split_at_checked(*count).unwrap_or((rest, &[]));
            rest = others;
            written += self.rewrite_group(group, &mut filter)?;
        }
        self.cleaner.scratch = scratch;
        Ok((counts.len(), written))
    }

    fn rewrite_group(&mut self, group: &[&Finished], filter: &mut Filter<'_>) -> Result<u64, Halt> {
        let Some(first) = group.first() else {
            return Ok(0);
        };
        let bytes: u64 = group.iter().map(|f| f.segment.written()).sum();
        let path = self.log.folder().path();
        let space = self.shared.disk.space(&path);
        let free = space.map_err(StorageError::io("ask for room in", &path))?.free;
        if free < bytes + self.shared.config.free_bytes_min {
            return Err(Halt::GivenUp);
        }
        let interval = u64::from(self.log.config().index_interval_bytes);
        let base = first.segment.base_offset();
        let mut draft = Draft::create(self.shared, &path, base, interval)?;
        match self.write_draft(group, filter, &mut draft) {
            Ok(()) => {
                let written = draft.written();
                let old: Vec<Arc<Segment>> = group.iter().map(|f| Arc::clone(&f.segment)).collect();
                swap::install(self.log, &old, draft)?;
                Ok(written)
            }
            Err(halt) => {
                draft.discard();
                Err(halt)
            }
        }
    }

    fn write_draft(
        &mut self,
        group: &[&Finished],
        filter: &mut Filter<'_>,
        draft: &mut Draft<'_>,
    ) -> Result<(), Halt> {
        for Finished { segment, .. } in group {
            let open = self.shared.files.get(segment)?;
            self.each_batch(segment, &open, 0, |batch, bytes| {
                let at = draft.buffer.len();
                let passed = match batch.header {
                    Some(_) => filter.pass(bytes, &mut draft.buffer),
                    None => filter.pass_legacy(bytes, &mut draft.buffer),
                };
                passed.map_err(|error| unreadable(segment, batch, &error))?;
                draft.add_aborted(filter.transactions.take_retained())?;
                draft.take(at)
            })?;
        }
        if self.log.compaction.is_wanted() {
            return Err(Halt::GivenUp);
        }
        Ok(draft.finish()?)
    }

    /// Reads a segment from `position` on, and proves every batch.
    fn each_batch(
        &mut self,
        segment: &Segment,
        open: &OpenSegment,
        position: u64,
        mut visit: impl FnMut(&Scanned, &[u8]) -> Result<(), StorageError>,
    ) -> Result<(), Halt> {
        let path = || segment.path(FileKind::Log);
        let mut scanner = Scanner::checked(&open.file, position, segment.written());
        loop {
            let next = scanner.next().map_err(|e| StorageError::io("read", &path())(e))?;
            let batch = match next {
                Ok(batch) => batch,
                Err(End::Whole) => return Ok(()),
                Err(End::Invalid { position, reason }) => {
                    return Err(StorageError::corrupt(&path(), position, reason).into());
                }
            };
            if !self.may_go_on() {
                return Err(Halt::GivenUp);
            }
            visit(&batch, scanner.bytes_of(&batch))?;
            self.read += batch.size;
            self.rest(2 * batch.size);
        }
    }
}

/// Notes a batch's keys; `false` where they have no room.
fn put_keys(
    map: &mut OffsetMap,
    bytes: &[u8],
    first_dirty: Offset,
    transactions: &mut CleanedTransactions,
    scratch: &mut Scratch,
) -> Result<bool, FilterError> {
    let mut has_room = |record: Record<'_>| {
        record.key.is_none_or(|key| record.offset < first_dirty || map.put(key, record.offset))
    };
    if let Ok(message) = LegacyMessage::read(bytes) {
        for record in message.records(scratch, Budget::default())? {
            if !has_room(record?) {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    let batch = Batch::read(bytes)?;
    let mut records = batch.records(scratch, Budget::default())?;
    if batch.header().attributes.is_control() {
        let kind = control_type(&records)?;
        transactions.pass_control(batch.header(), kind);
        return Ok(true);
    }
    if transactions.pass_data(batch.header()) {
        return Ok(true);
    }
    records.try_fold(true, |fits, record| Ok(fits && has_room(record?)))
}

fn unreadable(segment: &Segment, batch: &Scanned, error: &FilterError) -> StorageError {
    StorageError::corrupt(&segment.path(FileKind::Log), batch.position, error.to_string())
}

/// What each active producer wrote last.
fn last_records(log: &Log) -> BTreeMap<ProducerId, LastRecord> {
    log.with_producers(|producers| {
        let last = producers.iter().map(|(id, entry)| {
            let offset = entry.last_batch().map(|batch| batch.last_offset);
            (id, LastRecord { offset, epoch: entry.epoch })
        });
        last.collect()
    })
}
