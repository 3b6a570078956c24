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

use std::{env, panic};

/// Runs the scenario for every seed, or for the one that `MILENA_SEED` names.
pub(crate) fn for_each_seed(seeds: impl IntoIterator<Item = u64>, mut scenario: impl FnMut(u64)) {
    let only = env::var("MILENA_SEED").ok();
    let only: Option<u64> = only.map(|seed| seed.parse().expect("MILENA_SEED is a number"));
    let seeds = seeds.into_iter().filter(|_| only.is_none());
    for seed in only.into_iter().chain(seeds) {
        let run = panic::AssertUnwindSafe(|| scenario(seed));
        if let Err(failure) = panic::catch_unwind(run) {
            eprintln!("failed at seed {seed}: MILENA_SEED={seed} runs it alone");
            panic::resume_unwind(failure);
        }
    }
}
