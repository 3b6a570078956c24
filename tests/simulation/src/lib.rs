//! What every simulation starts from. The scenarios are in `tests/`, one file each.
//!
//! A scenario is a pure function of its seed: time, network and disk are simulated, and all hosts
//! share one thread. Two runs of one seed that differ are a bug of their own, to be found first.

use std::time::{Duration, SystemTime};

use turmoil::Builder;

/// Where time begins in every simulation: 2026-01-01, by nobody's clock.
pub const EPOCH: Duration = Duration::from_secs(1_767_225_600);

/// A world whose order of events follows from `seed`.
pub fn world(seed: u64) -> Builder {
    let mut builder = Builder::new();
    builder
        .rng_seed(seed)
        .enable_random_order()
        .epoch(SystemTime::UNIX_EPOCH + EPOCH)
        .min_message_latency(Duration::from_micros(100))
        .max_message_latency(Duration::from_millis(20))
        .simulation_duration(Duration::from_secs(60));
    builder
}
