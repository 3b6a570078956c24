//! Which topics somebody is interested in. Pure.

use std::{collections::BTreeMap, time::Duration};

#[derive(Debug, Default)]
pub(super) struct Wanted {
    topics: BTreeMap<Box<str>, Duration>,
    all: bool,
    may_create: bool,
}

impl Wanted {
    /// Notes when topics were last of interest; true if one of them is new.
    pub(super) fn want<'t>(
        &mut self,
        topics: impl IntoIterator<Item = &'t str>,
        may_create: bool,
        now: Duration,
    ) -> bool {
        self.may_create |= may_create;
        let mut is_new = false;
        for topic in topics {
            match self.topics.get_mut(topic) {
                Some(last) => *last = now,
                None => {
                    self.topics.insert(topic.into(), now);
                    is_new = true;
                }
            }
        }
        is_new
    }

    /// True if more is wanted than before.
    pub(super) fn want_all(&mut self, all: bool) -> bool {
        let is_new = all && !self.all;
        self.all = all;
        is_new
    }

    /// Forgets what nobody has asked for since then.
    pub(super) fn forget_before(&mut self, then: Duration) {
        self.topics.retain(|_, last| *last >= then);
    }

    pub(super) const fn all(&self) -> bool {
        self.all
    }

    pub(super) const fn may_create(&self) -> bool {
        self.may_create
    }

    pub(super) fn names(&self) -> Vec<Box<str>> {
        self.topics.keys().cloned().collect()
    }

    pub(super) fn contains(&self, topic: &str) -> bool {
        self.all || self.topics.contains_key(topic)
    }
}
