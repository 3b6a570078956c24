//! A write is torn by a power failure (fault 13): the log ends before it, at a batch, and loses
//! nothing that was durable. Below the recovery point a bad batch is no torn tail: it is refused
//! by name, and nothing is touched.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use milena_env::{
    Disk,
    disk::{Open, SimulatedDisk},
};
use milena_protocol::records::Batches;
use milena_storage::{Log, LogConfig, LogDirectory, StorageError};

use super::for_each_seed;
use crate::rig::{Rig, append, batch, partition, values};

#[test]
fn fault_13_torn_tail_of_the_journal_is_cut() {
    let mut cut = 0;
    for_each_seed(0..500, |seed| {
        let mut rig = Rig::new(seed, LogConfig { segment_bytes: 2_000, ..LogConfig::default() });
        let directory = rig.open().unwrap();
        let log = rig.log(&directory, "orders");
        let mut sent = Vec::new();
        send(&log, &mut sent, 1 + seed % 20);
        directory.run_pending();
        if seed % 3 == 0 {
            directory.checkpoint().unwrap();
        }
        send(&log, &mut sent, seed % 10);
        directory.run_pending();
        let durable = log.durable_end();
        // A round of a few sectors to a few pages.
        send(&log, &mut sent, 1 + seed % 60);
        rig.disk.tear_nth_write("milena-journal", 1);
        directory.run_pending();
        assert!(rig.disk.is_power_off());
        assert_eq!(log.durable_end(), durable, "a round that was torn is not acknowledged");

        drop((log, directory));
        rig.crash();
        let directory = rig.open().unwrap();
        let log = directory.log(&partition("orders")).unwrap();
        // What was lost of the round may be no more than its padding.
        let found = values(&log);
        let is_whole = found.len() == sent.len() || found.len() == durable.0 as usize;
        assert!(is_whole, "{} of {}, {durable:?} durable", found.len(), sent.len());
        assert_eq!(found, sent[..found.len()]);
        cut += usize::from(found.len() < sent.len());
        goes_on(&log, &directory, found);
    });
    let alone = std::env::var("MILENA_SEED").is_ok();
    assert!(alone || cut > 100, "{cut} rounds were cut");
}

#[test]
fn fault_13_torn_tail_of_a_log_without_journal_is_cut_at_a_batch() {
    let mut cut = 0;
    for_each_seed(0..500, |seed| {
        // Some hold the log in one segment, some in many.
        let segment_bytes = [1 << 20, 2_000, 600][seed as usize % 3];
        let mut rig = Rig::new(seed, LogConfig { segment_bytes, ..lazy() });
        if seed % 5 == 0 {
            rig.disk.lose_names_in_any_order();
        }
        let directory = rig.open().unwrap();
        let log = rig.log(&directory, "orders");
        let mut sent = Vec::new();
        // Now and then the power fails before the first checkpoint.
        if seed % 7 > 0 {
            send(&log, &mut sent, 1 + seed % 30);
            directory.run_pending();
            directory.checkpoint().unwrap();
        }
        let synced = log.appended_end();
        send(&log, &mut sent, 1 + seed % 40);
        if seed % 2 == 0 {
            rig.disk.tear_nth_write(".log", 1);
        }
        directory.run_pending();

        drop((log, directory));
        rig.crash();
        for count in 0..seed % 4 {
            // It fails again while the log is looked through and cut.
            rig.disk.crash_after(3 + count * 5 + seed % 11);
            drop(rig.open());
            rig.crash();
        }
        let directory = rig.open().unwrap();
        let log = rig.log(&directory, "orders");
        assert!(log.appended_end() >= synced, "what a checkpoint has synced is not cut");
        assert_eq!(log.start_offset().0, 0, "the first segment is not the one that is lost");
        let found = values(&log);
        assert_eq!(found, sent[..found.len()]);
        cut += usize::from(found.len() < sent.len());
        goes_on(&log, &directory, found);
    });
    let alone = std::env::var("MILENA_SEED").is_ok();
    assert!(alone || cut > 100, "{cut} logs were cut");
}

#[test]
fn fault_13_what_follows_a_bad_batch_is_gone_for_good() {
    for_each_seed(0..500, |seed| {
        let mut rig = Rig::new(seed, LogConfig { segment_bytes: 600, ..lazy() });
        let directory = rig.open().unwrap();
        let log = rig.log(&directory, "orders");
        let mut sent = Vec::new();
        send(&log, &mut sent, 20);
        directory.run_pending();
        drop((log, directory));
        rig.kill();
        // Nobody has noted yet how far the log is synced.
        let first = Path::new("/data/orders-0/00000000000000000000.log");
        let bad = bad_byte(&rig.disk, first, seed);
        rig.disk.flip_bit(first, bad).unwrap();
        // While it is cut, the power fails a while later each time.
        for count in (seed % 5..).step_by(5) {
            rig.disk.crash_after(count);
            let is_open = rig.open().is_ok();
            rig.crash();
            if is_open {
                break;
            }
        }
        let directory = rig.open().unwrap();
        let found = values(&rig.log(&directory, "orders"));
        assert!(found.len() < sent.len());
        assert_eq!(found, sent[..found.len()]);
    });
}

#[test]
fn fault_13_a_bad_batch_below_the_recovery_point_is_no_torn_tail() {
    for_each_seed(0..500, |seed| {
        let mut rig = Rig::new(seed, lazy());
        let directory = rig.open().unwrap();
        let log = rig.log(&directory, "orders");
        let mut sent = Vec::new();
        send(&log, &mut sent, 1 + seed % 6);
        directory.close(1).unwrap();
        drop((log, directory));
        // Whoever stopped it cleanly left a recovery point at the end; then it is killed.
        let directory = rig.open().unwrap();
        drop(directory);
        rig.kill();
        let file = PathBuf::from("/data/orders-0/00000000000000000000.log");
        let bad = bad_byte(&rig.disk, &file, seed);
        rig.disk.flip_bit(&file, bad).unwrap();

        let before = files(&rig.disk);
        match rig.open() {
            Err(StorageError::Corrupt { path, position, .. }) => {
                assert_eq!(path, file);
                assert!(position < bad, "the batch begins before its bad byte");
            }
            other => panic!("a bad batch was not told: {:?}", other.err()),
        }
        assert_eq!(files(&rig.disk), before, "nothing is changed");
    });
}

fn lazy() -> LogConfig {
    LogConfig { flush_messages: i64::MAX, ..LogConfig::default() }
}

fn send(log: &Arc<Log>, sent: &mut Vec<String>, count: u64) {
    for _ in 0..count {
        let value = format!("value {} {}", sent.len(), "x".repeat(sent.len() % 5 * 50));
        append(log, batch(&[&value]), 0).unwrap();
        sent.push(value);
    }
}

/// A byte of some batch that its checksum covers.
pub(super) fn bad_byte(disk: &SimulatedDisk, file: &Path, seed: u64) -> u64 {
    let bytes = read(disk, file);
    let batches: Vec<&[u8]> = Batches::new(&bytes).map(|batch| batch.bytes()).collect();
    let index = seed as usize % batches.len();
    let before: usize = batches[..index].iter().map(|batch| batch.len()).sum();
    let covered = batches[index].len() - 21;
    (before + 21 + seed as usize * 7 % covered) as u64
}

pub(super) fn read(disk: &SimulatedDisk, file: &Path) -> Vec<u8> {
    let mut bytes = vec![0; disk.metadata(file).unwrap().len as usize];
    disk.open(file, Open::Read).unwrap().read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// Every file of the log with its bytes.
fn files(disk: &SimulatedDisk) -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new("/data/orders-0");
    let names = disk.list(folder).unwrap().into_iter().map(|entry| entry.name);
    names.map(|name| (name.clone(), read(disk, &folder.join(name)))).collect()
}

/// The log takes more, behind what it has, and keeps it.
fn goes_on(log: &Arc<Log>, directory: &LogDirectory, mut expected: Vec<String>) {
    send(log, &mut expected, 3);
    directory.run_pending();
    assert_eq!(values(log), expected);
}
