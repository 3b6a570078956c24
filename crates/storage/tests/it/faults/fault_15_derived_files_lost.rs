//! What is derived from the batches is lost while the directory is down (fault 15): it is found
//! again from the batches, and every question is answered as before.

use std::{io::IoSlice, path::Path, sync::Arc};

use bytes::BytesMut;
use milena_env::{Disk, Random, disk::Open};
use milena_protocol::{
    LeaderEpoch, Offset, ProducerEpoch, ProducerId,
    records::{BatchBuilder, EndTransactionMarker, crc32c},
};
use milena_storage::{Limit, Log, LogConfig, producers::Origin};

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
        let mut open = Vec::new();
        for index in 0..20 + random.below(20) {
            let values: Vec<String> = (0..=index % 3).map(|v| format!("{index}.{v}")).collect();
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            append(&log, batch(&values), index as i32 / 7).unwrap();
            if random.chance(1, 4) {
                append(&log, transactional(index as i64), index as i32 / 7).unwrap();
                open.push(index as i64);
            }
            if !open.is_empty() && random.chance(1, 4) {
                let id = open.swap_remove(random.below(open.len() as u64) as usize);
                abort(&log, id, index as i32 / 7);
            }
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
            let derived =
                [".index", ".timeindex", ".txnindex", ".snapshot", "leader-epoch-checkpoint"];
            if derived.iter().any(|end| name.ends_with(end)) && random.chance(1, 2) {
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
            abort(&log, id, 0);
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

fn abort(log: &Arc<Log>, id: i64, epoch: i32) {
    let marker = EndTransactionMarker { is_commit: false, coordinator_epoch: 0 };
    let mut bytes = Vec::new();
    marker.build(Offset::ZERO, ProducerId(id), ProducerEpoch(1), NOW_MS, &mut bytes).unwrap();
    let marker = BytesMut::from(&bytes[..]);
    let origin = Origin::Marker { transaction_version: 2 };
    log.append_as_leader(marker.clone(), &validated(&marker), LeaderEpoch(epoch), origin).unwrap();
}

/// Removes a file, fills it with chance bytes or zeros, or cuts it after some entry.
fn harm(rig: &Rig, random: &mut Random, path: &Path) {
    let is_of_transactions = path.extension().is_some_and(|end| end == "txnindex");
    // A transaction index that is cut between two entries, or to nothing, is believed.
    let kinds = if is_of_transactions { 2 } else { 4 };
    let kind = random.below(kinds);
    if kind == 0 {
        return rig.disk.remove_file(path).unwrap();
    }
    let file = rig.disk.open(path, Open::ReadWrite).unwrap();
    let len = file.size().unwrap();
    if kind == 1 {
        let mut bytes = vec![0; len as usize + 1];
        random.fill(&mut bytes);
        return file.write_all_at(&[IoSlice::new(&bytes)], 0).unwrap();
    }
    let from = random.below(len / 12 + 1) * 12;
    if kind == 2 {
        file.set_len(from).unwrap();
    } else {
        file.write_all_at(&[IoSlice::new(&vec![0; (len - from) as usize])], from).unwrap();
    }
}

/// The records from every offset on, the first of each timestamp, the end of each epoch.
fn answers(log: &Log) -> String {
    let end = log.appended_end();
    let records = read_all(log, Offset::ZERO).unwrap();
    let limit = Limit { bytes_max: 1, at_least_one: true };
    let read = |from| log.read(Offset(from), end, limit).unwrap().read().unwrap();
    let batches: Vec<_> = (0..end.0).map(|from| crc32c(&read(from))).collect();
    let times: Vec<_> =
        (-1..5).map(|after| log.offset_for_timestamp(NOW_MS + after, end).unwrap()).collect();
    let epochs: Vec<_> = (0..8).map(|epoch| log.end_offset_for(LeaderEpoch(epoch))).collect();
    let ranges = (0..end.0).step_by(7).map(|from| (Offset(from), Offset(from + 20)));
    let aborted: Vec<_> =
        ranges.map(|(from, to)| log.aborted_transactions(from, to).unwrap()).collect();
    let newest = log.max_timestamp(end).unwrap();
    format!("{end} {records:?} {batches:?} {times:?} {newest:?} {epochs:?} {aborted:?}")
}
