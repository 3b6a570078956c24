//! Chance as a value: the same seed draws the same numbers, on every machine and in every version.
//!
//! The generator is xoshiro256++ (Blackman and Vigna). It is not for secrets.

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};

/// A generator of random numbers.
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// The generator whose whole future follows from `seed`.
    pub fn from_seed(seed: u64) -> Self {
        let mut seed = seed;
        Self { state: std::array::from_fn(|_| split_mix(&mut seed)) }
    }

    /// A generator that nobody can repeat.
    pub fn from_os() -> io::Result<Self> {
        let mut bytes = [0; 32];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            filled += rustix::io::retry_on_intr(|| getrandom(&mut *rest, GetRandomFlags::empty()))?;
        }
        let (words, _) = bytes.as_chunks::<8>();
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        Ok(Self { state: std::array::from_fn(|_| words.next().unwrap_or(1)) })
    }

    /// Any 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let drawn = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        drawn
    }

    /// A number below `bound`, each as likely as the other to within 2^-64; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// True `numerator` times out of `denominator`.
    pub fn chance(&mut self, numerator: u64, denominator: u64) -> bool {
        self.below(denominator) < numerator
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            for (to, from) in chunk.iter_mut().zip(self.next_u64().to_le_bytes()) {
                *to = from;
            }
        }
    }

    /// The bytes of a version 4 UUID as Kafka draws them: its 22 characters of URL-safe base64
    /// never begin with a dash, so that no tool takes an id for an option.
    pub fn uuid(&mut self) -> [u8; 16] {
        const DASH: u8 = 62;
        loop {
            let drawn = u128::from(self.next_u64()) << 64 | u128::from(self.next_u64());
            let version_and_variant = (0xf000 << 64) | (0b11 << 62);
            let uuid = (drawn & !version_and_variant) | (0x4000 << 64) | (0b10 << 62);
            let bytes = u128::to_be_bytes(uuid);
            if bytes.first().is_some_and(|first| first >> 2 != DASH) {
                return bytes;
            }
        }
    }
}

/// The usual way to spread one word over a larger state (Steele, Lea and Flood).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_numbers_for_ever() {
        // The reference implementation in C, its state filled by splitmix64 from 42.
        let mut random = Random::from_seed(42);
        let drawn: Vec<u64> = (0..3).map(|_| random.next_u64()).collect();
        assert_eq!(
            drawn,
            [15_021_278_609_987_233_951, 5_881_210_131_331_364_753, 18_149_643_915_985_481_100]
        );
    }

    #[test]
    fn the_machine_never_repeats_itself() {
        let mut one = Random::from_os().unwrap();
        let mut other = Random::from_os().unwrap();
        assert_ne!(one.next_u64(), other.next_u64());
    }

    #[test]
    fn what_is_below_a_bound_reaches_every_number_and_no_other() {
        let mut random = Random::from_seed(7);
        let mut seen = [0; 5];
        for _ in 0..1_000 {
            seen[random.below(5) as usize] += 1;
        }
        assert!(seen.iter().all(|times| (150..250).contains(times)), "{seen:?}");
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn a_uuid_is_of_version_4_and_begins_without_a_dash() {
        let mut random = Random::from_seed(1);
        for _ in 0..10_000 {
            let uuid = random.uuid();
            assert_eq!((uuid[6] >> 4, uuid[8] >> 6), (4, 0b10));
            assert_ne!(uuid[0] >> 2, 62);
        }
    }

    #[test]
    fn fills_to_the_last_byte() {
        let mut bytes = [0; 13];
        Random::from_seed(3).fill(&mut bytes);
        assert!(bytes[8..].iter().any(|byte| *byte != 0));
    }
}
