//! Replays the partitions on several threads: what the ring says of one is nothing to another. Each
//! thread walks the whole ring and carries out what is said of its own share.

use std::{collections::BTreeMap, mem};

use milena_protocol::Uuid;

use super::{
    Replay,
    target::{Life, Target},
};
use crate::{error::StorageError, journal::found::Found};

/// Below so many partitions the threads would cost more than they save.
const SHARED_MIN: usize = 64;

impl Replay<'_> {
    /// Carries the entries out and cuts each log behind its last one.
    pub(super) fn carry_out_all(
        &mut self,
        found: &Found,
        threads: usize,
    ) -> Result<(), StorageError> {
        let targets = mem::take(&mut self.targets);
        let threads = if targets.len() < SHARED_MIN { 1 } else { threads };
        let mut shares = shares(targets, threads)
            .into_iter()
            .map(|targets| Self { targets, ..Self::new(self.disk, self.directory) });
        let run = |mut share: Self| {
            share.apply(found)?;
            share.cut_ends(found)?;
            Ok(share)
        };
        let own = shares.next();
        let done: Vec<Result<Self, StorageError>> = std::thread::scope(|scope| {
            let others: Vec<_> = shares.map(|share| scope.spawn(move || run(share))).collect();
            let others = others.into_iter().map(|thread| match thread.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            own.map(run).into_iter().chain(others).collect()
        });
        for share in done {
            let share = share?;
            self.files.extend(share.files);
            self.is_large |= share.is_large;
            self.believed.extend(share.believed);
            self.touched.extend(share.touched);
            self.targets.extend(share.targets);
        }
        Ok(())
    }
}

/// Cuts the partitions into shares; all lives of one stay together, for they have the same folder.
fn shares(mut rest: BTreeMap<Life, Target>, threads: usize) -> Vec<BTreeMap<Life, Target>> {
    let share = rest.len().div_ceil(threads.max(1));
    let mut shares = Vec::new();
    for _ in 1..threads {
        let Some(((name, _), _)) = rest.iter().nth(share) else { break };
        let others = rest.split_off(&(name.clone(), Uuid::ZERO));
        shares.push(mem::replace(&mut rest, others));
    }
    shares.push(rest);
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::TopicPartition;

    #[test]
    fn every_life_is_in_one_share_and_all_of_a_partition_in_the_same() {
        for (partitions, lives, threads) in [(0, 1, 2), (7, 3, 4), (100, 1, 2), (2, 50, 3)] {
            let name = |partition| TopicPartition { topic: "orders".into(), partition };
            let all: Vec<Life> = (0..partitions)
                .flat_map(|n| (0..lives).map(move |id| (name(n), Uuid::from_u128(id))))
                .collect();
            let targets = all.iter().map(|life| (life.clone(), Target::default())).collect();
            let shares = shares(targets, threads);
            assert!(shares.len() <= threads);
            let shared: Vec<Life> = shares.iter().flat_map(|s| s.keys().cloned()).collect();
            assert_eq!(shared, all);
            for pair in shares.windows(2) {
                let (Some(last), Some(first)) = (pair[0].keys().last(), pair[1].keys().next())
                else {
                    continue;
                };
                assert_ne!(last.0, first.0);
            }
        }
    }
}
