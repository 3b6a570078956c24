//! The start after a clean stop goes by what the stop noted. It must not differ from one that looks
//! at the files themselves, must see what somebody else has done since, and must be cheap.

use std::{io::IoSlice, path::Path, sync::Arc};

use milena_env::{Disk, Random, disk::Open};
use milena_protocol::Offset;
use milena_storage::{Log, LogConfig, LogDirectory};

use crate::{
    faults::{for_each_seed, history::History, machine::Machine, workload::Mix},
    rig::{Rig, append, batch, partition, path, values},
};

const NOTES: &str = "/data/milena-clean-stop";
const MIX: Mix =
    Mix { topics: &["orders", "payments"], steps: 30, cuts: true, deletes_topics: true };

/// What the lives of a directory leave in its files, where each start finds the notes or does not.
/// `None` where a log was cut inside of a batch: only notes can say where it goes on.
fn lives(seed: u64, with_notes: bool) -> Option<Vec<(String, Vec<u8>)>> {
    let mut machine = Machine::new(seed);
    let mut history = History::default();
    for life in 0..3 {
        if life > 0 && !with_notes {
            machine.disk.remove_file(Path::new(NOTES)).unwrap();
        }
        let directory = machine.open().unwrap();
        machine.work(&directory, &mut history, MIX);
        directory.close(1).unwrap();
        drop(directory);
        machine.kill();
        if history.now().values().any(|life| life.end != life.filled_end()) {
            return None;
        }
    }
    let disk: &dyn Disk = &*machine.disk;
    let mut files = Vec::new();
    for folder in disk.list(&path()).unwrap().iter().filter(|entry| entry.is_dir) {
        let folder = path().join(&folder.name);
        for file in disk.list(&folder).unwrap() {
            let file = folder.join(&file.name);
            files.push((file.display().to_string(), disk.read(&file).unwrap()));
        }
    }
    Some(files)
}

#[test]
fn a_log_goes_on_as_noted_exactly_as_it_does_from_its_files() {
    // The last ones failed once: a log without records had an epoch or none; a segment that was
    // closed to make room lacked the last entry of its time index; an index made anew had an entry
    // each 4,096 bytes, whatever its topic said; and one was made anew for a segment that was
    // closed in the midst of a cut.
    for_each_seed((0..300).chain([2335, 2270, 2797, 1783, 3150]), |seed| {
        let Some(found) = lives(seed, false) else { return };
        let noted = lives(seed, true).unwrap();
        let names = |files: &[(String, Vec<u8>)]| -> Vec<String> {
            files.iter().map(|(name, _)| name.clone()).collect()
        };
        assert_eq!(names(&noted), names(&found), "seed {seed}");
        for ((name, noted), (_, found)) in noted.iter().zip(&found) {
            assert!(noted == found, "seed {seed}: {name} differs");
        }
    });
}

fn stopped(rig: &mut Rig, logs: usize) {
    let directory = rig.open().unwrap();
    for number in 0..logs {
        let log = rig.log(&directory, &format!("orders{number}"));
        for _ in 0..5 {
            append(&log, batch(&["some", "records"]), 0).unwrap();
        }
    }
    directory.close(1).unwrap();
    drop(directory);
    rig.kill();
}

/// What a start asks of the disk for each log.
fn calls_per_log(prepare: impl Fn(&Rig)) -> u64 {
    let calls = |logs| {
        let mut rig = Rig::new(1, LogConfig::default());
        stopped(&mut rig, logs);
        prepare(&rig);
        let before = rig.disk.calls();
        rig.open().unwrap();
        rig.disk.calls() - before
    };
    (calls(30) - calls(10)) / 20
}

#[test]
fn opening_a_used_log_asks_little_of_the_disk() {
    let noted = calls_per_log(|_| {});
    assert!(noted <= 2, "{noted} calls for a log after a clean stop");
    let found = calls_per_log(|rig| rig.disk.remove_file(Path::new(NOTES)).unwrap());
    assert!(found <= 18, "{found} calls for a log without notes");
    let killed = calls_per_log(|rig| {
        rig.disk.remove_file(&path().join(".kafka_cleanshutdown")).unwrap();
    });
    assert!(killed <= 18, "{killed} calls for a log after another program's crash");
}

#[test]
fn notes_are_never_used_for_another_stop() {
    let calls = |rig: &Rig| {
        let before = rig.disk.calls();
        drop(rig.open().unwrap());
        rig.disk.calls() - before
    };
    let mut rig = Rig::new(1, LogConfig::default());
    stopped(&mut rig, 20);
    let quick = calls(&rig);
    // Kafka runs on the directory and stops cleanly: it leaves the notes, and its own epoch.
    let mut rig = Rig::new(1, LogConfig::default());
    stopped(&mut rig, 20);
    let mark = path().join(".kafka_cleanshutdown");
    (&*rig.disk as &dyn Disk).replace(&mark, br#"{"version":0,"brokerEpoch":2}"#).unwrap();
    assert!(calls(&rig) > quick + 20 * 5);
    assert!(rig.disk.metadata(Path::new(NOTES)).is_err());

    // Kafka crashes.
    let mut rig = Rig::new(1, LogConfig::default());
    stopped(&mut rig, 20);
    rig.disk.remove_file(&mark).unwrap();
    assert!(calls(&rig) > quick + 20 * 5);
    assert!(rig.disk.metadata(Path::new(NOTES)).is_err());
}

/// While the directory is down somebody takes away records, gives others or removes files.
#[test]
fn what_somebody_did_since_the_stop_is_seen() {
    for_each_seed(0..300, |seed| {
        let mut random = Random::from_seed(seed);
        let config = LogConfig { segment_bytes: 300, ..LogConfig::default() };
        let mut rig = Rig::new(seed, config);
        let directory = rig.open().unwrap();
        let (one, other) = (rig.log(&directory, "one"), rig.log(&directory, "other"));
        for index in 0..12 {
            append(&one, batch(&[&format!("record {index}")]), 0).unwrap();
            append(&other, batch(&[&format!("others {index}")]), 0).unwrap();
        }
        directory.close(1).unwrap();
        let segment = newest(&rig, &one);
        drop((one, other, directory));
        rig.kill();

        let disk: &dyn Disk = &*rig.disk;
        let bytes = disk.read(Path::new(&segment)).unwrap();
        let replaced = disk.read(Path::new(&segment.replace("one-0", "other-0"))).unwrap();
        let mut expected: Vec<String> = (0..12).map(|index| format!("record {index}")).collect();
        match random.below(3) {
            0 => {
                // The last batches are cut off, and the index that may speak of them.
                let file = disk.open(Path::new(&segment), Open::ReadWrite).unwrap();
                file.set_len(0).unwrap();
                let kept = expected.len() - count(&bytes);
                expected.truncate(kept);
            }
            1 => {
                // As long as before, but other records.
                assert_eq!(replaced.len(), bytes.len());
                let file = disk.open(Path::new(&segment), Open::ReadWrite).unwrap();
                file.write_all_at(&[IoSlice::new(&replaced)], 0).unwrap();
                let kept = expected.len() - count(&bytes);
                for (index, value) in expected.iter_mut().enumerate().skip(kept) {
                    *value = format!("others {index}");
                }
            }
            _ => {
                // What remembers its producers and epochs goes.
                let folder = Path::new("/data/one-0");
                for file in disk.list(folder).unwrap() {
                    if file.name.ends_with(".snapshot") || file.name.starts_with("leader") {
                        disk.remove_file(&folder.join(file.name)).unwrap();
                    }
                }
            }
        }
        let directory: Arc<LogDirectory> = rig.open().unwrap();
        let log = directory.log(&partition("one")).unwrap();
        assert_eq!(values(&log), expected, "seed {seed}");
        assert_eq!(log.appended_end(), Offset(expected.len() as i64));
        assert_eq!(values(&directory.log(&partition("other")).unwrap()).len(), 12);
        append(&log, batch(&["goes on"]), 1).unwrap();
        directory.close(2).unwrap();
        let kept = rig.disk.metadata(Path::new("/data/one-0/leader-epoch-checkpoint"));
        assert!(kept.is_ok(), "seed {seed}");
    });
}

/// The file of its active segment.
fn newest(rig: &Rig, log: &Log) -> String {
    let folder = format!("/data/{}", log.name());
    let files = rig.disk.list(Path::new(&folder)).unwrap();
    let last = files.iter().rfind(|file| file.name.ends_with(".log")).unwrap();
    format!("{folder}/{}", last.name)
}

/// How many batches these are.
fn count(bytes: &[u8]) -> usize {
    milena_protocol::records::Batches::new(bytes).count()
}
