//! What may be used at once, and comes back at a steady rate. Pure.

use std::time::Duration;

use super::rate::Window;

#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    tokens: f64,
    at: Duration,
}

impl Bucket {
    /// A full one holds what the rate gives within the whole window.
    pub(super) fn full(window: Window, now: Duration, rate: f64) -> Self {
        Self { tokens: burst(window, rate), at: now }
    }

    /// What has come back since it was last looked at.
    pub(super) fn refill(&mut self, window: Window, now: Duration, rate: f64) {
        let since = now.saturating_sub(self.at).as_secs_f64();
        self.tokens = (self.tokens + since * rate).min(burst(window, rate));
        self.at = now;
    }

    /// More may be taken than there is, by whoever comes before it is empty.
    pub(super) fn take(&mut self, tokens: f64) {
        self.tokens -= tokens;
    }

    /// How long it takes until nothing is owed any more.
    pub(super) fn wait(&self, rate: f64) -> Duration {
        if self.tokens >= 0.0 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(-self.tokens / rate).unwrap_or(Duration::MAX)
    }

    pub(super) fn is_full(&self, window: Window, rate: f64) -> bool {
        self.tokens >= burst(window, rate)
    }
}

fn burst(window: Window, rate: f64) -> f64 {
    (window.sample * window.samples).as_secs_f64() * rate
}

#[cfg(test)]
mod test {
    use super::*;

    const WINDOW: Window = Window { samples: 10, sample: Duration::from_secs(1) };

    #[test]
    fn who_overdraws_waits_until_all_of_it_came_back() {
        let mut bucket = Bucket::full(WINDOW, Duration::ZERO, 2.0);
        bucket.take(20.0);
        assert_eq!(bucket.wait(2.0), Duration::ZERO);
        bucket.take(6.0);
        assert_eq!(bucket.wait(2.0), Duration::from_secs(3));
        bucket.refill(WINDOW, Duration::from_secs(3), 2.0);
        assert_eq!(bucket.wait(2.0), Duration::ZERO);
        assert!(!bucket.is_full(WINDOW, 2.0));
        bucket.refill(WINDOW, Duration::from_secs(300), 2.0);
        assert!(bucket.is_full(WINDOW, 2.0), "and no more than full");
        bucket.take(21.0);
        assert_eq!(bucket.wait(2.0), Duration::from_millis(500));
    }
}
