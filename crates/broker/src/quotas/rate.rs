//! How much of something is used a second, over a window of samples. Pure: told the time, it says
//! how long whoever used too much has to wait.

use std::{collections::VecDeque, time::Duration};

/// Kafka's `quota.window.num` and `quota.window.size.seconds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) samples: u32,
    pub(crate) sample: Duration,
}

impl Window {
    fn length(self) -> Duration {
        self.sample * self.samples
    }
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    start: Duration,
    amount: f64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Rate {
    /// The oldest first.
    samples: VecDeque<Sample>,
}

impl Rate {
    pub(super) fn record(&mut self, window: Window, now: Duration, amount: f64) {
        self.forget(window, now);
        match self.samples.back_mut() {
            Some(last) if now < last.start + window.sample => last.amount += amount,
            _ => self.samples.push_back(Sample { start: now, amount }),
        }
    }

    /// Takes back what was recorded at the same moment.
    pub(super) fn take_back(&mut self, amount: f64) {
        if let Some(last) = self.samples.back_mut() {
            last.amount -= amount;
        }
    }

    /// How long it takes until the use, evenly spread, is within `bound` a second.
    pub(super) fn excess(&mut self, window: Window, now: Duration, bound: f64) -> Duration {
        self.forget(window, now);
        let span = self.span(window, now).as_secs_f64();
        let used: f64 = self.samples.iter().map(|sample| sample.amount).sum();
        if used <= bound * span {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(used / bound - span).unwrap_or(Duration::MAX)
    }

    /// Nothing was used within the window.
    pub(super) fn is_idle(&mut self, window: Window, now: Duration) -> bool {
        self.forget(window, now);
        self.samples.iter().all(|sample| sample.amount <= 0.0)
    }

    fn forget(&mut self, window: Window, now: Duration) {
        let is_old = |sample: &Sample| now.saturating_sub(sample.start) >= window.length();
        while self.samples.front().is_some_and(is_old) {
            self.samples.pop_front();
        }
    }

    /// The time over which the use counts: as if it had been watched for all samples but the last
    /// from the beginning, so that a short burst is no excess.
    fn span(&self, window: Window, now: Duration) -> Duration {
        let oldest = self.samples.front().map_or(now, |sample| sample.start);
        let watched = now.saturating_sub(oldest);
        let whole = watched.as_nanos() / window.sample.as_nanos().max(1);
        let missing = u128::from(window.samples.saturating_sub(1)).saturating_sub(whole);
        let span = watched + window.sample * u32::try_from(missing).unwrap_or(0);
        // With a single sample there may be no time at all.
        span.max(Duration::from_millis(1))
    }
}

#[cfg(test)]
mod test {
    use super::*;

    const KAFKAS: Window = Window { samples: 11, sample: Duration::from_secs(1) };

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_burst_within_the_window_is_no_excess() {
        let mut rate = Rate::default();
        rate.record(KAFKAS, at(0), 10_000.0);
        assert_eq!(rate.excess(KAFKAS, at(0), 1000.0), Duration::ZERO);
        rate.record(KAFKAS, at(0), 5000.0);
        assert_eq!(rate.excess(KAFKAS, at(0), 1000.0), at(5000), "15 s worth, 10 s watched");
    }

    #[test]
    fn who_waits_as_long_as_told_is_within_the_bound_again() {
        let mut rate = Rate::default();
        rate.record(KAFKAS, at(0), 15_000.0);
        let wait = rate.excess(KAFKAS, at(0), 1000.0);
        assert_eq!(rate.excess(KAFKAS, wait, 1000.0), Duration::from_secs(5));
        // What is older than the window counts no more.
        assert!(rate.is_idle(KAFKAS, at(11_000)));
        assert_eq!(rate.excess(KAFKAS, at(11_000), 1000.0), Duration::ZERO);
    }

    #[test]
    fn what_is_taken_back_was_never_used() {
        let mut rate = Rate::default();
        rate.record(KAFKAS, at(0), 20_000.0);
        rate.take_back(20_000.0);
        assert_eq!(rate.excess(KAFKAS, at(0), 1000.0), Duration::ZERO);
    }

    #[test]
    fn steady_use_at_the_bound_is_never_held_up() {
        let mut rate = Rate::default();
        for tenth in 0..1000_u64 {
            let now = at(tenth * 100);
            rate.record(KAFKAS, now, 100.0);
            assert!(rate.excess(KAFKAS, now, 1000.0) <= at(100), "{tenth}");
        }
    }
}
