//! One session: which partitions a client reads, from where, and what it was told last. Pure.
//!
//! A partition that has nothing to tell is at rest: it is not looked at again before whoever
//! watches it marks it as changed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use milena_protocol::{Offset, Uuid};
use tokio::sync::Notify;

use crate::{
    limits::SESSION_REST,
    partition::{Registration, Woken},
};

/// A partition as the client names it: by the topic's id, or by its name before version 13.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Id(Uuid, i32),
    Name(Box<str>, i32),
}

/// What a fetch says about one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Update {
    pub(crate) from: Offset,
    pub(crate) bytes_max: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) last_fetched_epoch: i32,
}

/// What the client was told of a partition the last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) high_watermark: Offset,
    pub(crate) start: Offset,
    pub(crate) code: i16,
}

#[derive(Debug)]
pub(crate) struct Cached<Watch> {
    pub(crate) key: Key,
    pub(crate) update: Update,
    /// `None` until it was told anything.
    told: Option<Told>,
    turn: Turn,
    watch: Option<Watch>,
}

/// The order in which partitions are served: who got records goes to the end, so that everyone
/// has a turn when an answer cannot hold them all.
type Turn = u64;

/// The number of a partition within its session.
pub(crate) type Slot = u64;

/// What has changed since it was last asked, as those note who change it.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    slots: Mutex<Vec<Slot>>,
    notify: Notify,
}

impl Changes {
    /// Resolves when something changes, or has changed since this was last awaited.
    pub(crate) async fn any(&self) {
        self.notify.notified().await;
    }

    fn take(&self) -> Vec<Slot> {
        std::mem::take(&mut self.slots.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Woken for Changes {
    fn wake(&self, slot: Slot) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).push(slot);
        self.notify.notify_one();
    }
}

/// What everything that is at rest was looked at by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Circumstances {
    /// The last record of the metadata: topics, leaders, and who may read.
    pub(crate) metadata: i64,
    pub(crate) committed: bool,
}

#[derive(Debug)]
pub(crate) struct Session<Watch = Registration> {
    by_key: BTreeMap<Key, Slot>,
    cached: BTreeMap<Slot, Cached<Watch>>,
    /// Those that are not at rest.
    awake: BTreeMap<Turn, Slot>,
    /// Of slots and turns.
    next: u64,
    pub(crate) changes: Arc<Changes>,
    circumstances: Option<Circumstances>,
    rested_since: Duration,
}

impl<Watch> Default for Session<Watch> {
    fn default() -> Self {
        Self {
            by_key: BTreeMap::new(),
            cached: BTreeMap::new(),
            awake: BTreeMap::new(),
            next: 0,
            changes: Arc::default(),
            circumstances: None,
            rested_since: Duration::ZERO,
        }
    }
}

impl<Watch> Session<Watch> {
    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// All partitions that are to be looked at, in the order in which they are to be served.
    pub(crate) fn in_turn(&self) -> impl Iterator<Item = (Slot, &Cached<Watch>)> {
        self.awake.values().filter_map(|slot| Some((*slot, self.cached.get(slot)?)))
    }

    pub(crate) fn set(&mut self, key: Key, update: Update) -> Slot {
        if let Some(slot) = self.by_key.get(&key).copied() {
            if let Some(cached) = self.cached.get_mut(&slot) {
                cached.update = update;
            }
            self.awaken(slot);
            return slot;
        }
        let (slot, turn) = (self.take_next(), self.take_next());
        self.by_key.insert(key.clone(), slot);
        self.awake.insert(turn, slot);
        self.cached.insert(slot, Cached { key, update, told: None, turn, watch: None });
        slot
    }

    pub(crate) fn forget(&mut self, key: &Key) {
        if let Some(slot) = self.by_key.remove(key)
            && let Some(cached) = self.cached.remove(&slot)
        {
            self.awake.remove(&cached.turn);
        }
    }

    /// What has changed is looked at again; all of it where the circumstances have changed, or
    /// now and then, since not everything that is told is watched.
    pub(crate) fn awaken_changed(&mut self, now: Duration, circumstances: Circumstances) {
        let changed = self.changes.take();
        let is_long_ago = now.saturating_sub(self.rested_since) >= SESSION_REST;
        if is_long_ago || self.circumstances.replace(circumstances) != Some(circumstances) {
            self.rested_since = now;
            for (slot, cached) in &mut self.cached {
                cached.watch = None;
                self.awake.insert(cached.turn, *slot);
            }
        }
        changed.into_iter().for_each(|slot| self.awaken(slot));
    }

    fn awaken(&mut self, slot: Slot) {
        if let Some(cached) = self.cached.get_mut(&slot) {
            cached.watch = None;
            self.awake.insert(cached.turn, slot);
        }
    }

    /// From here on a partition is marked when it changes.
    pub(crate) fn watch(&mut self, slot: Slot, watch: impl FnOnce() -> Watch) {
        if let Some(cached) = self.cached.get_mut(&slot) {
            cached.watch.get_or_insert_with(watch);
        }
    }

    /// There is nothing to read of a partition that is watched. Unless there is something else to
    /// tell, it is at rest.
    pub(crate) fn rest(&mut self, slot: Slot, told: Told) {
        let rests = |cached: &&Cached<_>| cached.watch.is_some() && cached.told == Some(told);
        if let Some(cached) = self.cached.get(&slot).filter(rests) {
            self.awake.remove(&cached.turn);
        }
    }

    /// Takes note of what a partition is about to be told. Says whether the client has to hear of
    /// it: it has if there are records, or if anything is not as it was.
    pub(crate) fn tell(&mut self, slot: Slot, told: Told, has_records: bool) -> bool {
        let last = self.next;
        let Some(cached) = self.cached.get_mut(&slot) else { return false };
        // An error is repeated until it is gone.
        let is_news = has_records || told.code != 0 || cached.told != Some(told);
        cached.told = Some(told);
        if has_records {
            self.awake.remove(&cached.turn);
            cached.turn = last;
            self.awake.insert(last, slot);
            self.next += 1;
        }
        is_news
    }

    fn take_next(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }
}

#[cfg(test)]
mod test {
    use super::*;

    const NOW: Circumstances = Circumstances { metadata: 7, committed: false };

    fn key(partition: i32) -> Key {
        Key::Name("t".into(), partition)
    }

    fn update(from: i64) -> Update {
        Update { from: Offset(from), bytes_max: 100, leader_epoch: -1, last_fetched_epoch: -1 }
    }

    fn told(high_watermark: i64) -> Told {
        Told { high_watermark: Offset(high_watermark), start: Offset(0), code: 0 }
    }

    /// Of so many partitions, with their slots.
    fn session(partitions: i32) -> (Session<()>, Vec<Slot>) {
        let mut session = Session::default();
        for partition in 0..partitions {
            session.set(key(partition), update(0));
        }
        session.awaken_changed(Duration::ZERO, NOW);
        let slots = session.in_turn().map(|(slot, _)| slot).collect();
        (session, slots)
    }

    /// There is nothing to read, and the high watermark is this.
    fn rest(session: &mut Session<()>, slot: Slot, high_watermark: i64) {
        session.watch(slot, || ());
        session.rest(slot, told(high_watermark));
    }

    fn order(session: &Session<()>) -> Vec<Key> {
        session.in_turn().map(|(_, cached)| cached.key.clone()).collect()
    }

    #[test]
    fn only_news_are_told() {
        let (mut session, slots) = session(1);
        let slot = slots[0];
        assert!(session.tell(slot, told(5), false), "it was never told anything");
        assert!(!session.tell(slot, told(5), false));
        assert!(session.tell(slot, told(6), false), "the high watermark moved");
        assert!(session.tell(slot, told(6), true), "there are records");
        let error = Told { code: 3, ..told(6) };
        assert!(session.tell(slot, error, false) && session.tell(slot, error, false));
        assert!(session.tell(slot, told(6), false), "the error is gone");
        assert!(!session.tell(slot + 9, told(6), false), "nobody asked for it");
    }

    #[test]
    fn who_got_records_waits_for_the_others() {
        let (mut session, slots) = session(3);
        session.tell(slots[0], told(5), true);
        session.tell(slots[1], told(5), false);
        assert_eq!(order(&session), [key(1), key(2), key(0)]);
        session.set(key(1), update(7));
        assert_eq!(order(&session), [key(1), key(2), key(0)], "an update keeps its turn");
        session.forget(&key(1));
        session.set(key(1), update(8));
        assert_eq!(order(&session), [key(2), key(0), key(1)]);
        assert_eq!((session.len(), session.cached.len()), (3, 3));
    }

    #[test]
    fn what_is_at_rest_is_looked_at_when_it_has_changed() {
        let (mut session, slots) = session(3);
        slots.iter().for_each(|slot| rest(&mut session, *slot, 0));
        assert_eq!(order(&session).len(), 3, "nobody was told of them yet");
        for slot in &slots {
            session.tell(*slot, told(0), false);
            rest(&mut session, *slot, 0);
        }
        assert_eq!(order(&session), []);
        session.changes.wake(slots[1]);
        session.awaken_changed(Duration::ZERO, NOW);
        assert_eq!(order(&session), [key(1)]);
        rest(&mut session, slots[1], 1);
        assert_eq!(order(&session), [key(1)], "there is news to tell");
        session.set(key(0), update(1));
        assert_eq!(order(&session), [key(0), key(1)], "the client has moved on");
        session.forget(&key(1));
        session.changes.wake(slots[1]);
        session.awaken_changed(Duration::ZERO, NOW);
        assert_eq!(order(&session), [key(0)]);
    }

    #[test]
    fn everything_is_looked_at_when_circumstances_change_and_now_and_then() {
        let (mut session, slots) = session(2);
        let rest_all = |session: &mut Session<()>| {
            session.awaken_changed(Duration::ZERO, NOW);
            for slot in &slots {
                session.tell(*slot, told(0), false);
                rest(session, *slot, 0);
            }
            assert_eq!(order(session), []);
        };
        rest_all(&mut session);
        for other in
            [Circumstances { metadata: 8, ..NOW }, Circumstances { committed: true, ..NOW }]
        {
            session.awaken_changed(Duration::ZERO, other);
            assert_eq!(order(&session).len(), 2);
            rest_all(&mut session);
        }
        session.awaken_changed(SESSION_REST - Duration::from_millis(1), NOW);
        assert_eq!(order(&session), []);
        session.awaken_changed(SESSION_REST, NOW);
        assert_eq!(order(&session).len(), 2);
    }
}
