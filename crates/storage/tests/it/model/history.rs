//! One random life of a log, and of the model beside it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use milena_env::{Clock, Disk, Random};
use milena_protocol::{
    LeaderEpoch, Offset, ProducerEpoch, ProducerId,
    records::{
        self, BatchBuilder, Budget, Codec, EndTransactionMarker, Rules, Scratch, TimestampRule,
    },
};
use milena_storage::{
    AppendError, Log, LogConfig, LogDirectory,
    names::{FileKind, SegmentFile, Stage},
    producers::Origin,
};

use super::{
    check::check,
    model::{Model, ModelBatch},
};
use crate::rig::{Rig, partition, path};

pub(super) struct History {
    pub(super) random: Random,
    rig: Rig,
    directory: Arc<LogDirectory>,
    log: Arc<Log>,
    model: Model,
    /// The model as a new process would find it after a kill.
    durable: Model,
    epoch: LeaderEpoch,
    /// Of each producer: its epoch, its next sequence, and whether it has a transaction open.
    producers: BTreeMap<i64, (i16, i32, bool)>,
    /// Retention has rolled, and nothing has come since: the last segment may have no file yet.
    has_empty_active: bool,
    /// Everything that has happened is in the files.
    is_settled: bool,
}

impl History {
    pub(super) fn begin(seed: u64) -> Self {
        let mut random = Random::from_seed(seed);
        let config = LogConfig {
            segment_bytes: 1_000 + random.below(3_000) as u32,
            index_interval_bytes: random.below(400) as u32,
            segment_index_bytes: 24 + random.below(200) as u32,
            segment_ms: if random.chance(1, 2) { 300 } else { 1 << 40 },
            segment_jitter_ms: random.below(2) as i64 * 100,
            retention_ms: if random.chance(1, 2) { 500 } else { -1 },
            retention_bytes: if random.chance(1, 2) { random.below(5_000) as i64 } else { -1 },
            log_append_time: random.chance(1, 5),
            flush_messages: if random.chance(1, 6) { i64::MAX } else { 1 },
            ..LogConfig::default()
        };
        let mut rig = Rig::new(seed, config);
        // Never full, so that a round is always written at once.
        rig.directory_config.journal_first_file_bytes = 512 << 10;
        rig.directory_config.open_segments_max = 1 + random.below(6) as usize;
        rig.directory_config.sync_each_max = random.below(8) as usize;
        let directory = rig.open().unwrap();
        let log = rig.log(&directory, "orders");
        let (model, durable) = (Model::new(), Model::new());
        Self {
            random,
            rig,
            directory,
            log,
            model,
            durable,
            epoch: LeaderEpoch(0),
            producers: BTreeMap::new(),
            has_empty_active: false,
            is_settled: false,
        }
    }

    /// One thing that happens; says what.
    pub(super) fn step(&mut self) -> &'static str {
        self.is_settled = false;
        self.rig.clock.advance(Duration::from_millis(self.random.below(40)));
        match self.random.below(100) {
            0..45 => self.append(),
            45..55 => self.follow(),
            55..65 => self.run(),
            65..70 => self.checkpoint(),
            70..77 => self.truncate(),
            77..79 => self.reset(),
            79..85 => self.delete_records(),
            85..92 => self.retain(),
            92..95 => self.stop_and_start(),
            // Of a log that is not journalled a kill may take back what was deleted.
            95..98 if self.rig.config.is_journalled() => self.kill_and_start(),
            _ => self.raise_epoch(),
        }
    }

    pub(super) fn check(&mut self) {
        check(&self.log, &self.model, &mut self.random);
        if self.is_settled {
            let bytes: u64 = self.segments().iter().map(|segment| segment.1).sum();
            assert_eq!(self.log.size_bytes(), bytes, "size in bytes");
        }
    }

    fn raise_epoch(&mut self) -> &'static str {
        self.epoch.0 += 1 + self.random.below(2) as i32;
        "raise the epoch"
    }

    fn builder(&mut self) -> (BatchBuilder, i64) {
        let codec = Codec::ALL[self.random.below(5) as usize];
        let count = 1 + self.random.below(4) as i64;
        (BatchBuilder::new(Offset::ZERO).with_codec(codec, None), count)
    }

    fn fill(&mut self, mut builder: BatchBuilder, count: i64) -> Vec<u8> {
        for _ in 0..count {
            let mut value = vec![0; self.random.below(200) as usize];
            self.random.fill(&mut value);
            let timestamp = match self.random.below(12) {
                0 => -1,
                _ => self.rig.clock.now_ms() - self.random.below(100) as i64,
            };
            builder.append(timestamp, None, Some(&value), []);
        }
        let mut bytes = Vec::new();
        builder.build(&mut bytes).unwrap();
        bytes
    }

    fn append(&mut self) -> &'static str {
        let id = self.random.below(6) as i64;
        let (builder, count) = self.builder();
        // Some have no producer, 3 and 4 have transactions.
        if !(2..=4).contains(&id) {
            let bytes = self.fill(builder, count);
            self.lead(&bytes);
            return "append";
        }
        let (epoch, sequence, is_open) = *self.producers.entry(id).or_default();
        if is_open && self.random.chance(1, 3) {
            let is_commit = self.random.chance(1, 2);
            let marker = EndTransactionMarker { is_commit, coordinator_epoch: 0 };
            let (base, producer) = (Offset::ZERO, ProducerId(id));
            let mut bytes = Vec::new();
            let now_ms = self.rig.clock.now_ms();
            marker.build(base, producer, ProducerEpoch(epoch + 1), now_ms, &mut bytes).unwrap();
            self.producers.insert(id, (epoch + 1, 0, false));
            self.lead(&bytes);
            return "end a transaction";
        }
        let mut builder = builder.with_producer(ProducerId(id), ProducerEpoch(epoch), sequence);
        if id > 2 {
            builder = builder.with_transactional();
        }
        self.producers.insert(id, (epoch, sequence + count as i32, id > 2));
        let bytes = self.fill(builder, count);
        let base_offset = self.lead(&bytes);
        if self.random.chance(1, 4) {
            let again = self.try_lead(&bytes).unwrap();
            assert_eq!((again.base_offset, again.is_duplicate), (base_offset, true));
        }
        "append of a producer"
    }

    fn lead(&mut self, bytes: &[u8]) -> Offset {
        let appended = self.try_lead(bytes).unwrap();
        assert_eq!((appended.base_offset, appended.is_duplicate), (self.model.end, false));
        let mut batch = BytesMut::from(bytes);
        self.validated(bytes).place(&mut batch, appended.base_offset, self.epoch);
        self.model.append(ModelBatch::new(batch.freeze()));
        assert_eq!(appended.end, self.model.end);
        self.has_empty_active = false;
        appended.base_offset
    }

    fn try_lead(&self, bytes: &[u8]) -> Result<milena_storage::Appended, AppendError> {
        let validated = self.validated(bytes);
        self.log.append_as_leader(bytes.into(), &validated, self.epoch, Origin::Client)
    }

    fn validated(&self, bytes: &[u8]) -> records::Validated {
        let rules = Rules {
            produce_version: 11,
            batch_bytes_max: 1 << 20,
            is_compacted: false,
            timestamps: if self.rig.config.log_append_time {
                TimestampRule::Append
            } else {
                TimestampRule::Create { before_max_ms: i64::MAX, after_max_ms: i64::MAX }
            },
            now_ms: self.rig.clock.now_ms(),
            origin: records::Origin::Coordinator,
            budget: Budget::default(),
        };
        records::validate(bytes, &rules, &mut Scratch::new()).unwrap()
    }

    /// Batches as a leader sends them: with gaps between them, and a piece of one more behind.
    fn follow(&mut self) -> &'static str {
        let mut all = Vec::new();
        let mut base_offset = self.model.end;
        for _ in 0..1 + self.random.below(3) {
            let (builder, count) = self.builder();
            let mut batch = self.fill(builder, count);
            if self.random.chance(1, 5) {
                self.epoch.0 += 1;
            }
            // Not where an epoch begins: nobody could say whether the gap belongs to it.
            if self.model.epochs.latest().is_some_and(|latest| latest.epoch == self.epoch) {
                base_offset = base_offset.plus([0, 0, 3][self.random.below(3) as usize]);
            }
            records::assign(&mut batch, base_offset, self.epoch);
            base_offset = base_offset.plus(count);
            self.model.append(ModelBatch::new(Bytes::from(batch.clone())));
            all.extend(batch);
        }
        let (builder, count) = self.builder();
        let mut partial = self.fill(builder, count);
        records::assign(&mut partial, base_offset, self.epoch);
        partial.truncate(self.random.below(partial.len() as u64) as usize);
        all.extend(partial);
        let end = self.log.append_as_follower(&Bytes::from(all)).unwrap();
        assert_eq!(end, self.model.end);
        self.has_empty_active = false;
        "append as follower"
    }

    fn run(&mut self) -> &'static str {
        self.directory.run_pending();
        assert!(self.directory.offline().is_none(), "{:?}", self.directory.offline());
        self.durable = self.model.clone();
        self.is_settled = true;
        assert_eq!(self.log.durable_end(), self.model.end);
        "write a round"
    }

    fn checkpoint(&mut self) -> &'static str {
        if self.random.chance(1, 2) {
            self.run();
        }
        self.directory.checkpoint().unwrap();
        "checkpoint"
    }

    /// Where some batch ends, and sometimes below the start.
    fn somewhere(&mut self) -> Offset {
        let below = self.model.start.plus(-(self.random.below(5) as i64)).max(Offset::ZERO);
        let ends: Vec<_> = self.model.readable(self.model.start, self.model.end).collect();
        match self.random.below(12) {
            0 => below,
            1 => self.model.start,
            2 => self.model.end,
            _ if ends.is_empty() => self.model.end,
            _ => ends[self.random.below(ends.len() as u64) as usize].header.next_offset(),
        }
    }

    fn truncate(&mut self) -> &'static str {
        let to = self.somewhere();
        // It writes what is queued, before it cuts.
        self.durable = self.model.clone();
        if to < self.model.end {
            self.forget_producers();
            self.has_empty_active = to < self.model.start;
        }
        let is_cut = self.log.truncate_to(to).unwrap();
        assert_eq!(is_cut, to < self.model.end);
        self.model.truncate(to);
        "truncate"
    }

    fn reset(&mut self) -> &'static str {
        let to = Offset(self.random.below(self.model.end.0 as u64 + 30) as i64);
        self.durable = self.model.clone();
        self.log.reset_to(to).unwrap();
        self.model.reset(to);
        self.forget_producers();
        self.has_empty_active = true;
        "reset"
    }

    /// After a cut producers come back with new ids, as nobody knows what they wrote.
    fn forget_producers(&mut self) {
        for producer in self.producers.values_mut() {
            *producer = (producer.0 + 1, 0, false);
        }
    }

    fn delete_records(&mut self) -> &'static str {
        let to = self.somewhere();
        assert_eq!(self.log.delete_records(to), to.max(self.model.start));
        self.model.raise_start(to);
        "delete records"
    }

    /// Base offset and size of every segment, as its file says.
    fn segments(&self) -> Vec<(Offset, u64)> {
        let folder = path().join("orders-0");
        let disk: &dyn Disk = &*self.rig.disk;
        let Ok(entries) = disk.list(&folder) else {
            return vec![(self.model.start, 0)];
        };
        let files = entries.iter().filter_map(|entry| SegmentFile::parse(&entry.name));
        let logs = files.filter(|file| file.kind == FileKind::Log && file.stage == Stage::Live);
        let size = |file: SegmentFile| disk.metadata(&folder.join(file.to_string())).unwrap().len;
        logs.map(|file| (file.base_offset, size(file))).collect()
    }

    fn retain(&mut self) -> &'static str {
        self.run();
        let now_ms = self.rig.clock.now_ms();
        let config = Arc::clone(&self.rig.config);
        let is_old = |newest: i64| {
            newest >= 0 && config.retention_ms >= 0 && now_ms - newest > config.retention_ms
        };
        let mut segments = self.segments();
        if self.has_empty_active && segments.last().is_none_or(|last| last.1 > 0) {
            segments.push((self.model.end, 0));
        }
        let Some(last) = segments.last().copied() else {
            return "retain nothing";
        };
        if last.1 > 0 && is_old(self.model.newest_within(last.0, self.model.end)) {
            segments.push((self.model.end, 0));
            self.has_empty_active = true;
        }
        let total: u64 = segments.iter().map(|segment| segment.1).sum();
        let mut surplus = match config.retention_bytes {
            -1 => 0,
            max => total.saturating_sub(max as u64),
        };
        let mut deleted = 0;
        for pair in segments.windows(2) {
            let is_surplus = surplus > 0 && surplus >= pair[0].1;
            if !is_surplus && !is_old(self.model.newest_within(pair[0].0, pair[1].0)) {
                break;
            }
            surplus = surplus.saturating_sub(pair[0].1);
            deleted += 1;
        }
        assert_eq!(self.log.apply_retention(self.model.end), deleted, "segments deleted");
        if deleted > 0 {
            self.model.raise_start(segments[deleted].0);
        }
        // Segments below the start may have gone from memory alone.
        self.is_settled = false;
        "retain"
    }

    fn stop_and_start(&mut self) -> &'static str {
        self.directory.close(1).unwrap();
        self.rig.crash();
        self.start();
        self.durable = self.model.clone();
        "stop and start"
    }

    fn kill_and_start(&mut self) -> &'static str {
        let start = self.model.start;
        self.rig.kill();
        self.start();
        self.model = self.durable.clone();
        // A checkpoint may have written a start that was in no round yet.
        let found = self.log.start_offset();
        assert!(found >= self.model.start && found <= start.max(self.model.start), "start {found}");
        self.model.raise_start(found);
        let first = self.segments().first().map_or(found, |first| first.0);
        self.model.known_from.push(first);
        self.durable = self.model.clone();
        self.forget_producers();
        "kill and start"
    }

    fn start(&mut self) {
        self.directory = self.rig.open().unwrap();
        let log = self.directory.log(&partition("orders"));
        self.log = log.unwrap_or_else(|| self.rig.log(&self.directory, "orders"));
        self.is_settled = true;
        self.model.reopen();
        self.durable.reopen();
        let last = self.segments().last().copied();
        self.has_empty_active = last.is_none_or(|last| last.1 == 0);
    }
}
