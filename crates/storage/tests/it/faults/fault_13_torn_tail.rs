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
        let mut rig = Rig::new(seed, lazy());
        let directory = rig.open().unwrap();
        let log = rig.log(&directory, "orders");
        let mut sent = Vec::new();
        send(&log, &mut sent, 1 + seed % 30);
        directory.run_pending();
        directory.checkpoint().unwrap();
        let synced = log.appended_end();
        send(&log, &mut sent, 1 + seed % 40);
        if seed % 2 == 0 {
            rig.disk.tear_nth_write(".log", 1);
        }
        directory.run_pending();

        drop((log, directory));
        rig.crash();
        let directory = rig.open().unwrap();
        let log = directory.log(&partition("orders")).unwrap();
        assert!(log.appended_end() >= synced, "what a checkpoint has synced is not cut");
        let found = values(&log);
        assert_eq!(found, sent[..found.len()]);
        cut += usize::from(found.len() < sent.len());
        goes_on(&log, &directory, found);
    });
    let alone = std::env::var("MILENA_SEED").is_ok();
    assert!(alone || cut > 100, "{cut} logs were cut");
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

        let before = logs(&rig.disk);
        match rig.open() {
            Err(StorageError::Corrupt { path, position, .. }) => {
                assert_eq!(path, file);
                assert!(position < bad, "the batch begins before its bad byte");
            }
            other => panic!("a bad batch was not told: {:?}", other.err()),
        }
        assert_eq!(logs(&rig.disk), before, "nothing is changed");
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
fn bad_byte(disk: &SimulatedDisk, file: &Path, seed: u64) -> u64 {
    let bytes = read(disk, file);
    let batches: Vec<&[u8]> = Batches::new(&bytes).map(|batch| batch.bytes()).collect();
    let index = seed as usize % batches.len();
    let before: usize = batches[..index].iter().map(|batch| batch.len()).sum();
    let covered = batches[index].len() - 21;
    (before + 21 + seed as usize * 7 % covered) as u64
}

fn read(disk: &SimulatedDisk, file: &Path) -> Vec<u8> {
    let mut bytes = vec![0; disk.metadata(file).unwrap().len as usize];
    disk.open(file, Open::Read).unwrap().read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// Every segment with its bytes.
fn logs(disk: &SimulatedDisk) -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new("/data/orders-0");
    let entries = disk.list(folder).unwrap().into_iter();
    let names = entries.map(|entry| entry.name).filter(|name| name.ends_with(".log"));
    names.map(|name| (name.clone(), read(disk, &folder.join(name)))).collect()
}

/// The log takes more, behind what it has, and keeps it.
fn goes_on(log: &Arc<Log>, directory: &LogDirectory, mut expected: Vec<String>) {
    send(log, &mut expected, 3);
    directory.run_pending();
    assert_eq!(values(log), expected);
}
