//! A partition that nobody knows any more is set aside, whole, and stays so.

use milena_env::Disk;
use milena_protocol::records::{Batch, Batches, Budget, Scratch};
use milena_storage::LogConfig;

use crate::rig::{Rig, append, batch, partition, path, values};

/// The values in the one folder that was set aside, if there is one.
fn set_aside(rig: &Rig) -> Option<Vec<String>> {
    let folders = rig.disk.list(&path()).unwrap();
    let mut stray = folders.into_iter().filter(|entry| entry.name.ends_with("-stray"));
    let folder = path().join(stray.next()?.name);
    assert!(stray.next().is_none());
    let disk: &dyn Disk = &*rig.disk;
    let bytes = disk.read(&folder.join("00000000000000000000.log")).unwrap();
    let mut scratch = Scratch::new();
    let mut values = Vec::new();
    for batch in Batches::new(&bytes) {
        let batch = Batch::check(batch.bytes()).unwrap();
        for record in batch.records(&mut scratch, Budget::default()).unwrap() {
            let value = record.unwrap().value.unwrap().to_vec();
            values.push(String::from_utf8(value).unwrap());
        }
    }
    Some(values)
}

#[test]
fn what_is_set_aside_is_whole_wherever_a_crash_interrupts() {
    let (mut before, mut after) = (0, 0);
    for seed in 0..120 {
        let mut rig = Rig::new(seed, LogConfig::default());
        let directory = rig.open().unwrap();
        let log = rig.log(&directory, "orders");
        append(&log, batch(&["a", "b"]), 0).unwrap();
        directory.run_pending();
        append(&log, batch(&["c"]), 0).unwrap();
        directory.run_pending();
        rig.disk.crash_after(seed % 40);
        // Whether it worked is for the disk to tell.
        let _ = directory.set_aside(&partition("orders"));
        drop((log, directory));
        rig.crash();
        let directory = rig.open().unwrap();
        match (directory.log(&partition("orders")), set_aside(&rig)) {
            (Some(log), None) => {
                assert_eq!(values(&log), ["a", "b", "c"], "seed {seed}");
                before += 1;
            }
            (None, Some(values)) => {
                assert_eq!(values, ["a", "b", "c"], "seed {seed}");
                after += 1;
            }
            (log, stray) => panic!("seed {seed}: {log:?} {stray:?}"),
        }
    }
    assert!(before > 5 && after > 5, "{before} and {after}");
}

#[test]
fn a_new_partition_takes_the_name_of_one_that_was_set_aside() {
    let rig = Rig::new(1, LogConfig::default());
    let directory = rig.open().unwrap();
    append(&rig.log(&directory, "orders"), batch(&["old"]), 0).unwrap();
    assert!(directory.set_aside(&partition("orders")).unwrap());
    assert!(!directory.set_aside(&partition("orders")).unwrap(), "it is gone");
    let log = rig.log(&directory, "orders");
    append(&log, batch(&["new"]), 0).unwrap();
    directory.run_pending();
    directory.checkpoint().unwrap();
    assert_eq!(values(&log), ["new"]);
    assert_eq!(set_aside(&rig).unwrap(), ["old"]);
}

#[test]
fn each_life_that_is_set_aside_stays() {
    let mut rig = Rig::new(2, LogConfig::default());
    for life in 1..4 {
        let directory = rig.open().unwrap();
        append(&rig.log(&directory, "orders"), batch(&["a"]), 0).unwrap();
        assert!(directory.set_aside(&partition("orders")).unwrap());
        directory.checkpoint().unwrap();
        directory.close(1).unwrap();
        drop(directory);
        rig.crash();
        let folders = rig.disk.list(&path()).unwrap().into_iter();
        assert_eq!(folders.filter(|entry| entry.name.ends_with("-stray")).count(), life);
    }
}
