//! When groups want to be looked at: one entry per group, at the earliest of its deadlines.
//!
//! A deadline that moves away, as every heartbeat moves one, costs nothing: the group is looked at
//! for nothing once, and says when it wants to be looked at next.

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc, time::Duration};

/// A group's own alarm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Alarm {
    wanted: Option<Duration>,
    set: Option<Duration>,
}

impl Alarm {
    /// The group is to be looked at at this time, if not before.
    pub(crate) fn by(&mut self, at: Duration) {
        if self.wanted.is_none_or(|wanted| at < wanted) {
            self.wanted = Some(at);
        }
    }
}

/// The alarms of all groups of a shard.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    due: BinaryHeap<Reverse<(Duration, Arc<str>)>>,
}

impl Alarms {
    /// Takes in what the group has asked for.
    pub(super) fn set(&mut self, group: &Arc<str>, alarm: &mut Alarm) {
        if let Some(wanted) = alarm.wanted
            && alarm.set.is_none_or(|set| wanted < set)
        {
            alarm.set = Some(wanted);
            self.due.push(Reverse((wanted, Arc::clone(group))));
        }
    }

    /// When the next one goes off.
    pub(super) fn next(&self) -> Option<Duration> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    /// A group whose alarm has gone off. It may be gone, or have been set anew to an earlier time.
    pub(super) fn pop(&mut self, now: Duration) -> Option<(Duration, Arc<str>)> {
        if self.next()? > now {
            return None;
        }
        self.due.pop().map(|Reverse(due)| due)
    }
}

impl Alarm {
    /// Whether it is this one that has gone off, and not one that was overtaken; it is off then.
    pub(super) fn went_off(&mut self, at: Duration) -> bool {
        let is_ours = self.set == Some(at);
        if is_ours {
            *self = Self::default();
        }
        is_ours
    }
}
