//! A hash map that is cheap to share and cheap to change: a change copies one shard of it, and
//! whoever holds the map from before keeps it as it was.

use std::{
    borrow::Borrow,
    hash::{BuildHasher, Hash},
    sync::Arc,
};

use milena_env::HashMap;

/// With 100,000 entries a change copies some 200 of them, and the list of shards.
const SHARDS: usize = 512;

/// Its order depends on its history: whoever shows entries sorts them.
#[derive(Clone, Debug)]
pub(super) struct ShardMap<K, V> {
    shards: Arc<Vec<Arc<HashMap<K, V>>>>,
    len: usize,
}

impl<K, V> Default for ShardMap<K, V> {
    fn default() -> Self {
        let empty = Arc::default();
        Self { shards: Arc::new(vec![empty; SHARDS]), len: 0 }
    }
}

impl<K: Hash + Eq + Clone, V: Clone> ShardMap<K, V> {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.shards.get(shard_of(key))?.get(key)
    }

    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let old = self.shard(shard_of(&key))?.insert(key, value);
        self.len += usize::from(old.is_none());
        old
    }

    pub(super) fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.get(key)?;
        let old = self.shard(shard_of(key))?.remove(key);
        self.len -= usize::from(old.is_some());
        old
    }

    pub(super) fn get_mut<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.get(key)?;
        self.shard(shard_of(key))?.get_mut(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.shards.iter().flat_map(|shard| shard.iter())
    }

    fn shard(&mut self, at: usize) -> Option<&mut HashMap<K, V>> {
        Arc::make_mut(&mut self.shards).get_mut(at).map(Arc::make_mut)
    }
}

impl<K: Hash + Eq + Clone, V: Clone + PartialEq> PartialEq for ShardMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().all(|(key, value)| other.get(key) == Some(value))
    }
}

fn shard_of<Q: Hash + ?Sized>(key: &Q) -> usize {
    let hash = HashMap::<(), ()>::default().hasher().hash_one(key);
    // The maps inside take the low and the highest bits of the same hash.
    (hash >> 32) as usize % SHARDS
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_copy_stays_as_it_was() {
        let mut map = ShardMap::default();
        for key in 0..10_000 {
            map.insert(key, key * 2);
        }
        let before = map.clone();
        assert_eq!(map.remove(&77), Some(154));
        assert_eq!(map.insert(78, 0), Some(156));
        *map.get_mut(&79).unwrap() += 1;
        assert_eq!((map.len(), before.len()), (9_999, 10_000));
        assert_eq!(
            (before.get(&77), before.get(&78), before.get(&79)),
            (Some(&154), Some(&156), Some(&158))
        );
        assert_eq!((map.get(&77), map.get(&78), map.get(&79)), (None, Some(&0), Some(&159)));
        assert_ne!(map, before);
        assert_eq!(before.iter().count(), 10_000);
    }
}
