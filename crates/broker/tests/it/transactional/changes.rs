//! What is moved, deleted and used up under transactions.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use milena_protocol::ErrorCode;

use super::coordinator::{carried_out, state_of};
use crate::{
    client::Client,
    groups::moving::{DIRECTORIES, directory, move_to},
    producer::Producer,
    rig::Rig,
};

/// Writes a transaction of one record to `t` and one to `u`.
fn transaction(client: &mut Client, producer: &mut Producer, value: &str, committed: bool) {
    for topic in ["t", "u"] {
        let told = producer.produce(client, topic, 0, value).unwrap();
        assert_eq!(told, ErrorCode::None, "{value} to {topic}");
    }
    assert_eq!(producer.end(client, committed).unwrap(), ErrorCode::None, "{value}");
}

#[test]
fn transactions_go_on_when_their_log_or_a_partition_moves_to_another_directory() {
    for version in [0, 2] {
        let settings = "log.dirs=/data,/more\ntransaction.state.log.num.partitions=1\n";
        let rig = Rig::start(settings);
        let (mut client, mut second) = (rig.client(), rig.client());
        let mut producers = ["one", "two"].map(|id| Producer::new(id, version));
        client.create_topic("t", 1, &[]);
        client.create_topic("u", 1, &[]);
        for producer in &mut producers {
            assert_eq!(producer.init(&mut client).unwrap(), ErrorCode::None);
        }
        let (mut number, mut committed) = (0, Vec::new());
        let mut go_on = |client: &mut Client| {
            for producer in &mut producers {
                let value = format!("{} {number}", producer.transactional_id);
                let commits = number % 3 > 0;
                transaction(client, producer, &value, commits);
                if commits {
                    committed.push(value);
                }
            }
            number += 1;
        };
        go_on(&mut client);
        for name in ["__transaction_state", "t", "__transaction_state", "u"] {
            let from = directory(&mut second, name).unwrap();
            let to = DIRECTORIES[usize::from(from == DIRECTORIES[0])];
            move_to(&mut second, name, to);
            let begun = Instant::now();
            while directory(&mut second, name) != Some(to) {
                go_on(&mut client);
                assert!(begun.elapsed() < Duration::from_secs(20), "{name} does not arrive");
            }
            go_on(&mut client);
        }
        for id in ["one", "two"] {
            carried_out(&mut client, id);
        }
        for topic in ["t", "u"] {
            let (seen, stable) = client.read_committed(topic, 0);
            assert_eq!(stable, client.end_of(topic, 0, 0));
            assert_eq!(seen, committed, "version {version}, {topic}");
        }
    }
}

#[test]
fn a_topic_that_is_deleted_holds_no_transaction_up() {
    for (version, commits) in [(0, true), (2, true), (2, false)] {
        let rig = Rig::start("transaction.state.log.num.partitions=1\n");
        let mut client = rig.client();
        client.create_topic("t", 1, &[]);
        client.create_topic("u", 1, &[]);
        let mut producer = Producer::new("shop", version);
        assert_eq!(producer.init(&mut client).unwrap(), ErrorCode::None);
        for topic in ["t", "u"] {
            let told = producer.produce(&mut client, topic, 0, "one").unwrap();
            assert_eq!(told, ErrorCode::None);
        }
        assert_eq!(client.delete_topic("u"), ErrorCode::None);
        assert_eq!(producer.end(&mut client, commits).unwrap(), ErrorCode::None);
        carried_out(&mut client, "shop");
        let expected = if commits { "CompleteCommit" } else { "CompleteAbort" };
        assert_eq!(state_of(&mut client, "shop").unwrap(), expected);
        assert_eq!(client.read_committed("t", 0).0.len(), usize::from(commits));
        assert_eq!(client.end_of("t", 0, 1), client.end_of("t", 0, 0), "nothing is open");
    }
}

#[test]
fn fault_17_a_disk_that_is_full_for_a_while_delays_decisions_and_changes_none() {
    let settings = "milena.journal.bytes=4194304\ntransaction.state.log.num.partitions=1\n";
    let rig = Rig::start(settings);
    let mut client = rig.client();
    client.create_topic("t", 1, &[("segment.bytes", "1048576")]);
    let mut producer = Producer::new("shop", 2);
    assert_eq!(producer.init(&mut client).unwrap(), ErrorCode::None);
    let disk: Arc<dyn milena_env::Disk> = rig.disk.clone();
    let space = disk.space("/data".as_ref()).unwrap();
    rig.disk.set_capacity(Some(space.total - space.free + (6 << 20)));
    let full = Arc::clone(&rig.disk);
    let release = std::thread::spawn(move || {
        // It is full when nothing is written any more.
        let free = || disk.space("/data".as_ref()).unwrap().free;
        let mut last = u64::MAX;
        while last != free() {
            last = free();
            std::thread::sleep(Duration::from_millis(700));
        }
        full.set_capacity(None);
    });
    let (mut expected, mut left) = (Vec::new(), 5);
    for number in 0.. {
        left -= i32::from(release.is_finished());
        let value = format!("{number} {}", "x".repeat(200_000));
        let told = producer.produce(&mut client, "t", 0, &value).unwrap();
        assert!([ErrorCode::None, ErrorCode::KafkaStorageError].contains(&told), "{told:?}");
        // What was begun is committed, in the end.
        let mut ended = producer.end(&mut client, true).unwrap();
        if ended == ErrorCode::InvalidTxnState {
            assert_ne!(told, ErrorCode::None, "nothing was begun");
            ended = producer.end(&mut client, false).unwrap();
        }
        assert_eq!(ended, ErrorCode::None);
        if told == ErrorCode::None {
            expected.push(value);
        }
        if left == 0 {
            break;
        }
    }
    release.join().unwrap();
    assert!(expected.len() > 5, "{} were committed", expected.len());
    carried_out(&mut client, "shop");
    let (seen, stable) = client.read_committed("t", 0);
    assert_eq!(stable, client.end_of("t", 0, 0));
    let number = |value: &String| value.split(' ').next().unwrap().to_owned();
    let [seen, expected] = [seen, expected].map(|it| it.iter().map(number).collect::<Vec<_>>());
    assert_eq!(seen, expected);
}
