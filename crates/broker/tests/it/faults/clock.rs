//! A wall clock that jumps.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use milena_env::{Clock, RealClock, SimulatedDisk};
use milena_protocol::ErrorCode;

use crate::{client::batch, rig::Rig};

const HOUR_MS: i64 = 3_600_000;

/// The machine's clock, whose wall somebody sets.
#[derive(Debug, Default)]
struct JumpingClock {
    off_by_ms: AtomicI64,
}

impl Clock for JumpingClock {
    fn now_ms(&self) -> i64 {
        RealClock.now_ms() + self.off_by_ms.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        RealClock.monotonic()
    }

    fn sleep(&self, duration: Duration) {
        RealClock.sleep(duration);
    }
}

#[test]
fn fault_39_a_clock_that_jumps_by_hours_loses_nothing_and_reorders_nothing() {
    let clock = Arc::new(JumpingClock::default());
    let disk = SimulatedDisk::new(39);
    let mut rig = Rig::start_on(
        disk,
        Arc::clone(&clock) as Arc<dyn Clock>,
        "log.retention.check.interval.ms=20\nlog.message.timestamp.type=LogAppendTime",
    );
    let mut client = rig.client();
    assert_eq!(client.create_topic("t", 1, &[("segment.ms", "60000")]), ErrorCode::None);
    let mut expected = Vec::new();
    for round in 0..40 {
        let jump = [0, 5, -7, 48, -48, 1, -100, 100][round % 8] * HOUR_MS;
        clock.off_by_ms.store(jump, Ordering::SeqCst);
        if round % 10 == 9 {
            rig.kill();
            rig.start_again().unwrap();
            client = rig.client();
        }
        let value = format!("round {round}");
        let produced = client.produce("t", 0, &batch(&[&value]));
        assert_eq!((produced.code, produced.base_offset), (ErrorCode::None, round as i64));
        expected.push((produced.base_offset, value.into_bytes()));
        assert_eq!(client.read_all("t", 0, 0).unwrap(), expected);
        std::thread::sleep(Duration::from_millis(5));
    }
    // A broker whose lease a clock could end would have no leaders any more.
    assert_eq!(client.create_topic("afterwards", 1, &[]), ErrorCode::None);
    assert_eq!(client.produce("afterwards", 0, &batch(&["one"])).code, ErrorCode::None);
}
