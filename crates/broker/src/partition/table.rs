//! Which partitions this broker serves, by the topic's name or id.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use milena_env::HashMap;
use milena_protocol::Uuid;
use milena_storage::{Listener, Relocation, StorageError};

use super::Partition;

/// The partitions of one topic that are here. A topic that changes gets another one.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    pub(crate) name: Box<str>,
    pub(crate) id: Uuid,
    partitions: Vec<Option<Arc<Partition>>>,
    /// They are this broker's, and their logs could not be opened.
    away: BTreeSet<i32>,
}

/// Why nothing of a partition is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// It is not this broker's.
    Unknown,
    /// It lies where it could not be opened.
    Away,
}

impl Topic {
    pub(crate) fn new(name: &str, id: Uuid) -> Self {
        Self { name: name.into(), id, partitions: Vec::new(), away: BTreeSet::new() }
    }

    pub(crate) fn partition(&self, index: i32) -> Option<&Arc<Partition>> {
        self.partitions.get(usize::try_from(index).ok()?)?.as_ref()
    }

    pub(crate) fn find(topic: Option<&Self>, index: i32) -> Result<&Arc<Partition>, Absent> {
        let topic = topic.ok_or(Absent::Unknown)?;
        let absent = if topic.away.contains(&index) { Absent::Away } else { Absent::Unknown };
        topic.partition(index).ok_or(absent)
    }

    /// Its log could not be opened.
    pub(crate) fn miss(&mut self, index: i32) {
        self.away.insert(index);
    }

    pub(crate) fn partitions(&self) -> impl Iterator<Item = &Arc<Partition>> {
        self.partitions.iter().flatten()
    }

    pub(crate) fn set(&mut self, index: i32, partition: Option<Arc<Partition>>) {
        let Ok(index) = usize::try_from(index) else { return };
        if self.partitions.len() <= index {
            self.partitions.resize(index + 1, None);
        }
        if let Some(slot) = self.partitions.get_mut(index) {
            *slot = partition;
        }
    }
}

#[derive(Debug, Default)]
struct Maps {
    by_name: HashMap<Box<str>, Arc<Topic>>,
    by_id: HashMap<Uuid, Arc<Topic>>,
}

/// All topics with partitions here.
#[derive(Debug, Default)]
pub(crate) struct Partitions {
    maps: RwLock<Maps>,
    changing: Mutex<()>,
    changes: AtomicU64,
}

impl Partitions {
    pub(crate) fn by_name(&self, name: &str) -> Option<Arc<Topic>> {
        self.read().by_name.get(name).cloned()
    }

    pub(crate) fn by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        self.read().by_id.get(&id).cloned()
    }

    /// All topics, in the order of their names.
    pub(crate) fn all(&self) -> Vec<Arc<Topic>> {
        let mut topics: Vec<_> = self.read().by_name.values().cloned().collect();
        topics.sort_by(|one, two| one.name.cmp(&two.name));
        topics
    }

    /// Held by whoever takes a topic, changes it and puts it back.
    pub(crate) fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finishes a partition's move to another log directory. The partition that stands on it takes
    /// the place of the old one, whose clients look again; `None` where that is gone.
    pub(crate) fn replace(
        &self,
        relocation: &Relocation,
    ) -> Result<Option<Arc<Partition>>, StorageError> {
        let _alone = self.change();
        let (index, topic_id) = (relocation.log().name().partition, relocation.log().topic_id());
        let Some(topic) = self.by_id(topic_id) else { return Ok(None) };
        let old = topic.partition(index).filter(|it| Arc::ptr_eq(&it.log, relocation.log()));
        let Some(old) = old else { return Ok(None) };
        let moved = old.on(relocation.finish()?);
        let mut changed = Topic::clone(&topic);
        changed.set(index, Some(Arc::clone(&moved)));
        self.insert(changed);
        relocation.leave();
        old.disturbed();
        Ok(Some(moved))
    }

    /// How often a topic has come or changed.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    pub(crate) fn insert(&self, topic: Topic) {
        let topic = Arc::new(topic);
        let mut maps = self.maps.write().unwrap_or_else(PoisonError::into_inner);
        self.changes.fetch_add(1, Ordering::SeqCst);
        if let Some(old) = maps.by_name.insert(topic.name.clone(), Arc::clone(&topic)) {
            maps.by_id.remove(&old.id);
        }
        maps.by_id.insert(topic.id, topic);
    }

    pub(crate) fn remove(&self, id: Uuid) -> Option<Arc<Topic>> {
        let mut maps = self.maps.write().unwrap_or_else(PoisonError::into_inner);
        let topic = maps.by_id.remove(&id)?;
        // The name may be another topic's by now.
        if maps.by_name.get(&topic.name).is_some_and(|named| named.id == id) {
            maps.by_name.remove(&topic.name);
        }
        Some(topic)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Maps> {
        self.maps.read().unwrap_or_else(PoisonError::into_inner)
    }
}
