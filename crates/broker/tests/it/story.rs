//! What a first user does, from creating a topic to reading it again after a restart.

use std::path::Path;

use milena_env::Disk;
use milena_protocol::{ErrorCode, api::ApiKey};

use crate::{
    client::{self, batch, produce_request},
    rig::Rig,
};

#[test]
fn a_topic_is_created_written_read_and_deleted_and_survives_restarts() {
    let mut rig = Rig::start("");
    let mut client = rig.client();
    assert_eq!(client.create_topic("news", 2, &[]), ErrorCode::None);
    assert_eq!(client.create_topic("news", 2, &[]), ErrorCode::TopicAlreadyExists);

    let first = client.produce("news", 0, &batch(&["a", "b"]));
    assert_eq!((first.code, first.base_offset), (ErrorCode::None, 0));
    let two = batch(&["c"]);
    let leader_alone = produce_request("news", 1, &[(0, &two), (1, &two)]);
    let second = client.produced(&leader_alone).unwrap();
    assert_eq!((second[0].base_offset, second[1].base_offset), (2, 0));
    let nothing_to_say = produce_request("news", 0, &[(0, &two)]);
    client.send(ApiKey::Produce, 12, &nothing_to_say).unwrap();
    // The answer to what comes next is the next answer: acks=0 has none.
    assert_eq!(client.offset_at("news", 1, -1), Ok(1));
    // It is seen when it is durable, which nobody was asked to wait for.
    while client.offset_at("news", 0, -1) != Ok(4) {}

    let all = |values: &[&str]| -> Vec<(i64, Vec<u8>)> {
        (0..).zip(values.iter().map(|value| value.as_bytes().to_vec())).collect()
    };
    let mut expected = all(&["a", "b", "c", "c"]);
    assert_eq!(client.read_all("news", 0, 0).unwrap(), expected);
    assert_eq!(client.read_all("news", 0, 2).unwrap(), expected[2..]);
    // The second record of the first batch has the time 2.
    assert_eq!(client.offset_at("news", 0, 2), Ok(1));
    assert_eq!(client.offset_at("news", 0, -2), Ok(0));

    for is_clean in [true, false, true] {
        if is_clean {
            rig.stop()
        } else {
            rig.kill()
        }
        rig.start_again().unwrap();
        let mut client = rig.client();
        assert_eq!(client.read_all("news", 0, 0).unwrap(), expected);
        let next = client.produce("news", 0, &batch(&["again"]));
        assert_eq!((next.code, next.base_offset), (ErrorCode::None, expected.len() as i64));
        expected.push((next.base_offset, b"again".to_vec()));
    }

    let mut client = rig.client();
    assert_eq!(client.delete_topic("news"), ErrorCode::None);
    let gone = client.fetch("news", 0, 0);
    assert_eq!(gone.code, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(client.create_topic("news", 1, &[]), ErrorCode::None);
    assert_eq!(client.read_all("news", 0, 0).unwrap(), []);
}

#[test]
fn answers_come_in_the_order_of_the_requests() {
    let rig = Rig::start("");
    let mut client = rig.client();
    client.create_topic("t", 1, &[]);
    let one = batch(&["one"]);
    let request = produce_request("t", -1, &[(0, &one)]);
    let sent: Vec<i32> =
        (0..50).map(|_| client.send(ApiKey::Produce, 12, &request).unwrap()).collect();
    for (number, correlation_id) in (0..).zip(sent) {
        let answer = client.receive(ApiKey::Produce, 12).unwrap();
        assert_eq!(answer.correlation_id(), correlation_id);
        assert_eq!(client::produced(&answer)[0].base_offset, number);
    }
}

#[test]
fn an_answer_to_a_fetch_is_no_larger_than_fetch_max_bytes_save_its_first_batch() {
    let rig = Rig::start("fetch.max.bytes=2000\n");
    let mut client = rig.client();
    client.create_topic("news", 1, &[]);
    for _ in 0..5 {
        client.produce("news", 0, &batch(&["x".repeat(700)]));
    }
    client.produce("news", 0, &batch(&["y".repeat(5000)]));
    let read = |client: &mut client::Client, from| client.fetch("news", 0, from).values().len();
    assert_eq!((read(&mut client, 0), read(&mut client, 4), read(&mut client, 5)), (2, 1, 1));
}

#[test]
fn a_partition_that_the_metadata_do_not_know_is_set_aside_and_kept() {
    let mut rig = Rig::start("");
    let mut client = rig.client();
    client.create_topic("known", 1, &[]);
    client.create_topic("moved", 1, &[]);
    for topic in ["known", "moved"] {
        client.produce(topic, 0, &batch(&["value"]));
    }
    rig.stop();
    {
        let disk: &dyn Disk = &*rig.disk;
        disk.rename(Path::new("/data/moved-0"), Path::new("/data/stranger-0")).unwrap();
        let whose = b"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAbw\n";
        disk.replace(Path::new("/data/stranger-0/partition.metadata"), whose).unwrap();
    }
    rig.start_again().unwrap();
    assert_eq!(rig.client().read_all("known", 0, 0).unwrap().len(), 1);
    let disk: &dyn Disk = &*rig.disk;
    let names = disk.list(Path::new("/data")).unwrap().into_iter().map(|entry| entry.name);
    let strays: Vec<String> = names.filter(|name| name.ends_with("-stray")).collect();
    assert!(strays.len() == 1 && strays[0].starts_with("stranger-0."), "{strays:?}");
    let log = Path::new("/data").join(&strays[0]).join("00000000000000000000.log");
    assert!(disk.read(&log).unwrap().ends_with(b"value\0"));
}
