//! All sessions of a broker: a bounded number of them, with a bounded number of partitions in all.
//! When it is full, a session that was not used for a while makes room.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use milena_env::Random;
use milena_protocol::ErrorCode;

use super::Session;
use crate::limits::SESSION_PARTITIONS_MAX;

/// The epoch of the next fetch after one with this epoch.
fn next_epoch(epoch: i32) -> i32 {
    if epoch == i32::MAX { 1 } else { epoch + 1 }
}

/// Why a session cannot be used; the client begins another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionError {
    NotFound,
    WrongEpoch,
    /// It was begun with names and goes on with ids, or the other way round.
    OtherKeys,
}

impl SessionError {
    pub(crate) fn code(self) -> ErrorCode {
        match self {
            Self::NotFound => ErrorCode::FetchSessionIdNotFound,
            Self::WrongEpoch => ErrorCode::InvalidFetchSessionEpoch,
            Self::OtherKeys => ErrorCode::FetchSessionTopicIdError,
        }
    }
}

#[derive(Debug)]
struct Entry {
    session: Arc<Mutex<Session>>,
    uses_ids: bool,
    /// What the next fetch must say.
    epoch: i32,
    last_used: Duration,
    /// As it was when the session was last used.
    partitions: usize,
}

#[derive(Debug)]
struct Entries {
    by_id: BTreeMap<i32, Entry>,
    partitions: usize,
    random: Random,
}

#[derive(Debug)]
pub(crate) struct SessionCache {
    slots: usize,
    /// A session that was used within this time makes room for nobody.
    keep: Duration,
    entries: Mutex<Entries>,
}

impl SessionCache {
    pub(crate) fn new(slots: usize, keep: Duration, random: Random) -> Self {
        let entries = Entries { by_id: BTreeMap::new(), partitions: 0, random };
        Self { slots, keep, entries: entries.into() }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.lock().by_id.len()
    }

    /// Keeps a session; `None` if there is no room for it.
    pub(crate) fn insert(&self, session: Session, uses_ids: bool, now: Duration) -> Option<i32> {
        let mut entries = self.lock();
        let partitions = session.len();
        if partitions == 0 || self.slots == 0 {
            return None;
        }
        if entries.by_id.len() >= self.slots {
            let oldest = entries.by_id.iter().min_by_key(|(_, entry)| entry.last_used)?;
            if now.saturating_sub(oldest.1.last_used) < self.keep {
                return None;
            }
            let id = *oldest.0;
            entries.remove(id);
        }
        if entries.partitions + partitions > SESSION_PARTITIONS_MAX {
            return None;
        }
        let id = loop {
            let id = (entries.random.next_u64() >> 33) as i32;
            if id != 0 && !entries.by_id.contains_key(&id) {
                break id;
            }
        };
        let session = Arc::new(Mutex::new(session));
        let entry = Entry { session, uses_ids, epoch: 1, last_used: now, partitions };
        entries.by_id.insert(id, entry);
        entries.partitions += partitions;
        Some(id)
    }

    /// The session for a fetch in `epoch`; the next one must be in the epoch after it.
    pub(crate) fn take_up(
        &self,
        id: i32,
        epoch: i32,
        uses_ids: bool,
        now: Duration,
    ) -> Result<Arc<Mutex<Session>>, SessionError> {
        let mut entries = self.lock();
        let entry = entries.by_id.get_mut(&id).ok_or(SessionError::NotFound)?;
        if entry.epoch != epoch {
            return Err(SessionError::WrongEpoch);
        }
        if entry.uses_ids != uses_ids {
            return Err(SessionError::OtherKeys);
        }
        entry.epoch = next_epoch(epoch);
        entry.last_used = now;
        Ok(Arc::clone(&entry.session))
    }

    /// A session has so many partitions now. One that has none is over.
    pub(crate) fn resized(&self, id: i32, partitions: usize) {
        let mut entries = self.lock();
        if partitions == 0 {
            return entries.remove(id);
        }
        if let Some(entry) = entries.by_id.get_mut(&id) {
            let before = std::mem::replace(&mut entry.partitions, partitions);
            entries.partitions = entries.partitions + partitions - before;
        }
    }

    pub(crate) fn remove(&self, id: i32) {
        self.lock().remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn remove(&mut self, id: i32) {
        if let Some(entry) = self.by_id.remove(&id) {
            self.partitions -= entry.partitions;
        }
    }
}

#[cfg(test)]
mod test {
    use milena_protocol::Offset;

    use super::{
        super::{Key, Update},
        *,
    };

    fn session(partitions: i32) -> Session {
        let mut session = Session::default();
        let update =
            Update { from: Offset(0), bytes_max: 1, leader_epoch: -1, last_fetched_epoch: -1 };
        for partition in 0..partitions {
            session.set(Key::Name("t".into(), partition), update);
        }
        session
    }

    fn cache(slots: usize) -> SessionCache {
        SessionCache::new(slots, Duration::from_secs(120), Random::from_seed(7))
    }

    #[test]
    fn hostile_29_unknown_session_and_wrong_epoch() {
        let (cache, now) = (cache(2), Duration::ZERO);
        let id = cache.insert(session(1), true, now).unwrap();
        let take_up = |id, epoch, ids| cache.take_up(id, epoch, ids, now).map(drop);
        assert_eq!(take_up(id + 1, 1, true), Err(SessionError::NotFound));
        assert_eq!(take_up(id, 2, true), Err(SessionError::WrongEpoch));
        assert_eq!(take_up(id, 1, false), Err(SessionError::OtherKeys));
        assert_eq!(take_up(id, 1, true), Ok(()));
        assert_eq!(take_up(id, 1, true), Err(SessionError::WrongEpoch), "a repeated fetch");
        assert_eq!(take_up(id, 2, true), Ok(()));
        cache.remove(id);
        assert_eq!(take_up(id, 3, true), Err(SessionError::NotFound));
    }

    #[test]
    fn only_who_was_idle_makes_room() {
        let cache = cache(2);
        let at = Duration::from_secs;
        let first = cache.insert(session(1), true, at(0)).unwrap();
        let second = cache.insert(session(2), true, at(1)).unwrap();
        assert_eq!(cache.insert(session(1), true, at(119)), None);
        cache.take_up(first, 1, true, at(119)).unwrap();
        assert!(cache.insert(session(1), true, at(130)).is_some());
        assert!(cache.take_up(second, 1, true, at(130)).is_err(), "the longest idle one went");
        assert_eq!((cache.len(), cache.lock().partitions), (2, 2));
    }

    #[test]
    fn sessions_hold_a_bounded_number_of_partitions() {
        let (cache, now) = (cache(1000), Duration::ZERO);
        assert_eq!(cache.insert(session(0), true, now), None);
        let id = cache.insert(session(3), true, now).unwrap();
        cache.resized(id, SESSION_PARTITIONS_MAX);
        assert_eq!(cache.insert(session(1), true, now), None);
        cache.resized(id, 0);
        assert_eq!((cache.len(), cache.lock().partitions), (0, 0));
        assert!(cache.insert(session(1), true, now).is_some());
    }
}
