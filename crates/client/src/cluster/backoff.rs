//! How long to wait before the next attempt: doubled each time up to a limit, a little more or less
//! by chance, so that clients that failed together do not come back together.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use milena_env::Random;

/// Kafka's own spread.
const JITTER_PERCENT: u64 = 20;

#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    random: Arc<Mutex<Random>>,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration, seed: u64) -> Self {
        let random = Arc::new(Mutex::new(Random::from_seed(seed)));
        Self { first, longest: longest.max(first), random }
    }

    /// How long to wait after so many failures before this one.
    pub(crate) fn pause(&self, failures: u32) -> Duration {
        let doubled = self.first.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX));
        let pause = doubled.min(self.longest);
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let percent = 100 - JITTER_PERCENT + random.next_u64() % (2 * JITTER_PERCENT + 1);
        pause.saturating_mul(percent as u32) / 100
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_its_limit_within_a_fifth() {
        let ms = Duration::from_millis;
        let backoff = Backoff::new(ms(100), ms(1000), 3);
        for (failures, middle) in [(0, 100), (1, 200), (3, 800), (4, 1000), (31, 1000), (99, 1000)]
        {
            let pause = backoff.pause(failures);
            assert!(pause >= ms(middle) * 8 / 10 && pause <= ms(middle) * 12 / 10, "{pause:?}");
        }
    }
}
