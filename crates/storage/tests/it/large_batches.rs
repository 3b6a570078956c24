//! Batches that are larger than the journal's files, or nearly as large as all of them together.

use milena_protocol::Offset;
use milena_storage::LogConfig;

use crate::rig::{Rig, append, batch, values};

/// A file of the journal may end with a round without entries; it must be free again all the same,
/// or the next large batch, and everything behind it, waits for ever.
#[test]
fn large_batches_become_durable_one_after_the_other_and_outlive_a_crash() {
    for seed in 0..10 {
        let mut rig = Rig::new(seed, LogConfig::default());
        let directory = rig.open().unwrap();
        let log = rig.log(&directory, "orders");
        let mut sent = Vec::new();
        for number in 0..16 {
            let sizes = [[1_022, 1_022, 1_022, 1_022], [1_020, 700, 3, 300]][seed as usize % 2];
            let kib = sizes[(seed as usize + number) % 4];
            let value = format!("{number} {}", "x".repeat(kib << 10));
            append(&log, batch(&[&value]), 0).unwrap();
            sent.push(value);
            // What the threads would do: a round, and a checkpoint where the ring is full.
            let is_durable = (0..6).any(|_| {
                directory.run_pending();
                let is_durable = log.durable_end() == log.appended_end();
                directory.checkpoint().unwrap();
                is_durable
            });
            assert!(is_durable, "seed {seed}: batch {number} of {kib} KiB");
        }
        drop((log, directory));
        rig.crash();
        let directory = rig.open().unwrap();
        let log = rig.log(&directory, "orders");
        assert_eq!(log.durable_end(), Offset(16));
        assert!(values(&log) == sent, "seed {seed}: what was acknowledged is there");
    }
}
