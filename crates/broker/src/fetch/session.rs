//! One session: which partitions a client reads, from where, and what it was told last. Pure.

use std::collections::BTreeMap;

use milena_protocol::{Offset, Uuid};

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

#[derive(Clone, Debug)]
pub(crate) struct Cached {
    pub(crate) key: Key,
    pub(crate) update: Update,
    /// `None` until it was told anything.
    told: Option<Told>,
}

/// The order in which partitions are served: who got records goes to the end, so that everyone
/// has a turn when an answer cannot hold them all.
type Turn = u64;

#[derive(Debug, Default)]
pub(crate) struct Session {
    by_key: BTreeMap<Key, Turn>,
    by_turn: BTreeMap<Turn, Cached>,
    next_turn: Turn,
}

impl Session {
    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// All partitions, in the order in which they are to be served.
    pub(crate) fn in_turn(&self) -> impl Iterator<Item = &Cached> {
        self.by_turn.values()
    }

    pub(crate) fn set(&mut self, key: Key, update: Update) {
        if let Some(turn) = self.by_key.get(&key) {
            if let Some(cached) = self.by_turn.get_mut(turn) {
                cached.update = update;
            }
            return;
        }
        let turn = self.take_turn();
        self.by_key.insert(key.clone(), turn);
        self.by_turn.insert(turn, Cached { key, update, told: None });
    }

    pub(crate) fn forget(&mut self, key: &Key) {
        if let Some(turn) = self.by_key.remove(key) {
            self.by_turn.remove(&turn);
        }
    }

    /// Takes note of what a partition is about to be told. Says whether the client has to hear of
    /// it: it has if there are records, or if anything is not as it was.
    pub(crate) fn tell(&mut self, key: &Key, told: Told, has_records: bool) -> bool {
        let Some(turn) = self.by_key.get_mut(key) else { return false };
        let Some(mut cached) = self.by_turn.remove(turn) else { return false };
        // An error is repeated until it is gone.
        let is_news = has_records || told.code != 0 || cached.told != Some(told);
        cached.told = Some(told);
        if has_records {
            *turn = self.next_turn;
            self.next_turn += 1;
        }
        self.by_turn.insert(*turn, cached);
        is_news
    }

    fn take_turn(&mut self) -> Turn {
        self.next_turn += 1;
        self.next_turn - 1
    }
}

#[cfg(test)]
mod test {
    use super::*;

    fn key(partition: i32) -> Key {
        Key::Name("t".into(), partition)
    }

    fn update(from: i64) -> Update {
        Update { from: Offset(from), bytes_max: 100, leader_epoch: -1, last_fetched_epoch: -1 }
    }

    fn told(high_watermark: i64) -> Told {
        Told { high_watermark: Offset(high_watermark), start: Offset(0), code: 0 }
    }

    fn order(session: &Session) -> Vec<Key> {
        session.in_turn().map(|cached| cached.key.clone()).collect()
    }

    #[test]
    fn only_news_are_told() {
        let mut session = Session::default();
        session.set(key(0), update(0));
        assert!(session.tell(&key(0), told(5), false), "it was never told anything");
        assert!(!session.tell(&key(0), told(5), false));
        assert!(session.tell(&key(0), told(6), false), "the high watermark moved");
        assert!(session.tell(&key(0), told(6), true), "there are records");
        let error = Told { code: 3, ..told(6) };
        assert!(session.tell(&key(0), error, false) && session.tell(&key(0), error, false));
        assert!(session.tell(&key(0), told(6), false), "the error is gone");
        assert!(!session.tell(&key(9), told(6), false), "nobody asked for it");
    }

    #[test]
    fn who_got_records_waits_for_the_others() {
        let mut session = Session::default();
        (0..3).for_each(|partition| session.set(key(partition), update(0)));
        session.tell(&key(0), told(5), true);
        session.tell(&key(1), told(5), false);
        assert_eq!(order(&session), [key(1), key(2), key(0)]);
        session.set(key(1), update(7));
        assert_eq!(order(&session), [key(1), key(2), key(0)], "an update keeps its turn");
        session.forget(&key(1));
        session.set(key(1), update(8));
        assert_eq!(order(&session), [key(2), key(0), key(1)]);
        assert_eq!((session.len(), session.by_turn.len()), (3, 3));
    }
}
