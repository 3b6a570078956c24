//! The partitions that are read: which, where their readers stand, what is to be found out,
//! fetched, and given out. Pure: (state, what happened, now), and never a request made here.

mod buffer;
mod legacy;
mod lookups;
mod state;
#[cfg(test)]
mod test;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use milena_protocol::{ErrorCode, LeaderEpoch, Uuid};

use self::{buffer::Read, state::Partition};
pub(crate) use self::{
    buffer::{Chunk, Tools},
    lookups::{Committed, EARLIEST, EpochEnd, Found, LATEST, Wanted},
    state::{Reset, Status},
};
use super::{
    CommittedOffset, TopicPartition,
    config::OffsetReset,
    record::Records,
    types::{self, Watermarks},
};
use crate::{
    cluster::View,
    error::{Error, Result},
};

/// How many errors wait to be polled; those that come later are told when they come again.
const ERRORS_MAX: usize = 64;

/// What does not change while a consumer lives.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) reset: OffsetReset,
    /// Whether there may be committed offsets.
    pub(crate) has_group: bool,
    pub(crate) partition_bytes_max: usize,
    pub(crate) bytes_max: usize,
    pub(crate) records_max: usize,
    pub(crate) preferred_max: Duration,
}

#[derive(Debug)]
pub(crate) struct Partitions {
    rules: Rules,
    all: BTreeMap<TopicPartition, Partition>,
    /// Those with something to give, in turn.
    queue: VecDeque<TopicPartition>,
    bytes: usize,
    incarnations: u64,
    errors: VecDeque<Error>,
}

/// What is to be fetched of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) incarnation: u64,
    pub(crate) topic_id: Uuid,
    pub(crate) offset: i64,
    pub(crate) leader_epoch: LeaderEpoch,
}

/// What a fetch of a partition has brought.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) error: ErrorCode,
    pub(crate) chunk: Chunk,
    pub(crate) watermarks: Watermarks,
    pub(crate) preferred: Option<i32>,
}

impl Partitions {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            all: BTreeMap::new(),
            queue: VecDeque::new(),
            bytes: 0,
            incarnations: 0,
            errors: VecDeque::new(),
        }
    }

    fn next_incarnation(&mut self) -> u64 {
        self.incarnations += 1;
        self.incarnations
    }

    /// Begins to read more partitions. Those of a group are held until [`Self::release`].
    pub(crate) fn add(&mut self, partitions: impl IntoIterator<Item = TopicPartition>, held: bool) {
        for partition in partitions {
            if self.all.contains_key(&partition) {
                continue;
            }
            let status = match self.rules.has_group {
                true => Status::Committed,
                false => Status::Reset(Reset::Policy),
            };
            let state = Partition::new(self.next_incarnation(), status, held);
            self.all.insert(partition.clone(), state);
            if !self.rules.has_group && self.rules.reset == OffsetReset::None {
                self.begin_again(&partition, "nothing says where");
            }
        }
    }

    /// Reads some no more.
    pub(crate) fn remove<'t>(&mut self, partitions: impl IntoIterator<Item = &'t TopicPartition>) {
        for partition in partitions {
            if let Some(state) = self.all.remove(partition) {
                self.bytes -= state.buffer.bytes();
            }
        }
        self.queue.retain(|partition| self.all.contains_key(partition));
    }

    /// Reads these and no others.
    pub(crate) fn assign(&mut self, partitions: BTreeSet<TopicPartition>) {
        let gone: Vec<_> =
            self.all.keys().filter(|partition| !partitions.contains(*partition)).cloned().collect();
        self.remove(&gone);
        self.add(partitions, false);
    }

    /// The group takes these away, or lets them be read.
    pub(crate) fn hold<'t>(
        &mut self,
        partitions: impl IntoIterator<Item = &'t TopicPartition>,
        held: bool,
    ) {
        for partition in partitions {
            if let Some(state) = self.all.get_mut(partition) {
                state.held.by_group = held;
            }
            self.enqueue(partition);
        }
    }

    /// Begins or stops to pass over partitions in `poll`.
    pub(crate) fn pause<'t>(
        &mut self,
        partitions: impl IntoIterator<Item = &'t TopicPartition>,
        paused: bool,
    ) -> Result<()> {
        for partition in partitions {
            self.get_mut(partition)?.held.paused = paused;
            self.enqueue(partition);
        }
        Ok(())
    }

    pub(crate) fn paused(&self) -> BTreeSet<TopicPartition> {
        let paused = self.all.iter().filter(|(_, state)| state.held.paused);
        paused.map(|(partition, _)| partition.clone()).collect()
    }

    pub(crate) fn assignment(&self) -> BTreeSet<TopicPartition> {
        self.all.keys().cloned().collect()
    }

    fn get_mut(&mut self, partition: &TopicPartition) -> Result<&mut Partition> {
        self.all.get_mut(partition).ok_or_else(|| not_assigned(partition))
    }

    /// Goes on from an offset.
    pub(crate) fn seek(&mut self, partition: &TopicPartition, to: &CommittedOffset) -> Result<()> {
        let incarnation = self.next_incarnation();
        let read = Read { offset: to.offset, epoch: types::epoch(to.leader_epoch) };
        self.forget_buffer(partition)?.stand_at(incarnation, read);
        Ok(())
    }

    /// Goes on from where the log begins or ends, once that is known.
    pub(crate) fn seek_to(&mut self, partition: &TopicPartition, reset: Reset) -> Result<()> {
        let incarnation = self.next_incarnation();
        let state = self.forget_buffer(partition)?;
        state.begin_anew(incarnation, Status::Reset(reset));
        state.read = None;
        Ok(())
    }

    fn forget_buffer(&mut self, partition: &TopicPartition) -> Result<&mut Partition> {
        let state = self.all.get_mut(partition).ok_or_else(|| not_assigned(partition))?;
        self.bytes -= state.buffer.bytes();
        Ok(state)
    }

    /// What `poll` gives next, if that is known.
    pub(crate) fn position(&self, partition: &TopicPartition) -> Result<Option<CommittedOffset>> {
        let state = self.all.get(partition).ok_or_else(|| not_assigned(partition))?;
        Ok(state.read.map(committed))
    }

    /// All known positions: what a commit without offsets commits.
    pub(crate) fn positions(&self) -> BTreeMap<TopicPartition, CommittedOffset> {
        let known = |(partition, state): (&TopicPartition, &Partition)| {
            Some((partition.clone(), committed(state.read?)))
        };
        self.all.iter().filter_map(known).collect()
    }

    pub(crate) fn watermarks(&self, partition: &TopicPartition) -> Option<Watermarks> {
        self.all.get(partition)?.watermarks
    }

    /// What is to be fetched from a broker. Nothing while one of its partitions has enough to give:
    /// a fetch that waited for the others would hold that one up.
    pub(crate) fn fetchable(
        &self,
        node: i32,
        view: &View,
        now: Duration,
    ) -> BTreeMap<TopicPartition, Asked> {
        let mut wanted = BTreeMap::new();
        if self.bytes >= self.rules.bytes_max {
            return wanted;
        }
        for (partition, state) in self.all.iter().filter(|(_, state)| state.is_readable(now)) {
            let Some(topic) = view.topics.get(&*partition.topic) else { continue };
            let Some(leader) = topic.partition(partition.partition) else { continue };
            let preferred = state.preferred.filter(|(_, until)| *until > now);
            let from = preferred.map(|(id, _)| id).filter(|id| view.brokers.contains_key(id));
            if from.or(leader.leader) != Some(node) {
                continue;
            }
            if state.buffer.bytes() >= self.rules.partition_bytes_max {
                return BTreeMap::new();
            }
            let asked = Asked {
                incarnation: state.incarnation,
                topic_id: topic.id,
                offset: state.fetch_at,
                leader_epoch: leader.leader_epoch,
            };
            wanted.insert(partition.clone(), asked);
        }
        wanted
    }

    /// When something can be fetched again that has failed.
    pub(crate) fn next_attempt(&self, now: Duration) -> Option<Duration> {
        self.all.values().map(|state| state.not_before).filter(|at| *at > now).min()
    }

    /// Takes what a fetch has brought; true if the view of the cluster is out of date.
    pub(crate) fn fetched(
        &mut self,
        partition: &TopicPartition,
        asked: &Asked,
        fetched: Fetched,
        now: Duration,
        pause: impl FnOnce(u32) -> Duration,
    ) -> bool {
        let Some(state) = self.all.get_mut(partition) else { return false };
        let is_wanted = state.incarnation == asked.incarnation && state.fetch_at == asked.offset;
        if !is_wanted || !matches!(state.status, Status::Ready) {
            return false;
        }
        match fetched.error {
            ErrorCode::None => {
                state.failures = 0;
                state.watermarks = Some(fetched.watermarks);
                if let Some(id) = fetched.preferred {
                    state.preferred = Some((id, now + self.rules.preferred_max));
                }
                self.keep(partition, fetched.chunk);
                false
            }
            ErrorCode::OffsetOutOfRange if state.preferred.take().is_some() => false,
            ErrorCode::OffsetOutOfRange => {
                // What was fetched before is given out first.
                if state.buffer.is_empty() {
                    self.begin_again(partition, "its log has no such offset");
                } else {
                    state.back_off(now, pause);
                }
                false
            }
            error => {
                let failure = Error::broker(format!("fetch {partition}"), error);
                state.preferred = None;
                state.back_off(now, pause);
                if error != ErrorCode::UnknownServerError && !failure.is_retriable() {
                    self.tell(failure);
                    return false;
                }
                true
            }
        }
    }

    fn keep(&mut self, partition: &TopicPartition, chunk: Chunk) {
        let Some(state) = self.all.get_mut(partition).filter(|_| !chunk.is_empty()) else { return };
        match chunk.next_offset() {
            Ok(Some(next)) => {
                state.fetch_at = next.max(state.fetch_at);
                let before = state.buffer.bytes();
                state.buffer.push(chunk);
                self.bytes += state.buffer.bytes() - before;
                self.enqueue(partition);
            }
            Ok(None) => {
                let problem = format!(
                    "{partition} has a batch at offset {} that is larger than max.partition.fetch.\
                     bytes ({})",
                    state.fetch_at, self.rules.partition_bytes_max
                );
                state.status = Status::Broken(Error::Invalid(problem.into()));
            }
            Err(error) => {
                let problem = format!("{partition} from offset {}: {error}", state.fetch_at);
                state.status = Status::Broken(Error::Invalid(problem.into()));
            }
        }
    }

    /// Finds a new position where the old one cannot be read, or says that there is none.
    fn begin_again(&mut self, partition: &TopicPartition, why: &str) {
        let incarnation = self.next_incarnation();
        let Some(state) = self.all.get_mut(partition) else { return };
        if self.rules.reset != OffsetReset::None {
            tracing::info!(%partition, why, "going on where auto.offset.reset says");
            self.bytes -= state.buffer.bytes();
            state.begin_anew(incarnation, Status::Reset(Reset::Policy));
            return;
        }
        let what = match state.read {
            Some(read) => format!("read {partition} at offset {}", read.offset),
            None => format!("begin to read {partition}"),
        };
        state.status = Status::Broken(Error::Broker {
            what: what.into(),
            code: ErrorCode::OffsetOutOfRange,
            detail: Some(format!("{why}, and auto.offset.reset is none: seek").into()),
        });
    }

    fn enqueue(&mut self, partition: &TopicPartition) {
        if let Some(state) = self.all.get_mut(partition)
            && !state.is_queued
            && state.can_give()
        {
            state.is_queued = true;
            self.queue.push_back(partition.clone());
        }
    }

    /// What can be given out now; true beside it if more can be fetched because of it.
    pub(crate) fn take(&mut self, tools: &mut Tools) -> (Records, bool) {
        let (mut records, mut may_fetch) = (Records::new(&tools.pool), false);
        let was_full = self.bytes >= self.rules.bytes_max;
        while let Some(partition) = self.queue.pop_front() {
            let Some(state) = self.all.get_mut(&partition) else { continue };
            state.is_queued = false;
            if let (true, Some(mut read)) = (state.can_give(), state.read) {
                let before = state.buffer.bytes();
                let limit = self.rules.records_max - records.len();
                let taken = state.buffer.take(&partition, &mut read, limit, tools, &mut records);
                state.read = Some(read);
                let after = state.buffer.bytes();
                self.bytes -= before - after;
                let limit = self.rules.partition_bytes_max;
                may_fetch |= before >= limit && after < limit;
                if let Err(problem) = taken {
                    let problem = format!("{partition} at offset {}: {problem}", read.offset);
                    state.status = Status::Broken(Error::Invalid(problem.into()));
                    self.bytes -= after;
                    state.buffer = buffer::Buffer::default();
                }
            }
            self.enqueue(&partition);
            if records.len() >= self.rules.records_max {
                break;
            }
        }
        may_fetch |= was_full && self.bytes < self.rules.bytes_max;
        (records, may_fetch)
    }

    fn tell(&mut self, error: Error) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push_back(error);
        }
    }

    /// What the user must hear of, if nothing can be given.
    pub(crate) fn error(&mut self) -> Option<Error> {
        self.errors.pop_front().or_else(|| {
            self.all.values().find_map(|state| match &state.status {
                Status::Broken(error) if !state.held.by_group => Some(error.clone()),
                _ => None,
            })
        })
    }
}

fn committed(read: Read) -> CommittedOffset {
    let leader_epoch = types::known(read.epoch);
    CommittedOffset { offset: read.offset, leader_epoch, metadata: "".into() }
}

fn not_assigned(partition: &TopicPartition) -> Error {
    Error::Invalid(format!("{partition} is not assigned to this consumer").into())
}
