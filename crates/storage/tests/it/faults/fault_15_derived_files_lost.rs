//! What is derived from the batches is lost while the directory is down (fault 15): it is found
//! again from the batches, and every question is answered as before.

use std::{io::IoSlice, path::Path, sync::Arc};

use bytes::BytesMut;
use milena_env::{Disk, Random, disk::Open};
use milena_protocol::{
    LeaderEpoch, Offset, ProducerEpoch, ProducerId,
    records::{BatchBuilder, EndTransactionMarker},
};
use milena_storage::{Log, LogConfig, producers::Origin};

use super::for_each_seed;
use crate::rig::{NOW_MS, Rig, append, batch, build, partition, read_all, validated};

#[test]
fn fault_15_derived_files_lost_after_a_clean_stop_or_a_kill_are_found_again() {
    for_each_seed(0..500, |seed| {
        let config =
            LogConfig { segment_bytes: 600, index_interval_bytes: 100, ..LogConfig::default() };
        let mut rig = Rig::new(seed, config);
        let mut random = Random::from_seed(seed);
        let directory = rig.open().unwrap();
        let log = rig.log(&directory, "orders");
        for index in 0..20 + random.below(20) {
            let values: Vec<String> = (0..=index % 3).map(|v| format!("{index}.{v}")).collect();
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            append(&log, batch(&values), index as i32 / 7).unwrap();
        }
        directory.run_pending();
        let before = answers(&log);
        let is_clean = random.chance(1, 2);
        if is_clean {
            directory.close(1).unwrap();
        } else {
            directory.checkpoint().unwrap();
        }
        drop((log, directory));
        rig.kill();

        let folder = Path::new("/data/orders-0");
        let mut lost = 0;
        for entry in rig.disk.list(folder).unwrap() {
            let name = entry.name.as_str();
            let is_derived = [".index", ".timeindex", ".snapshot", "leader-epoch-checkpoint"]
                .iter()
                .any(|end| name.ends_with(end));
            if is_derived && random.chance(1, 2) {
                harm(&rig, &mut random, &folder.join(name));
                lost += 1;
            }
        }
        let directory = rig.open().unwrap();
        let log = directory.log(&partition("orders")).unwrap();
        assert_eq!(answers(&log), before, "{lost} files were lost, clean: {is_clean}");
    });
}

#[test]
fn fault_15_what_one_start_has_rebuilt_outlives_the_next_crash() {
    for_each_seed(0..500, |seed| {
        let config = LogConfig { segment_bytes: 500, ..LogConfig::default() };
        let mut rig = Rig::new(seed, config);
        let directory = rig.open().unwrap();
        let log = rig.log(&directory, "orders");
        for id in 0..4 + seed as i64 % 5 {
            append(&log, transactional(id), 0).unwrap();
            abort(&log, id);
        }
        directory.run_pending();
        let end = log.appended_end();
        let before = log.aborted_transactions(Offset::ZERO, end).unwrap();
        assert!(before.len() >= 4);
        drop((log, directory));
        for life in 0..3 {
            if seed % 2 == 0 {
                rig.kill()
            } else {
                rig.crash()
            }
            let directory = rig.open().unwrap();
            let log = directory.log(&partition("orders")).unwrap();
            let found = log.aborted_transactions(Offset::ZERO, end).unwrap();
            assert_eq!(found, before, "seed {seed}, life {life}");
            append(&log, batch(&["later"]), 0).unwrap();
            directory.run_pending();
            // The recovery points are written with the log's start.
            directory.checkpoint().unwrap();
            log.delete_records(Offset(1 + life));
            directory.run_pending();
            directory.checkpoint().unwrap();
        }
    });
}

fn transactional(id: i64) -> BytesMut {
    let builder = BatchBuilder::new(Offset::ZERO);
    let builder = builder.with_producer(ProducerId(id), ProducerEpoch(0), 0).with_transactional();
    build(builder, &["one", "two"])
}

fn abort(log: &Arc<Log>, id: i64) {
    let marker = EndTransactionMarker { is_commit: false, coordinator_epoch: 0 };
    let mut bytes = Vec::new();
    let (producer, epoch) = (ProducerId(id), ProducerEpoch(1));
    marker.build(Offset::ZERO, producer, epoch, NOW_MS, &mut bytes).unwrap();
    let marker = BytesMut::from(&bytes[..]);
    let origin = Origin::Marker { transaction_version: 2 };
    log.append_as_leader(marker.clone(), &validated(&marker), LeaderEpoch(0), origin).unwrap();
}

/// Removes a file or fills it with chance bytes.
fn harm(rig: &Rig, random: &mut Random, path: &Path) {
    if random.chance(1, 2) {
        return rig.disk.remove_file(path).unwrap();
    }
    let file = rig.disk.open(path, Open::ReadWrite).unwrap();
    let mut bytes = vec![0; file.size().unwrap() as usize + 1];
    random.fill(&mut bytes);
    file.write_all_at(&[IoSlice::new(&bytes)], 0).unwrap();
}

/// The records from every offset on, the first of each timestamp, the end of each epoch.
fn answers(log: &Log) -> String {
    let end = log.appended_end();
    let records: Vec<_> =
        (0..end.0).map(|from| read_all(log, Offset(from)).unwrap().first().cloned()).collect();
    let times: Vec<_> =
        (-1..5).map(|after| log.offset_for_timestamp(NOW_MS + after, end).unwrap()).collect();
    let epochs: Vec<_> = (0..8).map(|epoch| log.end_offset_for(LeaderEpoch(epoch))).collect();
    format!("{end} {records:?} {times:?} {:?} {epochs:?}", log.max_timestamp(end).unwrap())
}
