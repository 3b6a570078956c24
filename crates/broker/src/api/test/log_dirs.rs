//! Partitions that are moved between log directories.

use std::{path::Path, time::Duration};

use milena_env::{Clock, RealClock, SimulatedDisk, disk::simulated::Operation};
use milena_protocol::{
    ErrorCode, Offset,
    api::{
        AlterReplicaLogDirsRequest, ApiKey, DescribeLogDirsRequest, ListOffsetsRequest,
        alter_replica_log_dirs::request::{AlterReplicaLogDir, AlterReplicaLogDirTopic},
        list_offsets::request::{ListOffsetsPartition, ListOffsetsTopic},
    },
    records::BatchBuilder,
};
use serde_json::{Value, json};

use super::{PATIENCE, Rig};
use crate::{authorizer::Everybody, server::Server};

/// Writes a record; says at which offset.
fn produce(rig: &mut Rig) -> Value {
    let mut builder = BatchBuilder::new(Offset(0));
    builder.append(1, None, Some(b"value"), []);
    let answer = rig.produce(&builder);
    let answer = &answer["responses"][0]["partitionResponses"][0];
    assert_eq!(answer["errorCode"], 0, "{answer}");
    answer["baseOffset"].clone()
}

fn alter(rig: &mut Rig, path: &str, name: &str, partition: i32) -> Value {
    let topics = vec![AlterReplicaLogDirTopic { name, partitions: vec![partition] }];
    let request = AlterReplicaLogDirsRequest { dirs: vec![AlterReplicaLogDir { path, topics }] };
    let answer = rig.ask(ApiKey::AlterReplicaLogDirs, &request);
    answer["results"][0]["partitions"][0]["errorCode"].clone()
}

/// The directories that hold something of partition 0, and what.
fn places(rig: &mut Rig) -> Vec<(String, Value)> {
    let answer = rig.ask(ApiKey::DescribeLogDirs, &DescribeLogDirsRequest { topics: None });
    let results = answer["results"].as_array().unwrap().iter();
    let held = results.filter_map(|result| {
        let topics = result["topics"].as_array().unwrap();
        let mut partitions =
            topics.iter().flat_map(|topic| topic["partitions"].as_array().unwrap());
        let first = partitions.find(|partition| partition["partitionIndex"] == 0)?;
        Some((result["logDir"].as_str().unwrap().to_owned(), first.clone()))
    });
    held.collect()
}

fn wait_until_only_in(rig: &mut Rig, path: &str) {
    let patience = RealClock.monotonic() + PATIENCE;
    loop {
        let found = places(rig);
        if let [(there, held)] = &found[..]
            && there == path
            && held["isFutureKey"] == false
        {
            assert_eq!(held["offsetLag"], 0);
            return;
        }
        assert!(RealClock.monotonic() < patience, "{found:?}");
        RealClock.sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_partition_moves_to_another_log_directory_while_it_is_used_and_stays_there() {
    let disk = SimulatedDisk::new(3);
    let settings = "log.dirs=/data,/other\n";
    let mut rig = Rig::on(&disk, settings, Box::new(Everybody));
    rig.create_topic("t");
    for offset in 0..5 {
        assert_eq!(produce(&mut rig), offset);
    }
    let from = places(&mut rig)[0].0.clone();
    let to = if from == "/data" { "/other" } else { "/data" };
    assert_eq!(alter(&mut rig, "/nowhere", "t", 0), json!(57), "LOG_DIR_NOT_FOUND");
    assert_eq!(alter(&mut rig, to, "absent", 0), json!(3), "UNKNOWN_TOPIC_OR_PARTITION");
    assert_eq!(alter(&mut rig, to, "t", 2), json!(3));
    assert_eq!(alter(&mut rig, to, &"t".repeat(230), 0), json!(17), "INVALID_TOPIC_EXCEPTION");
    assert_eq!(alter(&mut rig, &from, "t", 0), json!(0), "it is there");
    wait_until_only_in(&mut rig, &from);

    assert_eq!(alter(&mut rig, to, "t", 0), json!(0));
    wait_until_only_in(&mut rig, to);
    assert_eq!(produce(&mut rig), 5);
    // One without records.
    assert_eq!(alter(&mut rig, to, "t", 1), json!(0));
    assert_eq!(alter(&mut rig, &from, "t", 1), json!(0));
    drop(rig);
    let mut rig = Rig::on(&disk, settings, Box::new(Everybody));
    wait_until_only_in(&mut rig, to);
    assert_eq!(produce(&mut rig), 6);
    assert_eq!(alter(&mut rig, &from, "t", 0), json!(0));
    wait_until_only_in(&mut rig, &from);
    assert_eq!(produce(&mut rig), 7);
}

#[test]
fn a_log_directory_is_told_and_asked_for_by_its_absolute_path_however_it_was_written() {
    let mut rig = Rig::start("log.dirs=data,./other/\n");
    rig.create_topic("t");
    produce(&mut rig);
    let here = std::env::current_dir().unwrap();
    let absolute = |name: &str| here.join(name).to_str().unwrap().to_owned();
    let answer = rig.ask(ApiKey::DescribeLogDirs, &DescribeLogDirsRequest { topics: None });
    let told = |at: usize| answer["results"][at]["logDir"].as_str();
    let both = [absolute("data"), absolute("other")];
    assert_eq!([told(0), told(1)], [Some(&*both[0]), Some(&*both[1])]);
    for path in ["data", "./other/"] {
        assert_eq!(alter(&mut rig, path, "t", 0), json!(57), "LOG_DIR_NOT_FOUND, as Kafka says");
    }
    for path in both {
        assert_eq!(alter(&mut rig, &path, "t", 0), json!(0));
        wait_until_only_in(&mut rig, &path);
    }
}

#[test]
fn a_move_between_log_directories_keeps_its_rate() {
    let disk = SimulatedDisk::new(5);
    let throttled = "log.dirs=/data,/other\nreplica.alter.log.dirs.io.max.bytes.per.second=300\n";
    let mut rig = Rig::on(&disk, throttled, Box::new(Everybody));
    rig.create_topic("t");
    for _ in 0..6 {
        produce(&mut rig);
    }
    let (from, held) = places(&mut rig).remove(0);
    let bytes = held["partitionSize"].as_u64().unwrap();
    let to = if from == "/data" { "/other" } else { "/data" };
    let began = RealClock.monotonic();
    assert_eq!(alter(&mut rig, to, "t", 0), json!(0));
    wait_until_only_in(&mut rig, to);
    let took = RealClock.monotonic() - began;
    assert!(took >= Duration::from_millis(bytes * 1000 / 300), "{bytes} bytes in {took:?}");
}

#[test]
fn a_move_goes_on_after_a_stop_and_after_a_kill() {
    for is_killed in [false, true] {
        let mut disk = SimulatedDisk::new(7);
        let throttled = "replica.alter.log.dirs.io.max.bytes.per.second=1\n";
        let both = "log.dirs=/data,/other\n";
        let mut rig = Rig::on(&disk, &format!("{both}{throttled}"), Box::new(Everybody));
        rig.create_topic("t");
        assert_eq!(produce(&mut rig), 0);
        let from = places(&mut rig).remove(0).0;
        let to = if from == "/data" { "/other" } else { "/data" };
        assert_eq!(alter(&mut rig, to, "t", 0), json!(0));
        while places(&mut rig).len() < 2 {
            RealClock.sleep(Duration::from_millis(5));
        }
        if is_killed {
            disk = disk.kill();
            // What the old one still tries to write fails.
            let _ = rig.server.take().map(Server::stop);
        }
        drop(rig);
        let mut rig = Rig::on(&disk, both, Box::new(Everybody));
        wait_until_only_in(&mut rig, to);
        assert_eq!(produce(&mut rig), 1);
    }
}

/// Waits until the metadata say that partition 0 lies where it does.
fn wait_until_told(rig: &mut Rig, path: &str) {
    let patience = RealClock.monotonic() + PATIENCE;
    loop {
        let broker = rig.server.as_ref().unwrap().broker();
        let image = broker.image();
        let partition = image.topics.by_name("t").unwrap().partition(0).unwrap();
        let lies = broker.directories.iter().find(|it| it.path() == Path::new(path)).unwrap();
        if partition.directory(broker.node_id) == lies.meta().directory_id {
            return;
        }
        assert!(RealClock.monotonic() < patience, "{partition:?}");
        RealClock.sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_controller_is_told_where_a_partition_has_moved_so_that_it_is_not_begun_anew_there() {
    let disk = SimulatedDisk::new(6);
    let start = |settings| Rig::on(&disk, settings, Box::new(Everybody));
    let mut rig = start("");
    rig.create_topic("t");
    assert_eq!(produce(&mut rig), 0);
    drop(rig);
    let both = "log.dirs=/data,/other\n";
    let mut rig = start(both);
    wait_until_told(&mut rig, "/data");
    assert_eq!(alter(&mut rig, "/other", "t", 0), json!(0));
    wait_until_only_in(&mut rig, "/other");
    wait_until_told(&mut rig, "/other");
    drop(rig);
    disk.fail_nth(Operation::Read, "/other/meta.properties", 2);
    let mut rig = start(both);
    assert!(places(&mut rig).is_empty());
    drop(rig);
    let mut rig = start(both);
    wait_until_only_in(&mut rig, "/other");
    assert_eq!(produce(&mut rig), 1);
}

#[test]
fn what_lies_in_a_log_directory_that_cannot_be_opened_is_not_begun_anew_in_another() {
    let disk = SimulatedDisk::new(4);
    let settings = "log.dirs=/data,/other\n";
    let start = || Rig::on(&disk, settings, Box::new(Everybody));
    let mut rig = start();
    rig.create_topic("t");
    assert_eq!(produce(&mut rig), 0);
    assert_eq!(alter(&mut rig, "/other", "t", 0), json!(0));
    wait_until_only_in(&mut rig, "/other");
    drop(rig);
    // It is read once before any directory is opened.
    disk.fail_nth(Operation::Read, "/other/meta.properties", 2);
    let mut rig = start();
    assert!(places(&mut rig).is_empty());
    let code = ErrorCode::KafkaStorageError as i16;
    let told = rig.ask(ApiKey::DescribeLogDirs, &DescribeLogDirsRequest { topics: None });
    let of_other = (&told["results"][1]["logDir"], &told["results"][1]["errorCode"]);
    assert_eq!(of_other, (&json!("/other"), &json!(code)));
    assert_eq!(alter(&mut rig, "/other", "t", 0), json!(code));
    let mut builder = BatchBuilder::new(Offset(0));
    builder.append(1, None, Some(b"value"), []);
    let produced = rig.produce(&builder);
    assert_eq!(produced["responses"][0]["partitionResponses"][0]["errorCode"], code);
    let wanted = ListOffsetsPartition { partition_index: 0, timestamp: -1, ..Default::default() };
    let topics = vec![ListOffsetsTopic { name: "t", partitions: vec![wanted] }];
    let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
    let listed = rig.ask(ApiKey::ListOffsets, &request);
    assert_eq!(listed["topics"][0]["partitions"][0]["errorCode"], code);
    drop(rig);
    let mut rig = start();
    wait_until_only_in(&mut rig, "/other");
    assert_eq!(produce(&mut rig), 1);
}
