//! What is moved and deleted under transactions.

use std::time::{Duration, Instant};

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
