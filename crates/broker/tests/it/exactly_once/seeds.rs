//! Which seeds there are, and how the one that failed is run again.

use std::{collections::BTreeMap, ops::Range};

use super::History;

/// Says which seed it was, if the test fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("seed {0} failed; MILENA_SEED={0} runs it again", self.0);
        }
    }
}

/// How many more seeds are tried for something that none of the wanted ones has shown: how far a
/// story comes between two failures is up to the machine, too.
const MORE: u64 = 10;

/// The wanted seeds, and how many may follow.
fn seeds() -> (Range<u64>, u64) {
    let number = |variable| std::env::var(variable).ok().map(|text| text.parse().unwrap());
    match number("MILENA_SEED") {
        Some(seed) => (seed..seed + 1, 0),
        None => (0..number("MILENA_SEEDS").unwrap_or(1), MORE),
    }
}

/// Runs the story for one seed, `MILENA_SEEDS` of them, or the one that `MILENA_SEED` names; what
/// the test is about must have happened, if need be with further seeds.
pub(crate) fn over_seeds(counted: &[&str], run: impl Fn(u64) -> History) {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let (wanted, more) = seeds();
    for seed in wanted.start..wanted.end + more {
        if seed >= wanted.end && counted.iter().all(|what| counts.contains_key(what)) {
            break;
        }
        let _guard = Seed(seed);
        for (what, count) in run(seed).counts {
            *counts.entry(what).or_default() += count;
        }
    }
    println!("{counts:?}");
    for what in counted.iter().filter(|_| more > 0) {
        assert!(counts.contains_key(what), "nothing of {what}");
    }
}
