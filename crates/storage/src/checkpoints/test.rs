//! Texts as Kafka writes them, rotten ones, and power failures at every step of replacing one.

use milena_env::{SimulatedDisk, disk::simulated::is_power_off};
use milena_protocol::{LeaderEpoch, Offset, Uuid};
use proptest::prelude::*;

use super::*;
use crate::{
    epochs::{EpochCache, EpochEntry},
    meta_properties::MetaProperties,
    names, partition_metadata,
};

fn epochs(entries: &[(i32, i64)]) -> EpochCache {
    EpochCache::from_entries(entries.iter().map(|&(epoch, start)| EpochEntry {
        epoch: LeaderEpoch(epoch),
        start_offset: Offset(start),
    }))
}

#[test]
fn texts_are_kafkas() {
    let offsets = [("orders", 0, Offset(4711)), ("a.b_c-d", 12, Offset(0))];
    assert_eq!(format_offsets(offsets), b"0\n2\norders 0 4711\na.b_c-d 12 0\n");
    assert_eq!(format_offsets([]), b"0\n0\n");
    assert_eq!(format_epochs(&epochs(&[(3, 0), (5, 1200)])), b"0\n2\n3 0\n5 1200\n");
    assert_eq!(CleanShutdown::format(17), br#"{"version":0,"brokerEpoch":17}"#);
}

#[test]
fn texts_of_kafka_are_understood() {
    let read = parse_offsets(b"0\r\n1\r\norders\t0 4711\r\n").unwrap();
    let expected = PartitionOffset { topic: "orders".into(), partition: 0, offset: Offset(4711) };
    assert_eq!(read, [expected]);
    assert_eq!(parse_offsets(b""), Ok(Vec::new()), "created and not yet written");
    assert_eq!(parse_epochs(b""), Ok(EpochCache::default()));
    for (text, broker_epoch) in [
        (r#"{"version":0,"brokerEpoch":17}"#, Some(17)),
        (r#"{ "brokerEpoch" : -1 , "new": true }"#, Some(-1)),
        (r#"{"version":0,"brokerEpoch":null}"#, None),
        (r#"{"version":0,"brokerEpoch":"#, None),
        ("", None),
    ] {
        assert_eq!(CleanShutdown::parse(text.as_bytes()), CleanShutdown { broker_epoch }, "{text}");
    }
}

#[test]
fn what_is_no_offset_checkpoint_names_its_line() {
    for (text, line) in [
        ("1\n0\n", 1),
        ("\n", 1),
        ("0", 1),
        ("0\nx\n", 2),
        ("0\n-1\n", 2),
        ("0\n1\n", 2),
        ("0\n99999999999\norders 0 1\n", 2),
        ("0\n2\norders 0 1\norders 1\n", 4),
        ("0\n1\norders 0 1 2\n", 3),
        ("0\n1\norders x 1\n", 3),
        ("0\n1\norders 0 1\n\n", 4),
    ] {
        assert_eq!(parse_offsets(text.as_bytes()).unwrap_err().line, line, "{text}");
    }
    let error = parse_offsets(b"0\n1\n\xff\xff 0 1\n").unwrap_err();
    assert_eq!((error.line, error.position, error.reason), (3, 4, "is not UTF-8"));
}

#[test]
fn fault_15_a_rotten_epoch_checkpoint_is_recognised() {
    for (text, line) in [
        ("0\n2\n3 0\n", 2),
        ("0\n2\n3 0\n3 5\n", 4),
        ("0\n2\n3 5\n4 5\n", 4),
        ("0\n3\n3 0\n4 9\n2 12\n", 5),
        ("0\n1\n-1 0\n", 3),
        ("0\n1\n1 -2\n", 3),
        ("0\n1\n1 2 3\n", 3),
        ("0\n1\n\0\0\0\0", 3),
    ] {
        assert_eq!(parse_epochs(text.as_bytes()).unwrap_err().line, line, "{text}");
    }
    let disk = SimulatedDisk::new(1);
    let path = Path::new("leader-epoch-checkpoint");
    store(&*disk, path, b"0\n1\n7 x\n").unwrap();
    assert_eq!(
        load_epochs(&*disk, path).unwrap_err().to_string(),
        "leader-epoch-checkpoint is corrupt at byte 4: line 3: has an offset that is no number"
    );
}

#[test]
fn a_clean_stop_is_forgotten_for_good() {
    let disk = SimulatedDisk::new(1);
    let dir = Path::new("/data");
    disk.create_dir_all(dir).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    assert_eq!(clean_shutdown(&*disk, dir).unwrap(), None);
    CleanShutdown::store(&*disk, dir, 17).unwrap();
    let disk = disk.crash();
    let found = clean_shutdown(&*disk, dir).unwrap();
    assert_eq!(found, Some(CleanShutdown { broker_epoch: Some(17) }));
    forget_clean_shutdown(&*disk, dir).unwrap();
    assert_eq!(clean_shutdown(&*disk.crash(), dir).unwrap(), None);
}

/// Writes a file's `n`th state, and reads back which state it is in; 0 where there is no file.
struct Kind {
    name: &'static str,
    store: fn(&dyn Disk, &Path, u32) -> Result<(), StorageError>,
    load: fn(&dyn Disk, &Path) -> Result<u32, StorageError>,
}

const KINDS: [Kind; 5] = [
    Kind {
        name: names::RECOVERY_POINTS,
        store: |disk, path, n| {
            let topics: Vec<_> = (0..n * 300).map(|at| format!("topic-{at}")).collect();
            let lines = topics.iter().map(|topic| (topic.as_str(), 1, Offset(i64::from(n))));
            store_offsets(disk, path, lines)
        },
        load: |disk, path| {
            let offsets = load_offsets(disk, path)?;
            let n = offsets.first().map_or(0, |first| first.offset.0 as u32);
            assert_eq!(offsets.len() as u32, n * 300);
            assert!(offsets.iter().all(|line| line.offset == Offset(i64::from(n))));
            Ok(n)
        },
    },
    Kind {
        name: names::LEADER_EPOCHS,
        store: |disk, path, n| {
            let entries: Vec<_> = (0..n as i32).map(|at| (at, i64::from(at))).collect();
            store_epochs(disk, path, &epochs(&entries))
        },
        load: |disk, path| {
            Ok(load_epochs(disk, path)?.map_or(0, |epochs| epochs.entries().len() as u32))
        },
    },
    Kind {
        name: names::CLEAN_SHUTDOWN,
        store: |disk, path, n| {
            CleanShutdown::store(disk, path.parent().unwrap_or(path), i64::from(n))
        },
        load: |disk, path| {
            let found = clean_shutdown(disk, path.parent().unwrap_or(path))?;
            // Kafka's own may be empty; ours never is.
            Ok(found.map_or(0, |found| found.broker_epoch.expect("an epoch") as u32))
        },
    },
    Kind {
        name: names::META_PROPERTIES,
        store: |disk, path, n| {
            let cluster_id = "cluster".to_owned();
            let directory_id = Some(Uuid::from_u128(7));
            MetaProperties { cluster_id, node_id: n as i32, directory_id }.store(disk, path)
        },
        load: |disk, path| {
            Ok(MetaProperties::load(disk, path)?.map_or(0, |found| found.node_id as u32))
        },
    },
    Kind {
        name: names::PARTITION_METADATA,
        store: |disk, path, n| {
            partition_metadata::store_topic_id(disk, path, Uuid::from_u128(u128::from(n)))
        },
        load: |disk, path| {
            let found = partition_metadata::load(disk, path)?;
            Ok(found.map_or(0, |id| u128::from_be_bytes(id.to_be_bytes()) as u32))
        },
    },
];

/// The power fails at every step of replacing each file: before and between writing the temporary
/// file, syncing it, renaming it and syncing the folder.
#[test]
fn fault_18_checkpoint_replace() {
    let dir = Path::new("/data");
    for seed in 0..500_u64 {
        for kind in &KINDS {
            let mut disk = SimulatedDisk::new(seed);
            disk.create_dir_all(dir).unwrap();
            disk.sync_dir(Path::new("/")).unwrap();
            let path = dir.join(kind.name);
            let mut held = 0;
            for (round, step) in [seed % 8, seed / 8 % 8].into_iter().enumerate() {
                let new = round as u32 + 2;
                disk.crash_after(step);
                let stored = (kind.store)(&*disk, &path, new);
                if let Err(StorageError::Io { source, .. }) = &stored {
                    assert!(is_power_off(source), "{source}");
                }
                disk = disk.crash();
                let found = (kind.load)(&*disk, &path)
                    .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
                let is_whole =
                    if stored.is_ok() { found == new } else { found == held || found == new };
                assert!(is_whole, "seed {seed}: {} holds {found}, {held} or {new}", kind.name);
                held = found;
            }
            (kind.store)(&*disk, &path, 4).unwrap();
            assert_eq!((kind.load)(&*disk.crash(), &path).unwrap(), 4, "seed {seed}");
        }
    }
}

proptest! {
    #[test]
    fn offsets_are_read_as_written(
        offsets in prop::collection::vec(("[a-zA-Z0-9._-]{1,20}", 0..i32::MAX, 0..i64::MAX), 0..20),
    ) {
        let lines = offsets.iter().map(|(topic, partition, offset)| {
            (topic.as_str(), *partition, Offset(*offset))
        });
        let read = parse_offsets(&format_offsets(lines)).unwrap();
        let read = read.into_iter().map(|line| (line.topic, line.partition, line.offset.0));
        prop_assert_eq!(read.collect::<Vec<_>>(), offsets);
    }

    #[test]
    fn no_text_is_too_strange(text in prop::collection::vec(prop_oneof![
        Just(b'\n'), Just(b' '), Just(b'0'), Just(b'1'), any::<u8>(),
    ], 0..40)) {
        let _ = parse_offsets(&text);
        let _ = partition_metadata::parse(&text);
        if let Ok(epochs) = parse_epochs(&text) {
            prop_assert_eq!(parse_epochs(&format_epochs(&epochs)), Ok(epochs));
        }
    }
}
