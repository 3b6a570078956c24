//! The plain story of a log: appended, acknowledged, read, closed, opened again.

use milena_protocol::Offset;
use milena_storage::LogConfig;

use crate::rig::{NOW_MS, Rig, append, batch, build, partition, read_all, validated, values};

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

    use milena_env::Disk;
    let names: Vec<String> =
        rig.disk.list(&crate::rig::path()).unwrap().into_iter().map(|e| e.name).collect();
    assert_eq!(
        names,
        [
            ".kafka_cleanshutdown",
            ".lock",
            "log-start-offset-checkpoint",
            "meta.properties",
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
        log.append_as_leader(sent, &validated, milena_protocol::LeaderEpoch(0), origin).unwrap();
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
