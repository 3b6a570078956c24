//! Time as a value: `Arc<dyn Clock>`.
//!
//! Wall-clock time is what goes into records and may jump either way at any moment; elapsed time
//! only grows and is what deadlines are measured with. The two are never computed from each other.

use std::{
    fmt::Debug,
    sync::{
        LazyLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

/// Where a part of the broker takes its time from.
pub trait Clock: Debug + Send + Sync {
    /// Milliseconds since 1970, as Kafka's timestamps count them. May jump backwards.
    fn now_ms(&self) -> i64;
    /// Time since some fixed moment of this process. Never jumps.
    fn monotonic(&self) -> Duration;
    /// Blocks this thread. Not for I/O threads.
    fn sleep(&self, duration: Duration);
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealClock;

#[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
mod machine {
    use std::{
        thread,
        time::{Duration, Instant, SystemTime, UNIX_EPOCH},
    };

    pub(super) fn wall() -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    pub(super) fn instant() -> Instant {
        Instant::now()
    }

    pub(super) fn sleep(duration: Duration) {
        thread::sleep(duration);
    }
}

impl Clock for RealClock {
    fn now_ms(&self) -> i64 {
        i64::try_from(machine::wall().as_millis()).unwrap_or(i64::MAX)
    }

    fn monotonic(&self) -> Duration {
        static START: LazyLock<std::time::Instant> = LazyLock::new(machine::instant);
        let start = *START;
        machine::instant().saturating_duration_since(start)
    }

    fn sleep(&self, duration: Duration) {
        machine::sleep(duration);
    }
}

/// The clock of the simulated host that asks; outside a simulation it stands at zero.
#[cfg(feature = "simulation")]
#[derive(Clone, Copy, Debug, Default)]
pub struct SimulatedClock;

#[cfg(feature = "simulation")]
impl Clock for SimulatedClock {
    fn now_ms(&self) -> i64 {
        let since_epoch = turmoil::since_epoch().unwrap_or_default();
        i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
    }

    fn monotonic(&self) -> Duration {
        turmoil::sim_elapsed().unwrap_or_default()
    }

    /// Returns at once: all hosts share one thread, and who blocks it stops the time for all.
    fn sleep(&self, _duration: Duration) {}
}

/// A clock that stands still until a test moves it. To sleep on it is to move it.
#[derive(Debug)]
pub struct ManualClock {
    now_ms: AtomicI64,
    elapsed_ns: AtomicU64,
}

impl ManualClock {
    /// A clock whose wall shows `now_ms` and on which nothing has elapsed.
    pub fn new(now_ms: i64) -> Self {
        Self { now_ms: AtomicI64::new(now_ms), elapsed_ns: AtomicU64::new(0) }
    }

    /// Lets time pass, on the wall and elapsed alike.
    pub fn advance(&self, duration: Duration) {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let before = self.elapsed_ns.fetch_add(ns, Ordering::SeqCst);
        // The wall moves by whole milliseconds of elapsed time, so that small steps add up.
        let ms = before.saturating_add(ns) / 1_000_000 - before / 1_000_000;
        self.now_ms.fetch_add(i64::try_from(ms).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// Sets the wall, forwards or backwards, while no time elapses.
    pub fn set_now_ms(&self, now_ms: i64) {
        self.now_ms.store(now_ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.elapsed_ns.load(Ordering::SeqCst))
    }

    fn sleep(&self, duration: Duration) {
        self.advance(duration);
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn the_real_clock_elapses_and_knows_its_century() {
        let before = RealClock.monotonic();
        RealClock.sleep(Duration::from_millis(2));
        assert!(RealClock.monotonic() >= before + Duration::from_millis(2));
        assert!(RealClock.now_ms() > 1_700_000_000_000);
    }

    #[test]
    fn the_wall_jumps_back_while_elapsed_time_never_does() {
        let clock = ManualClock::new(1_000_000);
        clock.advance(Duration::from_millis(5));
        clock.set_now_ms(7);
        assert_eq!((clock.now_ms(), clock.monotonic()), (7, Duration::from_millis(5)));
        for _ in 0..4 {
            clock.advance(Duration::from_micros(250));
        }
        assert_eq!((clock.now_ms(), clock.monotonic()), (8, Duration::from_millis(6)));
    }
}
