//! A bit flips in the journal while the directory is down (fault 14): what was synced is never
//! taken for a torn tail, and never dropped in silence. Or it flips in a closed segment: it is
//! found when its range is brought in from the disk, nobody gets it, and what follows it stays.

use std::{error::Error, path::Path};

use milena_env::{Disk, Random};
use milena_protocol::{
    Offset,
    records::{BatchHeader, Batches},
};
use milena_storage::{Limit, LogConfig, ReadError, StorageError};

use super::{
    check,
    fault_13_torn_tail::{bad_byte, read},
    for_each_seed,
    history::History,
    machine::Machine,
    workload::Mix,
};
use crate::rig::{Rig, append, batch, partition};

const MIX: Mix =
    Mix { topics: &["orders", "payments"], steps: 25, cuts: false, deletes_topics: false };

#[test]
fn fault_14_bit_flip_in_the_journal_is_a_torn_tail_or_refused_by_name() {
    let (mut refused, mut unharmed) = (0, 0);
    // In the last ones a round is damaged that is the first of another file, and one whose batches
    // are the first of another segment.
    for_each_seed((0..500).chain([3603, 5674]), |seed| {
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
            // Nothing says that there was a last round, but for its batches in a segment.
            Err(StorageError::Foreign { .. }) if position % 4_096 < 4 => refused += 1,
            Err(other) => panic!("seed {seed}: {other}"),
        }
    });
    let alone = std::env::var("MILENA_SEED").is_ok();
    assert!(alone || (refused > 20 && unharmed > 20), "{refused} refused, {unharmed} unharmed");
}

#[test]
fn fault_14_bit_flip_in_a_closed_segment_is_found_before_it_is_served() {
    // The last one flips the sign of how many records a batch has.
    for_each_seed((0..500).chain([1774]), |seed| {
        let mut random = Random::from_seed(seed);
        let mut rig = Rig::new(seed, LogConfig { segment_bytes: 700, ..LogConfig::default() });
        let directory = rig.open().unwrap();
        let log = rig.log(&directory, "orders");
        for index in 0..30 {
            let value = format!("{index} {}", "x".repeat(random.below(200) as usize));
            append(&log, batch(&[&value]), 0).unwrap();
        }
        let end = log.appended_end();
        let is_clean = random.chance(1, 2);
        match is_clean {
            true => directory.close(1).unwrap(),
            false => {
                directory.run_pending();
                directory.checkpoint().unwrap();
                // A round says that nothing of it is needed any more.
                append(&log, batch(&["last"]), 0).unwrap();
                directory.run_pending();
            }
        }
        drop((log, directory));
        rig.crash();
        let path = Path::new("/data/orders-0/00000000000000000000.log");
        let bad = bad_byte(&rig.disk, path, seed);
        rig.disk.flip_bit(path, bad).unwrap();
        rig.disk.drop_caches();

        let directory = rig.open().unwrap();
        let log = directory.log(&partition("orders")).unwrap();
        assert!(log.appended_end() >= end, "what follows is not cut");
        let mut found = 0;
        for offset in 0..end.0 {
            let limit = Limit { bytes_max: 1 + random.below(400) as usize, at_least_one: true };
            // The flip may be in a length, and what looks for an offset walks over that.
            let brought_in = log.read(Offset(offset), end, limit).and_then(|plan| {
                rig.disk.drop_caches();
                assert!(!plan.is_cached(), "{offset} is not read yet");
                log.bring_in(&plan)
            });
            match brought_in {
                Ok(()) => {}
                Err(ReadError::Storage(StorageError::Corrupt {
                    path: named, position, ..
                })) => {
                    assert_eq!(named, path);
                    assert!(position <= bad, "{position} is not where {bad} is");
                    found += 1;
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert!(found > 0, "byte {bad} of {}", path.display());
        let walked = log.walk(Offset(0), end, 1 << 20, |_| Ok::<_, Box<dyn Error>>(()));
        assert!(walked.is_err(), "byte {bad} is believed by who reads the whole log");
        assert!(log.appended_end() >= end);
        append(&log, batch(&["goes on"]), 0).unwrap();
        directory.run_pending();
    });
}

/// What a batch's header says of its offsets is held to what lies around it, so that nobody is led
/// past records: neither by a lower end, which the checksum covers, nor by another beginning.
#[test]
fn fault_14_bit_flip_in_a_batch_s_offsets_hides_no_record() {
    for_each_seed(0..500, |seed| {
        let mut random = Random::from_seed(seed);
        let mut rig = Rig::new(seed, LogConfig { segment_bytes: 1500, ..LogConfig::default() });
        let directory = rig.open().unwrap();
        let log = rig.log(&directory, "orders");
        for _ in 0..40 {
            let values = vec!["some value"; 1 + random.below(7) as usize];
            append(&log, batch(&values), 0).unwrap();
        }
        let end = log.appended_end();
        directory.close(1).unwrap();
        drop((log, directory));
        rig.kill();
        let path = Path::new("/data/orders-0/00000000000000000000.log");
        let whole = read(&rig.disk, path);
        let sizes: Vec<usize> = Batches::new(&whole).map(|batch| batch.bytes().len()).collect();
        let before = sizes.iter().take(random.below(sizes.len() as u64) as usize);
        let flipped = before.sum::<usize>() as u64;
        // The base offset, or the last offset's distance from it.
        let (field, len) = if random.chance(1, 2) { (0, 8) } else { (23, 4) };
        let bad = flipped + field + random.below(len);
        rig.disk.flip_bit(path, bad).unwrap();
        rig.disk.drop_caches();

        let directory = rig.open().unwrap();
        let log = directory.log(&partition("orders")).unwrap();
        assert_eq!(log.appended_end(), end);
        let mut found = 0;
        for offset in 0..end.0 {
            let limit = Limit { bytes_max: 1 + random.below(900) as usize, at_least_one: true };
            rig.disk.drop_caches();
            let plan = log.read(Offset(offset), end, limit);
            let plan = plan.and_then(|plan| log.bring_in(&plan).map(|()| plan));
            match plan {
                Ok(plan) => {
                    let bytes = plan.read().unwrap();
                    let first = Batches::new(&bytes).next().unwrap();
                    let header = BatchHeader::read(first.bytes()).unwrap();
                    let holds = header.base_offset.0..=header.last_offset().0;
                    assert!(holds.contains(&offset), "seed {seed}: {offset} is not in {holds:?}");
                }
                Err(ReadError::Storage(StorageError::Corrupt { path: named, .. })) => {
                    assert_eq!(named, path);
                    found += 1;
                }
                Err(other) => panic!("seed {seed}: {other}"),
            }
        }
        assert!(found > 0, "seed {seed}: byte {bad}, {} of its batch", bad - flipped);
    });
}
