//! What must be found out before partitions can be fetched, and what follows from the answers.

use std::{collections::BTreeMap, time::Duration};

use milena_protocol::{ErrorCode, LeaderEpoch};

use super::{
    super::{CommittedOffset, TopicPartition, config::OffsetReset, types},
    Partitions, Read, Reset, Status,
};
use crate::{cluster::View, error::Error};

/// Kafka's words for the ends of a log where a time is asked for.
pub(crate) const LATEST: i64 = -1;
pub(crate) const EARLIEST: i64 = -2;

/// What a partition's leader is asked, and for which incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) incarnation: u64,
    pub(crate) leader_epoch: LeaderEpoch,
    /// A time, or the epoch whose end is wanted.
    pub(crate) value: i64,
}

/// All that is to be found out now.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    /// Of the group.
    pub(crate) committed: Vec<(TopicPartition, u64)>,
    /// Of leaders: offsets by time.
    pub(crate) offsets: BTreeMap<i32, Vec<(TopicPartition, Wanted)>>,
    /// Of leaders: where epochs have ended.
    pub(crate) epochs: BTreeMap<i32, Vec<(TopicPartition, Wanted)>>,
    /// Whether somebody's leader is not known.
    pub(crate) is_blind: bool,
}

/// What a group has committed.
pub(crate) type Committed = Option<CommittedOffset>;

/// An offset by time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) epoch: LeaderEpoch,
}

/// Where an epoch has ended: the largest one up to the one asked for, and the offset behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EpochEnd {
    pub(crate) epoch: i32,
    pub(crate) offset: i64,
}

fn time(reset: Reset, policy: OffsetReset, wall_ms: i64) -> i64 {
    match (reset, policy) {
        (Reset::Earliest, _) | (Reset::Policy, OffsetReset::Earliest) => EARLIEST,
        (Reset::Policy, OffsetReset::ByDuration(age)) => {
            let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            wall_ms.saturating_sub(age).max(0)
        }
        _ => LATEST,
    }
}

impl Partitions {
    /// What is to be found out, if it may be tried by now; it is not tried again before `until`.
    /// `wall_ms` is the time of day.
    pub(crate) fn lookups(
        &mut self,
        view: &View,
        now: Duration,
        until: Duration,
        wall_ms: i64,
    ) -> Lookups {
        let mut lookups = Lookups::default();
        let policy = self.rules.reset;
        for (partition, state) in self.all.iter_mut().filter(|(_, state)| state.not_before <= now) {
            let (into, value) = match &state.status {
                Status::Committed => {
                    state.not_before = until;
                    lookups.committed.push((partition.clone(), state.incarnation));
                    continue;
                }
                Status::Reset(reset) => (&mut lookups.offsets, time(*reset, policy, wall_ms)),
                Status::Validate => {
                    let epoch = state.read.map_or(LeaderEpoch::UNKNOWN, |read| read.epoch);
                    (&mut lookups.epochs, i64::from(epoch.0))
                }
                Status::Ready => {
                    let known = view.partition(&partition.topic, partition.partition);
                    lookups.is_blind |= known.is_none_or(|known| known.leader.is_none());
                    continue;
                }
                Status::Broken(_) => continue,
            };
            let leader = view.partition(&partition.topic, partition.partition);
            match leader.and_then(|it| Some((it.leader?, it.leader_epoch))) {
                Some((leader, leader_epoch)) => {
                    state.not_before = until;
                    let incarnation = state.incarnation;
                    let wanted = Wanted { incarnation, leader_epoch, value };
                    into.entry(leader).or_default().push((partition.clone(), wanted));
                }
                None => lookups.is_blind = true,
            }
        }
        lookups
    }

    /// A leader epoch that has ended may have taken records with it: they are looked for before
    /// anything of the new one is read.
    pub(crate) fn learn(&mut self, view: &View) {
        for (partition, state) in &mut self.all {
            let known = view.partition(&partition.topic, partition.partition);
            let Some(known) = known.filter(|known| known.leader_epoch > state.leader_epoch) else {
                continue;
            };
            let is_known = state.read.is_some_and(|read| read.epoch != LeaderEpoch::UNKNOWN);
            let is_first = state.leader_epoch == LeaderEpoch::UNKNOWN;
            state.leader_epoch = known.leader_epoch;
            state.preferred = None;
            if matches!(state.status, Status::Ready) && is_known && !is_first {
                state.status = Status::Validate;
                state.not_before = Duration::ZERO;
            }
        }
    }

    fn is_current(&self, partition: &TopicPartition, incarnation: u64) -> bool {
        self.all.get(partition).is_some_and(|state| state.incarnation == incarnation)
    }

    /// What the group has committed is where to begin.
    pub(crate) fn found_committed(
        &mut self,
        partition: &TopicPartition,
        incarnation: u64,
        committed: Committed,
    ) {
        if !self.is_current(partition, incarnation) {
            return;
        }
        match committed {
            Some(committed) => {
                let incarnation = self.next_incarnation();
                let epoch = types::epoch(committed.leader_epoch);
                if let Some(state) = self.all.get_mut(partition) {
                    state.stand_at(incarnation, Read { offset: committed.offset, epoch });
                }
            }
            None => self.begin_again(partition, "the group has committed nothing"),
        }
    }

    /// An offset by time is where to begin; if no record is as young, where the log ends.
    pub(crate) fn found_offset(
        &mut self,
        partition: &TopicPartition,
        incarnation: u64,
        found: Found,
    ) {
        if self.is_current(partition, incarnation) {
            let incarnation = self.next_incarnation();
            if let Some(state) = self.all.get_mut(partition) {
                if found.offset < 0 {
                    return state.begin_anew(incarnation, Status::Reset(Reset::Latest));
                }
                state.leader_epoch = state.leader_epoch.max(found.epoch);
                let read = Read { offset: found.offset, epoch: LeaderEpoch::UNKNOWN };
                state.stand_at(incarnation, read);
            }
        }
    }

    /// Whether the log still has what was read.
    pub(crate) fn found_epoch(
        &mut self,
        partition: &TopicPartition,
        wanted: Wanted,
        end: EpochEnd,
    ) {
        let Some(state) = self.all.get_mut(partition) else { return };
        let is_wanted = state.incarnation == wanted.incarnation;
        let Some(read) = state.read.filter(|_| is_wanted) else { return };
        if !matches!(state.status, Status::Validate) {
            return;
        }
        if end.offset < 0 || end.epoch < 0 {
            return self.begin_again(partition, "its log does not know what was read");
        }
        // The leader may have cut off only what was fetched ahead.
        if end.offset >= state.fetch_at {
            state.leader_epoch = state.leader_epoch.max(wanted.leader_epoch);
            (state.failures, state.not_before) = (0, Duration::ZERO);
            state.status = Status::Ready;
            return;
        }
        let cut = format!("its log was cut back to offset {}", end.offset);
        let is_lost = end.offset < read.offset;
        if is_lost && self.rules.reset == OffsetReset::None {
            return self.begin_again(partition, &cut);
        }
        if is_lost {
            tracing::warn!(%partition, at = read.offset, end = end.offset, "the log was cut back");
        }
        let incarnation = self.next_incarnation();
        if let Some(state) = self.all.get_mut(partition) {
            self.bytes -= state.buffer.bytes();
            let epoch = if is_lost { LeaderEpoch(end.epoch) } else { read.epoch };
            let offset = read.offset.min(end.offset);
            state.begin_anew(incarnation, Status::Ready);
            state.read = Some(Read { offset, epoch });
            state.fetch_at = offset;
        }
    }

    /// A look-up has failed, and is made again after a pause; or the user hears why it cannot be.
    pub(crate) fn not_found(
        &mut self,
        partition: &TopicPartition,
        incarnation: u64,
        error: &Error,
        now: Duration,
        pause: impl FnOnce(u32) -> Duration,
    ) {
        let is_again = error.is_retriable() || error.code() == Some(ErrorCode::UnknownServerError);
        let Some(state) = self.all.get_mut(partition) else { return };
        if state.incarnation == incarnation {
            state.back_off(now, pause);
            if !is_again {
                self.tell(error.clone());
            }
        }
    }
}
