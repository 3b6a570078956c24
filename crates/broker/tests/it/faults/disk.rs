//! Disks that fail, fill up and stall. The second log directory is the one that suffers: the
//! first one holds the metadata.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use milena_env::disk::simulated::Operation;
use milena_protocol::{ErrorCode, api::ApiKey};

use crate::{
    client::{self, Client, batch, produce_request},
    rig::Rig,
};

/// A broker with two log directories, and which partitions of `t` are in the second one.
fn two_directories() -> (Rig, Vec<i32>, Vec<i32>) {
    let rig = Rig::start("log.dirs=/data,/other");
    let mut client = rig.client();
    assert_eq!(client.create_topic("t", 6, &[]), ErrorCode::None);
    // A folder is there when something was written.
    for partition in 0..6 {
        assert_eq!(client.produce("t", partition, &batch(&["first"])).code, ErrorCode::None);
    }
    let is_elsewhere = |partition: &i32| {
        let path = format!("/other/t-{partition}");
        let disk: Arc<dyn milena_env::Disk> = rig.disk.clone();
        (0..200).any(|_| {
            let found = disk.metadata(path.as_ref()).is_ok();
            let home = disk.metadata(format!("/data/t-{partition}").as_ref()).is_ok();
            if !found && !home {
                std::thread::sleep(Duration::from_millis(5));
            }
            found
        })
    };
    let (there, here): (Vec<i32>, Vec<i32>) = (0..6).partition(is_elsewhere);
    assert!(!there.is_empty() && !here.is_empty(), "{there:?} {here:?}");
    (rig, there, here)
}

fn values(client: &mut Client, partition: i32) -> Vec<Vec<u8>> {
    let read = client.read_all("t", partition, 0).unwrap();
    read.into_iter().map(|(_, value)| value).collect()
}

#[test]
fn fault_16_after_one_failed_sync_that_directory_acknowledges_nothing_and_the_others_go_on() {
    let (mut rig, there, here) = two_directories();
    rig.disk.fail_next_sync("/other");
    let mut client = rig.client();
    let mut doubtful = Vec::new();
    for round in 0..3 {
        for partition in &there {
            let value = format!("doubtful {round}");
            let produced = client.produce("t", *partition, &batch(&[&value]));
            assert_eq!(produced.code, ErrorCode::KafkaStorageError, "{partition}, round {round}");
            doubtful.push(value.into_bytes());
        }
        for partition in &here {
            assert_eq!(client.produce("t", *partition, &batch(&["on"])).code, ErrorCode::None);
        }
    }
    rig.cut_power();
    rig.start_again().unwrap();
    let mut client = rig.client();
    for partition in there {
        let values = values(&mut client, partition);
        assert_eq!(values[0], b"first", "acknowledged before the fault");
        assert!(values[1..].iter().all(|value| doubtful.contains(value)), "{values:?}");
        assert_eq!(client.produce("t", partition, &batch(&["again"])).code, ErrorCode::None);
    }
    for partition in here {
        assert_eq!(values(&mut client, partition), [&b"first"[..], b"on", b"on", b"on"]);
    }
}

#[test]
fn fault_17_a_full_disk_refuses_writes_serves_reads_and_comes_back() {
    let mut rig = Rig::start("milena.journal.bytes=4194304");
    let mut client = rig.client();
    client.create_topic("t", 1, &[("segment.bytes", "1048576")]);
    let disk: Arc<dyn milena_env::Disk> = rig.disk.clone();
    let space = disk.space("/data".as_ref()).unwrap();
    rig.disk.set_capacity(Some(space.total - space.free + (6 << 20)));
    let mut acknowledged = 0;
    let refused = loop {
        let large = batch(&[vec![acknowledged as u8; 200_000]]);
        let produced = client.produce("t", 0, &large);
        if produced.code != ErrorCode::None {
            break produced.code;
        }
        assert_eq!(produced.base_offset, acknowledged);
        acknowledged += 1;
        assert!(acknowledged < 200, "the disk never fills");
    };
    assert_eq!(refused, ErrorCode::KafkaStorageError);
    // How many depends on how far the journal had grown when the disk became small.
    assert!(acknowledged > 0);
    let read = client.read_all("t", 0, 0).unwrap();
    assert!(read.len() as i64 >= acknowledged, "reads go on");
    rig.disk.set_capacity(None);
    let patience = Instant::now();
    let again = loop {
        let produced = client.produce("t", 0, &batch(&["again"]));
        if produced.code == ErrorCode::None {
            break produced.base_offset;
        }
        assert!(patience.elapsed() < Duration::from_secs(15), "{:?} for ever", produced.code);
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(again >= acknowledged);
    rig.cut_power();
    rig.start_again().unwrap();
    let read = rig.client().read_all("t", 0, 0).unwrap();
    for (offset, value) in &read[..acknowledged as usize] {
        assert_eq!(*value, vec![*offset as u8; 200_000]);
    }
    assert!(read.contains(&(again, b"again".to_vec())));
}

/// Deleting topics is how a full disk is relieved, and the records that say so want room, too.
#[test]
fn fault_17_a_full_disk_gets_room_again_by_deleting_a_topic() {
    let rig = Rig::start("milena.journal.bytes=4194304");
    let mut client = rig.client();
    client.create_topic("large", 1, &[]);
    client.create_topic("t", 1, &[]);
    for number in 0..100 {
        let produced = client.produce("large", 0, &batch(&[vec![number; 700_000]]));
        assert_eq!(produced.code, ErrorCode::None);
    }
    let disk: Arc<dyn milena_env::Disk> = rig.disk.clone();
    let space = disk.space("/data".as_ref()).unwrap();
    rig.disk.set_capacity(Some(space.total - space.free + (20 << 20)));
    let patience = Instant::now();
    let mut until = |wanted| loop {
        let produced = client.produce("t", 0, &batch(&["a"])).code;
        if produced == wanted {
            break;
        }
        assert!(patience.elapsed() < Duration::from_secs(30), "{produced:?} for ever");
        std::thread::sleep(Duration::from_millis(50));
    };
    until(ErrorCode::KafkaStorageError);
    let mut admin = rig.client();
    assert_eq!(admin.delete_topic("large"), ErrorCode::None, "the controller goes on");
    until(ErrorCode::None);
}

#[test]
fn fault_40_a_stalled_disk_harms_no_other_directory_and_no_reader() {
    let (rig, there, here) = two_directories();
    let stall = rig.disk.stall(Operation::Sync, "/other");
    let mut waiting = rig.client();
    let slow = batch(&["slow"]);
    for partition in &there {
        let request = produce_request("t", -1, &[(*partition, &slow)]);
        waiting.send(ApiKey::Produce, 12, &request).unwrap();
    }
    stall.wait_until_reached();
    let mut client = rig.client();
    for round in 0..20 {
        for partition in &here {
            let produced = client.produce("t", *partition, &batch(&["on"]));
            assert_eq!((produced.code, produced.base_offset), (ErrorCode::None, round + 1));
        }
        for partition in &there {
            // What was acknowledged is read; what waits is not shown.
            assert_eq!(values(&mut client, *partition), [b"first"]);
        }
    }
    drop(stall);
    for _ in &there {
        let answer = waiting.receive(ApiKey::Produce, 12).unwrap();
        let produced = &client::produced(&answer)[0];
        assert_eq!((produced.code, produced.base_offset), (ErrorCode::None, 1));
    }
}

/// Without a journal records are acknowledged before they are synced, but not left so.
#[test]
fn what_is_not_synced_at_once_is_after_so_many_records_or_so_long() {
    for (settings, of_topic, records) in [
        ("", [("flush.messages", "5")], 5),
        ("log.flush.scheduler.interval.ms=20", [("flush.messages", "1000")], 1),
    ] {
        let rig = Rig::start(settings);
        let mut client = rig.client();
        client.create_topic("lazy", 1, &of_topic);
        let since = Instant::now();
        let stall = rig.disk.stall(Operation::Sync, "/data/lazy-0/00000000000000000000.log");
        for _ in 0..records {
            assert_eq!(client.produce("lazy", 0, &batch(&["one"])).code, ErrorCode::None);
        }
        stall.wait_until_reached();
        drop(stall);
        assert!(since.elapsed() < Duration::from_secs(30), "only by the minute");
    }
}
