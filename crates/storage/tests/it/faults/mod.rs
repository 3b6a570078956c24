//! What a log directory must survive: one file for each fault, each over hundreds of seeds.
//!
//! A failing seed says so; `MILENA_SEED=17 cargo test -p milena-storage --test it fault_03` runs it
//! alone, and `MILENA_SEEDS=3000..9000` all tests over so many others.

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

/// Runs the scenario for every seed, or for those that are asked for.
pub(crate) fn for_each_seed(seeds: impl IntoIterator<Item = u64>, mut scenario: impl FnMut(u64)) {
    for seed in chosen(seeds) {
        let run = panic::AssertUnwindSafe(|| scenario(seed));
        if let Err(failure) = panic::catch_unwind(run) {
            eprintln!("failed at seed {seed}: MILENA_SEED={seed} runs it alone");
            panic::resume_unwind(failure);
        }
    }
}

/// The seed that `MILENA_SEED` names, or those that `MILENA_SEEDS` does (`3000..9000`), or these.
pub(crate) fn chosen(seeds: impl IntoIterator<Item = u64>) -> Vec<u64> {
    let number = |text: &str| text.parse().expect("a seed is a number");
    if let Ok(only) = env::var("MILENA_SEED") {
        return vec![number(&only)];
    }
    match env::var("MILENA_SEEDS") {
        Ok(range) => {
            let (from, to) = range.split_once("..").expect("MILENA_SEEDS is like 3000..9000");
            (number(from)..number(to)).collect()
        }
        Err(_) => seeds.into_iter().collect(),
    }
}
