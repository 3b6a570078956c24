//! The plain story of a log: appended, acknowledged, read, closed, opened again.

use milena_env::Disk;
use milena_protocol::{LeaderEpoch, Offset};
use milena_storage::LogConfig;

use crate::rig::{NOW_MS, Rig, append, batch, build, partition, path, read_all, validated, values};

#[test]
fn what_is_appended_is_read_before_and_after_it_is_in_a_segment() {
    let rig = Rig::new(1, LogConfig::default());
    let directory = rig.open().unwrap();
    let log = rig.log(&directory, "orders");
    let first = append(&log, batch(&["a", "b"]), 0).unwrap();
    let second = append(&log, batch(&["c"]), 0).unwrap();
    assert_eq!((first.base_offset, first.end), (Offset(0), Offset(2)));
    assert_eq!((second.base_offset, second.end), (Offset(2), Offset(3)));
    assert_eq!((log.appended_end(), log.durable_end()), (Offset(3), Offset(0)));
    assert_eq!(values(&log), ["a", "b", "c"], "from memory");

    directory.run_pending();
    assert_eq!(log.durable_end(), Offset(3));
    assert_eq!(directory.unwritten_bytes(), 0);
    assert_eq!(values(&log), ["a", "b", "c"], "from the segment");
    append(&log, batch(&["d"]), 1).unwrap();
    assert_eq!(values(&log), ["a", "b", "c", "d"], "from both");
    assert_eq!(read_all(&log, Offset(1)).unwrap()[0], (1, "b".to_owned()));
}

#[test]
fn a_clean_stop_leaves_a_plain_directory_and_everything_in_it() {
    let mut rig = Rig::new(2, LogConfig { segment_bytes: 300, ..LogConfig::default() });
    let directory = rig.open().unwrap();
    let log = rig.log(&directory, "orders");
    let sent: Vec<String> = (0..50).map(|i| format!("value {i}")).collect();
    for (index, value) in sent.iter().enumerate() {
        append(&log, batch(&[value]), index as i32 / 20).unwrap();
        if index % 7 == 0 {
            directory.run_pending();
        }
    }
    directory.close(3).unwrap();
    drop((log, directory));
    rig.crash();

    let names: Vec<String> = rig.disk.list(&path()).unwrap().into_iter().map(|e| e.name).collect();
    assert_eq!(
        names,
        [
            ".kafka_cleanshutdown",
            ".lock",
            "log-start-offset-checkpoint",
            "meta.properties",
            "milena-clean-stop",
            "orders-0",
            "recovery-point-offset-checkpoint",
        ]
    );
    let directory = rig.open().unwrap();
    let log = directory.log(&partition("orders")).unwrap();
    assert_eq!(log.appended_end(), Offset(50));
    assert_eq!(values(&log), sent);
    assert_eq!(log.latest_epoch().unwrap().0, 2);
}

#[test]
fn what_was_durable_survives_a_crash() {
    for seed in 0..50 {
        let mut rig = Rig::new(seed, LogConfig { segment_bytes: 400, ..LogConfig::default() });
        let directory = rig.open().unwrap();
        let log = rig.log(&directory, "orders");
        for index in 0..30 {
            append(&log, batch(&[&format!("value {index}")]), 0).unwrap();
            if index % 5 == 0 {
                directory.run_pending();
            }
            if index % 11 == 0 {
                directory.checkpoint().unwrap();
            }
        }
        let durable = log.durable_end();
        drop((log, directory));
        rig.crash();
        let directory = rig.open().unwrap();
        let log = directory.log(&partition("orders")).unwrap();
        assert!(log.appended_end() >= durable, "seed {seed}");
        let read = values(&log);
        for (index, value) in read.iter().enumerate() {
            assert_eq!(*value, format!("value {index}"), "seed {seed}");
        }
        append(&log, batch(&["after"]), 1).unwrap();
        directory.run_pending();
        assert_eq!(values(&log).len(), read.len() + 1);
    }
}

#[test]
fn a_topics_codec_is_what_its_batches_are_stored_in() {
    use milena_protocol::records::{Batch, Codec, Level, Origin, Scratch};
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let compression = Some((codec, Level::default()));
        let rig = Rig::new(3, LogConfig { compression, ..LogConfig::default() });
        let directory = rig.open().unwrap();
        let log = rig.log(&directory, "orders");
        let mut sent = batch(&["a", "b"]);
        let mut scratch = Scratch::new();
        let validated = log.prepare(&mut sent, 3, Origin::Client, &mut scratch).unwrap();
        assert_eq!(Batch::check(&sent).unwrap().header().attributes.codec_id(), codec.id());
        let origin = milena_storage::producers::Origin::Client;
        log.append_as_leader(sent, &validated, LeaderEpoch(0), origin).unwrap();
        assert_eq!(values(&log), ["a", "b"]);
    }
}

#[test]
fn a_log_leaves_the_journal_and_enters_it_again_and_loses_nothing() {
    use std::sync::Arc;
    for seed in 0..100 {
        let mut rig = Rig::new(seed, LogConfig { segment_bytes: 300, ..LogConfig::default() });
        let lazy = Arc::new(LogConfig { flush_messages: i64::MAX, ..(*rig.config).clone() });
        let directory = rig.open().unwrap();
        let log = rig.log(&directory, "orders");
        let mut sent = 0;
        let mut append_some = |count| {
            for _ in 0..count {
                append(&log, batch(&[&format!("value {sent}")]), 0).unwrap();
                sent += 1;
                if sent % 3 == 0 {
                    directory.run_pending();
                }
            }
        };
        append_some(7);
        log.configure(Arc::clone(&lazy)).unwrap();
        append_some(7);
        if seed % 2 == 0 {
            log.configure(Arc::clone(&rig.config)).unwrap();
            append_some(7);
            directory.run_pending();
            drop((log, directory));
            rig.crash();
        } else {
            directory.run_pending();
            rig.config = lazy;
            drop((log, directory));
            rig.kill();
        }
        let directory = rig.open().unwrap();
        let log = directory.log(&partition("orders")).unwrap();
        let expected: Vec<String> = (0..sent).map(|i| format!("value {i}")).collect();
        assert_eq!(values(&log), expected, "seed {seed}");
    }
}

#[test]
fn a_marker_is_judged_by_the_transaction_version_of_its_request() {
    use bytes::BytesMut;
    use milena_protocol::{
        LeaderEpoch, ProducerEpoch, ProducerId,
        records::{BatchBuilder, EndTransactionMarker},
    };
    use milena_storage::{AppendError, producers::Origin};
    let rig = Rig::new(4, LogConfig::default());
    let directory = rig.open().unwrap();
    let log = rig.log(&directory, "orders");
    let (producer, epoch) = (ProducerId(7), ProducerEpoch(3));
    let builder = BatchBuilder::new(Offset::ZERO).with_producer(producer, epoch, 0);
    append(&log, build(builder.with_transactional(), &["a"]), 0).unwrap();
    let mut bytes = Vec::new();
    let marker = EndTransactionMarker { is_commit: true, coordinator_epoch: 0 };
    marker.build(Offset::ZERO, producer, epoch, NOW_MS, &mut bytes).unwrap();
    let end = |transaction_version| {
        let (batch, origin) = (BytesMut::from(&bytes[..]), Origin::Marker { transaction_version });
        log.append_as_leader(batch, &validated(&bytes), LeaderEpoch(0), origin)
    };
    let refused = end(2);
    assert!(matches!(refused, Err(AppendError::Sequence(_))), "the epoch was not raised");
    assert_eq!(end(1).unwrap().end, Offset(2));
    assert_eq!(log.last_stable_offset(Offset(2)), Offset(2));
}

#[test]
fn a_partition_without_records_is_in_no_file_and_is_created_again() {
    let mut rig = Rig::new(4, LogConfig::default());
    for stops_cleanly in [true, false] {
        let directory = rig.open().unwrap();
        assert!(directory.logs().is_empty());
        directory.checkpoint().unwrap();
        rig.log(&directory, "orders");
        rig.log(&directory, "payments").begin_epoch(LeaderEpoch(3));
        directory.run_pending();
        let before = rig.disk.mutations();
        directory.checkpoint().unwrap();
        assert_eq!(rig.disk.mutations(), before, "nothing is to be written for them");
        if stops_cleanly {
            directory.close(1).unwrap();
        }
        drop(directory);
        rig.crash();
        let folders = rig.disk.list(&path()).unwrap().into_iter().filter(|entry| entry.is_dir);
        assert_eq!(folders.count(), 0);
    }
}

#[test]
fn an_empty_log_that_begins_behind_zero_still_does_after_a_stop_and_after_a_crash() {
    for (seed, stops_cleanly) in (0..40).zip([true, false].into_iter().cycle()) {
        let mut rig = Rig::new(seed, LogConfig::default());
        let directory = rig.open().unwrap();
        rig.log(&directory, "orders").reset_to(Offset(70)).unwrap();
        directory.run_pending();
        if seed % 4 > 1 {
            directory.checkpoint().unwrap();
        }
        if stops_cleanly {
            directory.close(1).unwrap();
        }
        drop(directory);
        rig.crash();
        let directory = rig.open().unwrap();
        let log = directory.log(&partition("orders")).unwrap();
        assert_eq!((log.start_offset(), log.appended_end()), (Offset(70), Offset(70)), "{seed}");
    }
}

/// After an unclean stop every partition gets a new epoch at once.
#[test]
fn an_epoch_is_saved_when_a_record_of_it_comes_and_not_before() {
    let mut rig = Rig::new(5, LogConfig::default());
    let epochs = path().join("orders-0/leader-epoch-checkpoint");
    let saved = |rig: &Rig| -> String {
        let disk: &dyn Disk = &*rig.disk;
        String::from_utf8(disk.read(&epochs).unwrap()).unwrap()
    };
    let directory = rig.open().unwrap();
    append(&rig.log(&directory, "orders"), batch(&["a", "b"]), 0).unwrap();
    directory.close(1).unwrap();
    drop(directory);
    assert_eq!(saved(&rig), "0\n1\n0 0\n");
    // Kafka says an epoch as soon as it begins: what it has left is not worth a write either.
    let disk: &dyn Disk = &*rig.disk;
    disk.replace(&epochs, b"0\n2\n0 0\n4 2\n").unwrap();

    let directory = rig.open().unwrap();
    let log = rig.log(&directory, "orders");
    directory.checkpoint().unwrap();
    let before = rig.disk.mutations();
    log.begin_epoch(LeaderEpoch(5));
    directory.checkpoint().unwrap();
    assert_eq!(rig.disk.mutations(), before);
    assert_eq!(saved(&rig), "0\n2\n0 0\n4 2\n");
    assert_eq!(log.end_offset_for(LeaderEpoch(4)), Some((LeaderEpoch(0), Offset(2))));

    append(&log, batch(&["c"]), 5).unwrap();
    directory.run_pending();
    directory.checkpoint().unwrap();
    assert_eq!(saved(&rig), "0\n2\n0 0\n5 2\n");
    drop((log, directory));
    rig.crash();
    let log = rig.open().unwrap().log(&partition("orders")).unwrap();
    assert_eq!(log.end_offset_for(LeaderEpoch(0)), Some((LeaderEpoch(0), Offset(2))));
    assert_eq!(log.latest_epoch(), Some(LeaderEpoch(5)));
}
