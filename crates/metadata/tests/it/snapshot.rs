//! Snapshots: written when asked for or when the log has grown, and believed at the next start.

use std::{path::Path, sync::Arc};

use milena_env::{Disk, SimulatedDisk};
use milena_metadata::{METADATA_TOPIC, controller::CreateTopics, quorum::preview};
use milena_storage::TopicPartition;

use crate::{
    rig::{Rig, block_on},
    story::{create, topic},
};

fn snapshots(disk: &SimulatedDisk) -> Vec<String> {
    let entries = disk.list(Path::new("/data/__cluster_metadata-0")).unwrap();
    let names = entries.into_iter().map(|entry| entry.name);
    names.filter(|name| name.ends_with(".checkpoint")).collect()
}

/// Waits for the thread that writes it.
fn wait_for_snapshot(rig: &Rig) -> String {
    for _ in 0..2_000 {
        if let [name] = &snapshots(&rig.disk)[..] {
            return name.clone();
        }
        // Whatever the quorum does with it comes before this answer.
        block_on(rig.node.describe_quorum()).unwrap();
        std::thread::yield_now();
    }
    panic!("no snapshot in {:?}", snapshots(&rig.disk));
}

#[test]
fn a_node_starts_from_a_snapshot_and_the_rest_of_the_log() {
    let rig = Rig::start(SimulatedDisk::new(1), 1).unwrap();
    for name in ["a", "b"] {
        rig.ask::<CreateTopics>(&create([topic(name, 70)]));
    }
    let end = rig.image().position.offset + 1;
    rig.node.request_snapshot();
    assert!(wait_for_snapshot(&rig).starts_with(&format!("{end:020}-0000000001")));
    rig.ask::<CreateTopics>(&create([topic("c", 3)]));
    let before = rig.image();

    let rig = Rig::start(rig.crash(), 2).unwrap();
    let after = rig.image();
    assert_eq!(after.topics.partition_count(), 143);
    assert!(after.topics.by_name("a").unwrap().partition(69).is_some());
    assert_eq!(after.topics.id("c"), before.topics.id("c"));
    assert_eq!(after.position.epoch, 2);
    // Who looks before the quorum runs sees the same.
    let name = TopicPartition { topic: METADATA_TOPIC.into(), partition: 0 };
    let log = rig.directory.log(&name).unwrap();
    let disk = Arc::clone(&rig.disk) as Arc<dyn Disk>;
    let seen = preview(&disk, rig.directory.path(), &log).unwrap();
    assert_eq!((&seen.topics, &seen.cluster), (&after.topics, &after.cluster));
    // The start is told once, as if all had been created just now.
    let heard = rig.heard.lock().unwrap();
    assert_eq!((heard.len(), heard[0].0.topics.len()), (1, 3));
    drop(heard);

    let rig = Rig::start(rig.stop(), 3).unwrap();
    rig.ask::<CreateTopics>(&create([topic("d", 1)]));
    assert_eq!(rig.image().topics.len(), 4);
}

#[test]
fn a_log_that_grows_is_cut_off_behind_a_snapshot() {
    let rig = Rig::start_with(SimulatedDisk::new(2), 1, |it| it.snapshot_bytes = 2_000).unwrap();
    rig.ask::<CreateTopics>(&create([topic("a", 100)]));
    let first = wait_for_snapshot(&rig);
    let mut topics = 1;
    while wait_for_snapshot(&rig) == first {
        rig.ask::<CreateTopics>(&create([topic(&format!("b{topics}"), 100)]));
        topics += 1;
        assert!(topics < 100, "the older one stays for ever");
    }
    let rig = Rig::start(rig.crash(), 2).unwrap();
    assert_eq!(rig.image().topics.partition_count(), topics * 100);
}

#[test]
fn a_snapshot_that_is_damaged_is_not_believed() {
    let rig = Rig::start(SimulatedDisk::new(3), 1).unwrap();
    rig.ask::<CreateTopics>(&create([topic("a", 1)]));
    rig.node.request_snapshot();
    let name = wait_for_snapshot(&rig);
    let disk = rig.stop();
    let path = Path::new("/data/__cluster_metadata-0").join(name);
    disk.flip_bit(&path, 120).unwrap();
    let error = Rig::start(disk, 2).err().unwrap().to_string();
    assert!(error.contains("is damaged"), "{error}");
}
