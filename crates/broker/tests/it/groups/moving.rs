//! The log of groups moves to another log directory while they are used.

use std::time::{Duration, Instant};

use milena_protocol::{
    ErrorCode,
    api::{
        AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse, ApiKey, DescribeLogDirsRequest,
        DescribeLogDirsResponse,
        alter_replica_log_dirs::request::{AlterReplicaLogDir, AlterReplicaLogDirTopic},
    },
};

use crate::{
    client::{Client, code},
    consumer::Consumer,
    member::Member,
    rig::Rig,
};

const OFFSETS: &str = "__consumer_offsets";
pub(crate) const DIRECTORIES: [&str; 2] = ["/data", "/more"];

/// In which directory the topic's one partition is, unless it is on its way.
pub(crate) fn directory(client: &mut Client, topic: &str) -> Option<&'static str> {
    let request = DescribeLogDirsRequest { topics: None };
    let answer = client.call(ApiKey::DescribeLogDirs, 4, &request).unwrap();
    let told: DescribeLogDirsResponse<'_> = answer.read();
    let has_it = |directory: &str| {
        let found = told.results.iter().find(|it| it.log_dir == directory).unwrap();
        found.topics.iter().any(|found| found.name == topic)
    };
    let [here, there] = DIRECTORIES.map(has_it);
    (here != there).then_some(if here { DIRECTORIES[0] } else { DIRECTORIES[1] })
}

pub(crate) fn move_to(client: &mut Client, name: &str, path: &str) {
    let topic = AlterReplicaLogDirTopic { name, partitions: vec![0] };
    let request =
        AlterReplicaLogDirsRequest { dirs: vec![AlterReplicaLogDir { path, topics: vec![topic] }] };
    let answer = client.call(ApiKey::AlterReplicaLogDirs, 2, &request).unwrap();
    let told: AlterReplicaLogDirsResponse<'_> = answer.read();
    assert_eq!(code(told.results[0].partitions[0].error_code), ErrorCode::None);
}

/// What a client asks again.
fn is_for_a_while(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::CoordinatorNotAvailable
            | ErrorCode::NotCoordinator
    )
}

fn in_the_end(mut ask: impl FnMut() -> ErrorCode) {
    let begun = Instant::now();
    loop {
        match ask() {
            ErrorCode::None => return,
            code => assert!(is_for_a_while(code), "{code:?}"),
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "it never serves again");
    }
}

#[test]
fn groups_go_on_when_their_log_moves_to_another_directory() {
    let mut rig = Rig::start(
        "log.dirs=/data,/more\noffsets.topic.num.partitions=1\n\
         group.initial.rebalance.delay.ms=0",
    );
    let (mut client, mut second) = (rig.client(), rig.client());
    assert_eq!(client.create_topic("news", 1, &[]), ErrorCode::None);
    client.find_coordinator("classic");
    let mut member = Member::of("classic");
    member.join(&mut client).unwrap().unwrap();
    member.sync(&mut client, &[]).unwrap().unwrap();
    let mut consumer = Consumer { topics: Some(vec!["news"]), ..Consumer::of("consumers") };
    consumer.beat_until(&mut second, |consumer| consumer.has.len() == 1);

    let mut offset = 0;
    for _ in 0..4 {
        let from = directory(&mut second, OFFSETS).unwrap();
        let to = DIRECTORIES[usize::from(from == DIRECTORIES[0])];
        move_to(&mut second, OFFSETS, to);
        let begun = Instant::now();
        loop {
            let is_there = directory(&mut second, OFFSETS) == Some(to);
            offset += 1;
            in_the_end(|| member.commit(&mut client, "news", &[(0, offset)]).unwrap());
            in_the_end(|| consumer.commit(&mut second, "news", &[(0, offset)]));
            if is_there {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "it never gets there");
        }
        in_the_end(|| member.heartbeat(&mut client).unwrap());
        in_the_end(|| consumer.beat(&mut second));
        for group in ["classic", "consumers"] {
            assert_eq!(client.committed(group, "news", &[0]).unwrap(), Ok(vec![offset]));
        }
    }
    // The log there is all that is left of it.
    rig.kill();
    rig.start_again().unwrap();
    let mut client = rig.client();
    client.find_coordinator("classic");
    assert_eq!(member.heartbeat(&mut client).unwrap(), ErrorCode::None);
    assert_eq!(consumer.beat(&mut client), ErrorCode::None);
    for group in ["classic", "consumers"] {
        assert_eq!(client.committed(group, "news", &[0]).unwrap(), Ok(vec![offset]));
    }
}
