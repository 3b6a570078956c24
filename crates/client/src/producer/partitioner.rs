//! Which partition a record goes to. Pure.

use std::fmt::Debug;

use milena_env::Random;

use crate::cluster::Topic;

/// Chooses partitions for records that name none.
///
/// ```
/// use milena_client::{
///     Topic,
///     producer::{Partitioner, partition_of},
/// };
///
/// /// Urgent records have the first partition for themselves.
/// #[derive(Debug)]
/// struct Urgent;
///
/// impl Partitioner for Urgent {
///     fn partition(&self, topic: &Topic, key: Option<&[u8]>, _: Option<&[u8]>) -> i32 {
///         match key {
///             Some(b"urgent") => 0,
///             key => 1 + partition_of(key.unwrap_or_default(), topic.partitions.len() - 1),
///         }
///     }
/// }
/// ```
pub trait Partitioner: Debug + Send + Sync + 'static {
    /// The number of a partition of `topic`, by key and value as they were serialized.
    fn partition(&self, topic: &Topic, key: Option<&[u8]>, value: Option<&[u8]>) -> i32;
}

/// One partition after the other, whatever the key.
#[derive(Debug, Default)]
pub struct RoundRobin {
    next: std::sync::atomic::AtomicU32,
}

impl Partitioner for RoundRobin {
    fn partition(&self, topic: &Topic, _: Option<&[u8]>, _: Option<&[u8]>) -> i32 {
        let next = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let count = u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX).max(1);
        (next % count) as i32
    }
}

/// The partition of a key, the same that Kafka's own clients choose.
#[must_use]
pub fn partition_of(key: &[u8], partitions: usize) -> i32 {
    let positive = murmur2(key) & 0x7fff_ffff;
    let count = u32::try_from(partitions).unwrap_or(u32::MAX).max(1);
    (positive % count) as i32
}

/// Austin Appleby's MurmurHash2 of 32 bits, with the seed that Kafka chose.
pub(super) fn murmur2(bytes: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const MULTIPLIER: u32 = 0x5bd1_e995;
    let mix = |word: u32| {
        let word = word.wrapping_mul(MULTIPLIER);
        (word ^ (word >> 24)).wrapping_mul(MULTIPLIER)
    };
    let (words, rest) = bytes.as_chunks::<4>();
    let start = SEED ^ bytes.len() as u32;
    let mut hash = words
        .iter()
        .fold(start, |hash, word| hash.wrapping_mul(MULTIPLIER) ^ mix(u32::from_le_bytes(*word)));
    if !rest.is_empty() {
        let word = rest.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        hash = (hash ^ word).wrapping_mul(MULTIPLIER);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}

/// Records without keys stay with one partition until it has got a batch's worth of bytes: batches
/// are full, and over time all partitions get the same (KIP-794).
#[derive(Debug, Default)]
pub(super) struct Sticky {
    partition: Option<usize>,
    bytes: usize,
}

impl Sticky {
    /// The partition for a record of so many bytes. If it is another one than before, that one
    /// will get no more for now.
    ///
    /// `queued` gives what waits for a partition, or nothing if it has no leader: of two drawn by
    /// chance the one with less is taken, so that slow brokers get fewer records.
    pub(super) fn choose(
        &mut self,
        bytes: usize,
        batch_size: usize,
        partitions: usize,
        random: &mut Random,
        queued: impl Fn(usize) -> Option<usize>,
    ) -> (usize, Option<usize>) {
        let before = self.partition.filter(|partition| *partition < partitions);
        if let Some(partition) = before
            && self.bytes + bytes <= batch_size
        {
            self.bytes += bytes;
            return (partition, None);
        }
        let mut draw = || random.below(partitions as u64) as usize;
        let (one, other) = (draw(), draw());
        let chosen = match (queued(one), queued(other)) {
            (Some(least), Some(more)) if more < least => other,
            (None, Some(_)) => other,
            (None, None) => (0..partitions).find(|it| queued(*it).is_some()).unwrap_or(one),
            _ => one,
        };
        (self.partition, self.bytes) = (Some(chosen), bytes);
        (chosen, before.filter(|before| *before != chosen))
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn keys_hash_as_kafka_says() {
        // From Kafka's own documentation of the hash: these are in its tests, too.
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    /// `tests/fixtures/partitions.jsonl.zst` was written by `tests/oracle/run.sh`.
    #[test]
    fn keys_have_the_partitions_that_kafkas_producer_chooses() {
        const FIXTURE: &[u8] = include_bytes!("../../tests/fixtures/partitions.jsonl.zst");
        let text = String::from_utf8(zstd::decode_all(FIXTURE).unwrap()).unwrap();
        for line in text.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let hex = line["key"].as_str().unwrap().as_bytes();
            let digit = |digit: u8| (digit as char).to_digit(16).unwrap() as u8;
            let (pairs, _) = hex.as_chunks::<2>();
            let key: Vec<u8> = pairs.iter().map(|[a, b]| digit(*a) << 4 | digit(*b)).collect();
            let partitions = line["partitions"].as_u64().unwrap() as usize;
            let chosen = i64::from(partition_of(&key, partitions));
            assert_eq!(Some(chosen), line["partition"].as_i64(), "{line}");
        }
        assert!(text.lines().count() >= 500);
    }

    #[test]
    fn without_keys_all_partitions_get_the_same_in_full_batches() {
        let (mut sticky, mut random) = (Sticky::default(), Random::from_seed(5));
        let mut got = [0; 4];
        let mut left = Vec::new();
        for _ in 0..40_000 {
            let (partition, before) = sticky.choose(100, 1_000, 4, &mut random, |_| Some(0));
            got[partition] += 1;
            left.extend(before);
        }
        assert!(got.iter().all(|records| (9_000..11_000).contains(records)), "{got:?}");
        assert!(left.len() > 2_000, "ten records to a batch, a quarter of them goes on");
    }

    #[test]
    fn a_slow_partition_gets_less_and_one_without_leader_nothing() {
        let (mut sticky, mut random) = (Sticky::default(), Random::from_seed(6));
        let mut got = [0; 4];
        for _ in 0..4_000 {
            let queued = |partition| (partition != 3).then_some(usize::from(partition == 2) * 9);
            got[sticky.choose(1_000, 1_000, 4, &mut random, queued).0] += 1;
        }
        assert!(got[2] * 3 < got[0] * 2 && got[2] * 3 < got[1] * 2, "{got:?}");
        assert_eq!(got[3], 0);
        let (partition, _) = sticky.choose(1, 1_000, 1, &mut random, |_| None);
        assert_eq!(partition, 0, "nobody leads: it waits somewhere");
    }
}
