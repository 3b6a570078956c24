//! A bit flips in the journal while the directory is down (fault 14): what was synced is never
//! taken for a torn tail, and never dropped in silence.

use std::path::Path;

use milena_env::Disk;
use milena_storage::StorageError;

use super::{check, for_each_seed, history::History, machine::Machine, workload::Mix};

const MIX: Mix =
    Mix { topics: &["orders", "payments"], steps: 25, cuts: false, deletes_topics: false };

#[test]
fn fault_14_bit_flip_in_the_journal_is_a_torn_tail_or_refused_by_name() {
    let (mut refused, mut unharmed) = (0, 0);
    for_each_seed(0..500, |seed| {
        let mut machine = Machine::new(seed);
        let mut history = History::default();
        let directory = machine.open().unwrap();
        machine.work(&directory, &mut history, MIX);
        directory.run_pending();
        drop(directory);
        machine.kill();
        let file = format!("/data/milena-journal-{}", machine.random.below(2));
        let path = Path::new(&file);
        let len = machine.disk.metadata(path).unwrap().len;
        // Half of the time in what is surely in use: the header and the first rounds.
        let most = if machine.random.chance(1, 2) { 4_096 + 512 } else { len };
        let position = machine.random.below(most);
        machine.disk.flip_bit(path, position).unwrap();
        match machine.open() {
            Ok(directory) => {
                // At most the last round is gone, which no later one vouches for.
                check::survivor(seed, &directory, &history);
                unharmed += 1;
            }
            Err(StorageError::Corrupt { path: named, .. }) => {
                assert!(
                    named.to_string_lossy().contains("milena-journal"),
                    "seed {seed}: {named:?}"
                );
                refused += 1;
            }
            // The last round, for which no later one vouches, but its batches are in a segment.
            Err(StorageError::Foreign { .. }) => refused += 1,
            Err(other) => panic!("seed {seed}: {other}"),
        }
    });
    let alone = std::env::var("MILENA_SEED").is_ok();
    assert!(alone || (refused > 20 && unharmed > 20), "{refused} refused, {unharmed} unharmed");
}
