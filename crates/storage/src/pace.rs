//! Keeps background work below a rate of bytes a second. What was not used is not saved up, so that
//! no burst follows a rest.

use std::time::Duration;

use milena_env::Clock;

/// Who works in the background and how far ahead of its rate it is.
#[derive(Debug, Default)]
pub struct Pace {
    /// When everything so far has taken its time.
    free_at: Duration,
}

impl Pace {
    /// A nap is as short as the wait of those who want the work to end may be.
    const NAP_MAX: Duration = Duration::from_millis(100);
    /// Shorter ones are not worth the call.
    const NAP_MIN: Duration = Duration::from_millis(1);

    /// Some bytes were read or written: rests until that is no more than `bytes_per_second` again,
    /// or `go_on` says no.
    pub fn spend(
        &mut self,
        bytes: u64,
        bytes_per_second: Option<u64>,
        clock: &dyn Clock,
        go_on: &dyn Fn() -> bool,
    ) {
        let Some(rate) = bytes_per_second else { return };
        let takes = Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64);
        self.free_at = self.free_at.max(clock.monotonic()).saturating_add(takes);
        loop {
            let ahead = self.free_at.saturating_sub(clock.monotonic());
            if ahead < Self::NAP_MIN || !go_on() {
                return;
            }
            clock.sleep(ahead.min(Self::NAP_MAX));
        }
    }
}

#[cfg(test)]
mod test {
    use std::cell::Cell;

    use milena_env::ManualClock;

    use super::*;

    #[test]
    fn it_keeps_any_rate_whatever_the_size_of_a_step() {
        for (step, rate) in [(100, 1_000_000), (16_384, 10_000), (1 << 20, 1 << 20)] {
            let (clock, mut pace) = (ManualClock::new(0), Pace::default());
            let bytes = rate * 5;
            for _ in 0..bytes / step {
                pace.spend(step, Some(rate), &clock, &|| true);
            }
            let took = clock.monotonic().as_secs_f64();
            let due = (bytes / step * step) as f64 / rate as f64;
            assert!((due - 0.001..due + 0.1).contains(&took), "{step} at {rate}: {took} s");
        }
    }

    #[test]
    fn a_rest_ends_when_it_is_not_to_go_on() {
        let (clock, mut pace, asked) = (ManualClock::new(0), Pace::default(), Cell::new(0));
        let three_times = || asked.replace(asked.get() + 1) < 3;
        pace.spend(1 << 30, Some(1), &clock, &three_times);
        assert_eq!(clock.monotonic(), 3 * Pace::NAP_MAX);
    }

    #[test]
    fn a_rate_that_is_lowered_counts_for_what_comes() {
        let (clock, mut pace) = (ManualClock::new(0), Pace::default());
        pace.spend(1 << 30, None, &clock, &|| true);
        pace.spend(1000, Some(1000), &clock, &|| true);
        assert_eq!(clock.monotonic(), Duration::from_secs(1));
    }
}
