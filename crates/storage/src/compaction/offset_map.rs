//! Of each key in the dirty part of a log, the last offset: in bounded memory, without the keys.
//!
//! Keys stand in it as 128 bits of SipHash-2-4 under a secret key. Two keys with the same hash
//! would cost one of them its value, so the hash must be good against accident (with a billion
//! keys the odds are 1 in 10^21) and against a producer who looks for collisions, which the secret
//! denies him; Kafka's MD5 does not.

use std::hash::Hasher as _;

use milena_protocol::Offset;
use siphasher::sip128::{Hasher128 as _, SipHasher24};

/// How full the table may get: beyond, probing takes long.
const LOAD_FACTOR: f64 = 0.9;
/// Bytes of one slot, of which `log.cleaner.dedupe.buffer.size` says how many there may be.
const SLOT_BYTES: usize = size_of::<Slot>();
/// Fewer are not worth the trouble.
const SLOTS_MIN: usize = 16;

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    hash: (u64, u64),
    /// One more than the key's last offset, so that a slot of zeros is empty.
    next_offset: i64,
}

#[derive(Debug)]
pub(super) struct OffsetMap {
    hasher: SipHasher24,
    slots: Vec<Slot>,
    len: usize,
    len_max: usize,
    /// All records up to here are in it.
    latest: Offset,
}

impl OffsetMap {
    /// A map for at most so many keys, and in at most so many bytes.
    pub(super) fn new(secret: &[u8; 16], keys_max: u64, bytes_max: usize) -> Self {
        let wanted = (keys_max as f64 / LOAD_FACTOR) as usize + 1;
        let slots = wanted.min(bytes_max / SLOT_BYTES).max(SLOTS_MIN);
        Self {
            hasher: SipHasher24::new_with_key(secret),
            slots: vec![Slot::default(); slots],
            len: 0,
            len_max: (slots as f64 * LOAD_FACTOR) as usize,
            latest: Offset(-1),
        }
    }

    pub(super) const fn latest(&self) -> Offset {
        self.latest
    }

    /// Notes that every record up to `offset` is in it.
    pub(super) fn raise_latest(&mut self, offset: Offset) {
        self.latest = self.latest.max(offset);
    }

    /// Notes a key's offset, which is greater than all before; `false` where it has no room.
    pub(super) fn put(&mut self, key: &[u8], offset: Offset) -> bool {
        let hash = self.hash(key);
        let at = self.find(hash);
        let is_full = self.len >= self.len_max;
        let Some(slot) = self.slots.get_mut(at) else {
            return false;
        };
        if slot.next_offset == 0 {
            if is_full {
                return false;
            }
            self.len += 1;
        }
        *slot = Slot { hash, next_offset: offset.next().0 };
        true
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<Offset> {
        let slot = self.slots.get(self.find(self.hash(key)))?;
        (slot.next_offset > 0).then(|| Offset(slot.next_offset - 1))
    }

    fn hash(&self, key: &[u8]) -> (u64, u64) {
        let mut hasher = self.hasher;
        hasher.write(key);
        let hash = hasher.finish128();
        (hash.h1, hash.h2)
    }

    /// The slot that has this hash, or the empty one where it belongs: there always is one.
    fn find(&self, hash: (u64, u64)) -> usize {
        let count = self.slots.len();
        let mut at = (hash.0 % count as u64) as usize;
        while let Some(slot) = self.slots.get(at)
            && slot.next_offset != 0
            && slot.hash != hash
        {
            at = if at + 1 == count { 0 } else { at + 1 };
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn takes_no_more_keys_than_it_has_room_for_but_goes_on_with_those_it_knows() {
        let mut map = OffsetMap::new(&[1; 16], 1 << 40, 100 * SLOT_BYTES);
        let taken = (0..200_i64).take_while(|i| map.put(&i.to_be_bytes(), Offset(*i))).count();
        assert_eq!(taken, 90);
        assert!(map.put(&7_i64.to_be_bytes(), Offset(500)));
        assert!(!map.put(b"new", Offset(501)));
        assert_eq!(map.get(&7_i64.to_be_bytes()), Some(Offset(500)));
        assert_eq!(map.get(b"new"), None);
    }

    #[test]
    fn is_no_larger_than_the_log_needs() {
        assert!(OffsetMap::new(&[1; 16], 90, 128 << 20).slots.len() <= 101);
        let all = OffsetMap::new(&[1; 16], 1000, 128 << 20);
        assert!(all.len_max >= 1000, "room for every record");
    }

    proptest! {
        #[test]
        fn remembers_like_a_map(keys in prop::collection::vec(0..60_u8, 0..300)) {
            let mut map = OffsetMap::new(&[3; 16], keys.len() as u64, 1 << 20);
            let mut model = BTreeMap::new();
            for (offset, key) in keys.iter().enumerate() {
                prop_assert!(map.put(&[*key], Offset(offset as i64)));
                model.insert(*key, Offset(offset as i64));
            }
            for key in 0..60 {
                prop_assert_eq!(map.get(&[key]), model.get(&key).copied());
            }
        }
    }
}
