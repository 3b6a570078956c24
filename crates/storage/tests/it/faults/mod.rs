//! What a log directory must survive: one file for each fault, each over hundreds of seeds.
//!
//! A failing seed says so; `MILENA_SEED=17 cargo test -p milena-storage --test it fault_03` runs it
//! alone.

mod check;
mod fault_03_power_failure;
mod fault_13_torn_tail;
mod fault_14_bit_flip;
mod fault_15_derived_files_lost;
mod fault_16_failed_fsync;
mod fault_17_disk_full;
mod fault_24_retry_after_restart;
pub(crate) mod history;
pub(crate) mod machine;
pub(crate) mod workload;

use std::{env, ops::Range, panic};

/// Runs the scenario for every seed, or for the one that `MILENA_SEED` names.
pub(crate) fn for_each_seed(seeds: Range<u64>, mut scenario: impl FnMut(u64)) {
    let seeds = match env::var("MILENA_SEED") {
        Ok(seed) => {
            let seed: u64 = seed.parse().expect("MILENA_SEED is a number");
            seed..seed + 1
        }
        Err(_) => seeds,
    };
    for seed in seeds {
        let run = panic::AssertUnwindSafe(|| scenario(seed));
        if let Err(failure) = panic::catch_unwind(run) {
            eprintln!("failed at seed {seed}: MILENA_SEED={seed} runs it alone");
            panic::resume_unwind(failure);
        }
    }
}
