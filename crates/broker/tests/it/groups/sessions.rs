//! Members that sleep, go and are replaced while others wait for them.

use std::time::{Duration, Instant};

use milena_protocol::ErrorCode;

use crate::{client::Client, member::Member, rig::Rig};

const SETTINGS: &str = "group.min.session.timeout.ms=100\ngroup.initial.rebalance.delay.ms=0";
/// Longer than it takes a member to come from one request to the next.
const SESSION_MS: i32 = 1500;
const LONGER: Duration = Duration::from_millis(SESSION_MS as u64 + 500);

fn rig() -> (Rig, Client) {
    let rig = Rig::start(SETTINGS);
    let mut client = rig.client();
    assert_eq!(client.create_topic("news", 2, &[]), ErrorCode::None);
    client.find_coordinator("readers");
    (rig, client)
}

/// Whoever of them leads gives each the other's name, and all are told.
fn settle(members: &mut [(&mut Member, &mut Client)]) {
    let mut led = 0;
    for (member, client) in &mut *members {
        let others = member.receive_join(client).unwrap().unwrap();
        led += usize::from(!others.is_empty());
        let name = |(id, _): &(String, Vec<u8>)| (id.clone(), id.as_bytes().to_vec());
        let assignments: Vec<_> = others.iter().map(name).collect();
        member.send_sync(client, &assignments).unwrap();
    }
    assert_eq!(led, 1);
    for (member, client) in members {
        let assigned = member.receive_sync(client).unwrap().unwrap();
        assert_eq!(assigned, member.id.as_bytes());
    }
}

/// Two members, the first of which has a short session.
fn two(rig: &Rig) -> [(Member, Client); 2] {
    let (mut one, mut two) = (Member::of("readers"), Member::of("readers"));
    one.session_ms = SESSION_MS;
    let (mut first, mut second) = (rig.client(), rig.client());
    // The second one leads, and so is the first one's coming answered when both are there.
    two.begin_join(&mut second);
    settle(&mut [(&mut two, &mut second)]);
    one.begin_join(&mut first);
    while two.heartbeat(&mut second).unwrap() != ErrorCode::RebalanceInProgress {}
    two.send_join(&mut second).unwrap();
    settle(&mut [(&mut one, &mut first), (&mut two, &mut second)]);
    [(one, first), (two, second)]
}

#[test]
fn fault_34_who_sleeps_beyond_its_session_cannot_commit_when_it_wakes() {
    let (rig, mut watcher) = rig();
    let [(mut one, mut first), (mut two, mut second)] = two(&rig);
    assert_eq!(one.commit(&mut first, "news", &[(0, 5)]).unwrap(), ErrorCode::None);
    assert_eq!(two.commit(&mut second, "news", &[(1, 7)]).unwrap(), ErrorCode::None);
    let asleep = Instant::now();
    while two.heartbeat(&mut second).unwrap() != ErrorCode::RebalanceInProgress {
        std::thread::sleep(Duration::from_millis(20));
        assert!(asleep.elapsed() < Duration::from_secs(20), "its session never ends");
    }
    assert!(asleep.elapsed() > Duration::from_millis(SESSION_MS as u64 / 2), "too soon");
    let before = two.generation;
    two.send_join(&mut second).unwrap();
    settle(&mut [(&mut two, &mut second)]);
    assert_eq!(two.generation, before + 1);
    assert_eq!(two.commit(&mut second, "news", &[(0, 9)]).unwrap(), ErrorCode::None);

    let told = one.commit(&mut first, "news", &[(0, 6), (1, 6)]).unwrap();
    assert_eq!(told, ErrorCode::UnknownMemberId);
    assert_eq!(one.heartbeat(&mut first).unwrap(), ErrorCode::UnknownMemberId);
    assert_eq!(one.sync(&mut first, &[]).unwrap(), Err(ErrorCode::UnknownMemberId));
    assert_eq!(one.join(&mut first).unwrap(), Err(ErrorCode::UnknownMemberId));
    assert_eq!(watcher.committed("readers", "news", &[0, 1]).unwrap(), Ok(vec![9, 7]));
    assert_eq!(two.heartbeat(&mut second).unwrap(), ErrorCode::None, "nobody else feels it");

    // It comes back as somebody new; a commit of the generation before is one of yesterday.
    one.id.clear();
    one.begin_join(&mut first);
    let yesterday = two.clone();
    while two.heartbeat(&mut second).unwrap() != ErrorCode::RebalanceInProgress {}
    two.send_join(&mut second).unwrap();
    settle(&mut [(&mut one, &mut first), (&mut two, &mut second)]);
    let told = yesterday.commit(&mut second, "news", &[(0, 8)]).unwrap();
    assert_eq!(told, ErrorCode::IllegalGeneration);
    assert_eq!(watcher.committed("readers", "news", &[0, 1]).unwrap(), Ok(vec![9, 7]));
    assert_eq!(two.commit(&mut second, "news", &[(1, 8)]).unwrap(), ErrorCode::None);
}

#[test]
fn fault_34_a_static_member_that_was_replaced_is_fenced() {
    let (rig, mut watcher) = rig();
    let mut old = Member { instance_id: Some("desk-1"), ..Member::of("readers") };
    let (mut first, mut second) = (rig.client(), rig.client());
    old.begin_join(&mut first);
    settle(&mut [(&mut old, &mut first)]);
    assert_eq!(old.commit(&mut first, "news", &[(0, 5)]).unwrap(), ErrorCode::None);

    let mut new = Member { instance_id: Some("desk-1"), ..Member::of("readers") };
    assert_eq!(new.join(&mut second).unwrap().map(|others| others.len()), Ok(1));
    assert_eq!((new.generation, new.id == old.id), (old.generation, false));
    assert_eq!(new.commit(&mut second, "news", &[(0, 9)]).unwrap(), ErrorCode::None);
    assert_eq!(old.commit(&mut first, "news", &[(0, 6)]).unwrap(), ErrorCode::FencedInstanceId);
    assert_eq!(old.heartbeat(&mut first).unwrap(), ErrorCode::FencedInstanceId);
    assert_eq!(old.sync(&mut first, &[]).unwrap(), Err(ErrorCode::FencedInstanceId));
    assert_eq!(old.join(&mut first).unwrap(), Err(ErrorCode::FencedInstanceId));
    assert_eq!(watcher.committed("readers", "news", &[0, 1]).unwrap(), Ok(vec![9, -1]));
    assert_eq!(new.heartbeat(&mut second).unwrap(), ErrorCode::None);
}

#[test]
fn hostile_33_a_client_that_goes_while_it_joins_or_waits_for_its_part_holds_nobody_up() {
    let (rig, _) = rig();
    let [(one, mut first), (mut two, mut second)] = two(&rig);
    // A third one joins, and its client goes before the others have come again.
    let mut third = Member { session_ms: SESSION_MS, ..Member::of("readers") };
    let mut gone = rig.client();
    third.begin_join(&mut gone);
    while two.heartbeat(&mut second).unwrap() != ErrorCode::RebalanceInProgress {}
    gone.hang_up();
    let since = Instant::now();
    // The first one joins, and waits for its part; then its client goes as well.
    one.send_join(&mut first).unwrap();
    two.send_join(&mut second).unwrap();
    let others = two.receive_join(&mut second).unwrap().unwrap();
    let names: Vec<&str> = others.iter().map(|(id, _)| id.as_str()).collect();
    assert!(names.contains(&&*two.id) && names.contains(&&*one.id), "{names:?}");
    let mut one = one;
    one.receive_join(&mut first).unwrap().unwrap();
    one.send_sync(&mut first, &[]).unwrap();
    drop(first);
    let assignments = [(two.id.clone(), b"all".to_vec())];
    assert_eq!(two.sync(&mut second, &assignments).unwrap(), Ok(b"all".to_vec()));
    while two.heartbeat(&mut second).unwrap() == ErrorCode::None {
        std::thread::sleep(Duration::from_millis(20));
        assert!(since.elapsed() < LONGER * 4, "those who are gone are never missed");
    }
    two.send_join(&mut second).unwrap();
    settle(&mut [(&mut two, &mut second)]);
    assert!(since.elapsed() < LONGER * 4, "{:?}", since.elapsed());
}

#[test]
fn a_stop_answers_those_who_wait_in_a_group_at_once() {
    let mut rig =
        Rig::start("group.initial.rebalance.delay.ms=0\nmilena.shutdown.timeout.ms=20000");
    let mut watcher = rig.client();
    watcher.find_coordinator("readers");
    watcher.find_coordinator("writers");
    // One waits for the other's JoinGroup, one for its leader.
    let mut clients: Vec<Client> = (0..4).map(|_| rig.client()).collect();
    let [first, second, third, fourth] = &mut clients[..] else { unreachable!() };
    let mut one = Member::of("readers");
    one.begin_join(first);
    settle(&mut [(&mut one, first)]);
    Member::of("readers").begin_join(second);
    let (mut three, mut four) = (Member::of("writers"), Member::of("writers"));
    three.begin_join(third);
    settle(&mut [(&mut three, third)]);
    four.begin_join(fourth);
    while three.heartbeat(third).unwrap() != ErrorCode::RebalanceInProgress {}
    three.send_join(third).unwrap();
    three.receive_join(third).unwrap().unwrap();
    four.receive_join(fourth).unwrap().unwrap();
    four.send_sync(fourth, &[]).unwrap();
    while one.heartbeat(first).unwrap() != ErrorCode::RebalanceInProgress {}
    // The SyncGroup came before this on another connection, and may still be on its way.
    std::thread::sleep(Duration::from_millis(100));

    let since = Instant::now();
    rig.stop();
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    let told = Member::of("readers").receive_join(second).unwrap();
    assert!(told.clone().is_err_and(ErrorCode::is_retriable), "{told:?}");
    let told = four.receive_sync(fourth).unwrap();
    assert!(told.clone().is_err_and(ErrorCode::is_retriable), "{told:?}");
    assert!(first.is_closed() && third.is_closed());
}
