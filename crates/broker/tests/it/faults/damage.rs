//! Files that rot, or are lost, while the broker is down.

use std::sync::Arc;

use milena_env::Disk;
use milena_protocol::ErrorCode;

use crate::{
    client::{Client, batch},
    rig::Rig,
};

/// Three segments of five large batches each, and some; then the broker is stopped in order.
fn stopped() -> (Rig, Vec<(i64, Vec<u8>)>) {
    let mut rig = Rig::start("");
    let mut client = rig.client();
    client.create_topic("t", 1, &[("segment.bytes", "1048576")]);
    for number in 0..17 {
        let produced = client.produce("t", 0, &batch(&[vec![number; 200_000]]));
        assert_eq!(produced.code, ErrorCode::None);
    }
    let records = client.read_all("t", 0, 0).unwrap();
    assert_eq!(records.len(), 17);
    rig.stop();
    (rig, records)
}

/// The names in the partition's folder that end so.
fn files(rig: &Rig, ending: &str) -> Vec<String> {
    let disk: Arc<dyn Disk> = rig.disk.clone();
    let names = disk.list("/data/t-0".as_ref()).unwrap().into_iter().map(|entry| entry.name);
    names.filter(|name| name.ends_with(ending)).map(|name| format!("/data/t-0/{name}")).collect()
}

fn offsets_by_time(client: &mut Client) -> Vec<Result<i64, ErrorCode>> {
    [-2, -1, 0, 1, 2, i64::MAX].map(|time| client.offset_at("t", 0, time)).to_vec()
}

#[test]
fn fault_13_a_torn_tail_that_no_checksum_proves_is_cut_and_nothing_else_is() {
    for survivors in [0, 1, 2] {
        let (mut rig, records) = stopped();
        // As after somebody else's crash: no word of a clean stop, and half a batch at the end.
        let disk: Arc<dyn Disk> = rig.disk.clone();
        disk.remove_file("/data/.kafka_cleanshutdown".as_ref()).unwrap();
        let last = files(&rig, ".log").pop().unwrap();
        let file = disk.open(last.as_ref(), milena_env::disk::Open::ReadWrite).unwrap();
        let size = file.size().unwrap();
        let torn = batch(&[vec![9; 1000]]);
        let part = &torn[..[1, 61, torn.len() - 1][survivors]];
        file.write_all_at(&[std::io::IoSlice::new(part)], size).unwrap();
        drop(file);
        rig.start_again().unwrap();
        let mut client = rig.client();
        assert_eq!(client.read_all("t", 0, 0).unwrap(), records);
        assert_eq!(client.produce("t", 0, &batch(&["next"])).base_offset, 17);
        assert_eq!(client.read_all("t", 0, 17).unwrap(), [(17, b"next".to_vec())]);
    }
}

#[test]
fn fault_14_a_rotten_batch_is_never_served_and_costs_no_other() {
    let (mut rig, records) = stopped();
    let first = &files(&rig, ".log")[0];
    // In the value of the third record.
    rig.disk.flip_bit(first.as_ref(), 2 * 200_080 + 1000).unwrap();
    rig.start_again().unwrap();
    rig.disk.drop_caches();
    let mut client = rig.client();
    assert_eq!(client.fetch("t", 0, 2).code, ErrorCode::CorruptMessage);
    assert_eq!(client.read_all("t", 0, 3).unwrap(), records[3..]);
    assert_eq!(client.produce("t", 0, &batch(&["next"])).base_offset, 17);
}

#[test]
fn fault_15_lost_indexes_snapshots_and_epochs_change_no_answer() {
    let (mut rig, records) = stopped();
    rig.start_again().unwrap();
    let before = offsets_by_time(&mut rig.client());
    for ending in [".index", ".timeindex", ".snapshot", "leader-epoch-checkpoint"] {
        rig.stop();
        let disk: Arc<dyn Disk> = rig.disk.clone();
        let lost = files(&rig, ending);
        assert!(!lost.is_empty(), "{ending}");
        for file in lost {
            disk.remove_file(file.as_ref()).unwrap();
        }
        rig.start_again().unwrap();
        let mut client = rig.client();
        assert_eq!(offsets_by_time(&mut client), before, "without {ending}");
        assert_eq!(client.read_all("t", 0, 0).unwrap(), records, "without {ending}");
    }
}
