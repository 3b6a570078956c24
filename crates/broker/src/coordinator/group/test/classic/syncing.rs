//! How the leader's word reaches everybody.

use std::sync::Arc;

use milena_protocol::group::{Key, Value};

use super::{
    GroupError, JoinRequest, Joined, Rig, SyncRequest, T, consumer, known, leaves, seconds, synced,
};

/// A generation of this many has begun; its leader comes first.
fn begun(rig: &mut Rig, count: usize) -> Vec<Joined> {
    let mut waiting: Vec<_> = (0..count).map(|_| rig.join(&consumer())).collect();
    rig.passes(seconds(6));
    let mut joined: Vec<_> = waiting.iter_mut().map(|it| it.take().unwrap().unwrap()).collect();
    joined.sort_by_key(|it| it.members.is_empty());
    joined
}

#[test]
fn followers_wait_for_the_leader() {
    let mut rig = Rig::new(&[]);
    let joined = begun(&mut rig, 3);
    let [leader, one, two] = &joined[..] else { panic!("{joined:?}") };
    let mut early = rig.sync(&synced(&one.member_id, 1));
    assert!(early.take().is_none());
    let assignments = vec![(&*leader.member_id, &b"L"[..]), (&*one.member_id, b"1")];
    let mut request = synced(&leader.member_id, 1);
    request.assignments = [assignments, vec![("stranger", b"?")]].concat();
    let own = rig.sync(&request).take().unwrap().unwrap();
    assert_eq!((&*own.assignment, own.protocol.as_deref()), (&b"L"[..], Some("range")));
    assert_eq!(early.take().unwrap().unwrap().assignment, &b"1"[..]);
    assert_eq!(rig.state(), "Stable");
    let late = rig.sync(&synced(&two.member_id, 1)).take().unwrap().unwrap();
    assert_eq!(late.assignment, &b""[..], "the leader had nothing for it");
    let again = rig.sync(&synced(&one.member_id, 1)).take().unwrap().unwrap();
    assert_eq!(again.assignment, &b"1"[..]);

    let before = rig.described();
    rig.reload();
    assert_eq!(rig.described(), before);
    rig.beat(&two.member_id, 1).unwrap();
}

#[test]
fn a_stable_group_is_one_record() {
    let mut rig = Rig::new(&[]);
    let (ids, _) = rig.stable(&[JoinRequest { instance_id: Some("i"), ..consumer() }]);
    let written = rig.written(0);
    let [(Key::GroupMetadata(key), Some(Value::GroupMetadata(value)))] = &*written else {
        panic!("{written:?}")
    };
    assert_eq!((key.group, value.protocol_type, value.generation), ("g", "consumer", 1));
    assert_eq!((value.protocol, value.leader), (Some("range"), Some(&*ids[0])));
    assert_eq!(
        value.current_state_timestamp,
        rig.now.wall_ms - 3_000,
        "since the generation began"
    );
    let [member] = &value.members[..] else { panic!("{value:?}") };
    assert_eq!((member.member_id, member.group_instance_id), (&*ids[0], Some("i")));
    assert_eq!((member.client_id, member.client_host), ("c", "/127.0.0.1"));
    assert_eq!((member.session_timeout, member.rebalance_timeout), (10_000, 60_000));
    assert_eq!((member.subscription, member.assignment), (T, &b"0"[..]));
}

/// What the serializer of Kafka 4.3.1 writes for the same group; only the member's id is its own.
#[test]
fn the_bytes_of_a_group_are_kafkas() {
    let mut rig = Rig::new(&[]);
    let (ids, _) = rig.stable(&[JoinRequest { instance_id: Some("i"), ..consumer() }]);
    assert!(rig.leave(&[leaves(&ids[0])])[0].is_ok());
    let id = [&(ids[0].len() as u16).to_be_bytes(), ids[0].as_bytes()].concat();
    let stable = [
        bytes("00030008636f6e73756d657200000001000572616e6765"),
        id.clone(),
        bytes("0000018bcfe573b800000001"),
        id,
        bytes("000169000163000a2f3132372e302e302e310000ea6000002710"),
        bytes("0000000d000000000001000174ffffffff0000000130"),
    ];
    let empty = bytes("00030008636f6e73756d657200000002ffffffff0000018bcfe57f7000000000");
    let key = bytes("0002000167");
    assert_eq!(rig.log, [(key.clone(), Some(stable.concat())), (key, Some(empty))]);
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2).map(|two| std::str::from_utf8(two).unwrap());
    digits.map(|two| u8::from_str_radix(two, 16).unwrap()).collect()
}

#[test]
fn who_may_not_sync_is_told_why() {
    let mut rig = Rig::new(&[]);
    let refused = |rig: &mut Rig, request: SyncRequest<'_>| {
        rig.sync(&request).take().expect("an answer at once").unwrap_err()
    };
    let error = refused(&mut rig, SyncRequest { group: "", ..synced("m", 1) });
    assert!(matches!(error, GroupError::InvalidGroupId), "{error}");
    let error = refused(&mut rig, synced("m", 1));
    assert!(matches!(error, GroupError::UnknownMemberId(_)), "{error}");
    let joined = begun(&mut rig, 1);
    let id = &*joined[0].member_id;
    let error = refused(&mut rig, synced("m", 1));
    assert!(matches!(error, GroupError::UnknownMemberId(_)), "{error}");
    for generation in [0, 2] {
        let error = refused(&mut rig, synced(id, generation));
        assert!(matches!(error, GroupError::IllegalGeneration), "{error}");
    }
    let error = refused(&mut rig, SyncRequest { protocol: Some("sticky"), ..synced(id, 1) });
    assert!(matches!(error, GroupError::InconsistentGroupProtocol), "{error}");
    let error = refused(&mut rig, SyncRequest { protocol_type: Some("x"), ..synced(id, 1) });
    assert!(matches!(error, GroupError::InconsistentGroupProtocol), "{error}");
    assert_eq!(rig.state(), "CompletingRebalance");
    let old = SyncRequest { protocol: None, protocol_type: None, ..synced(id, 1) };
    assert!(rig.sync(&old).take().unwrap().is_ok());
    let _newcomer = rig.join(&consumer());
    let error = refused(&mut rig, synced(id, 1));
    assert!(matches!(error, GroupError::RebalanceInProgress), "{error}");
}

#[test]
fn who_waits_for_an_assignment_hears_of_the_next_rebalance() {
    let mut rig = Rig::new(&[]);
    let joined = begun(&mut rig, 2);
    let mut waits = rig.sync(&synced(&joined[1].member_id, 1));
    let _newcomer = rig.join(&consumer());
    let told = waits.take().unwrap();
    assert!(matches!(told, Err(GroupError::RebalanceInProgress)), "{told:?}");
    let mut request = synced(&joined[0].member_id, 1);
    request.assignments = vec![(&joined[0].member_id, b"late")];
    let told = rig.sync(&request).take().unwrap();
    assert!(matches!(told, Err(GroupError::RebalanceInProgress)), "{told:?}");
    assert!(rig.log.is_empty(), "nothing came of the generation");
}

#[test]
fn an_assignment_that_cannot_be_written_is_refused_to_all() {
    let mut rig = Rig::new(&[]);
    let joined = begun(&mut rig, 2);
    let mut follower = rig.sync(&synced(&joined[1].member_id, 1));
    let huge = vec![7; 2 << 20];
    let mut request = synced(&joined[0].member_id, 1);
    request.assignments = vec![(&joined[0].member_id, &huge)];
    let told = [rig.sync(&request).take().unwrap(), follower.take().unwrap()];
    assert!(told.iter().all(|it| matches!(it, Err(GroupError::Write(_)))), "{told:?}");
    assert_eq!((rig.state(), rig.log.len()), ("PreparingRebalance", 0));
    let mut waiting = joined.iter().map(|it| rig.join(&known(&it.member_id))).collect::<Vec<_>>();
    let joined: Vec<_> = waiting.iter_mut().map(|it| it.take().unwrap().unwrap()).collect();
    assert_eq!(joined[0].generation, 2);
    rig.assign(&joined);
}

#[test]
fn a_leader_that_says_nothing_is_replaced() {
    let mut rig = Rig::new(&[]);
    let joined = begun(&mut rig, 2);
    let mut follower = rig.sync(&synced(&joined[1].member_id, 1));
    rig.passes(seconds(10));
    let told = follower.take().unwrap();
    assert!(matches!(told, Err(GroupError::RebalanceInProgress)), "{told:?}");
    let joined = rig.joined(&known(&joined[1].member_id));
    assert_eq!((joined.generation, joined.members.len()), (2, 1));
    rig.assign(&[joined]);
}

#[test]
fn who_is_alive_but_never_fetches_its_assignment_is_thrown_out() {
    let mut rig = Rig::new(&[]);
    let joined = begun(&mut rig, 2);
    let [leader, follower] = &joined[..] else { panic!("{joined:?}") };
    assert!(rig.sync(&synced(&leader.member_id, 1)).take().unwrap().is_ok());
    let both = [Arc::clone(&leader.member_id), Arc::clone(&follower.member_id)];
    rig.calm(&both, 1, seconds(59));
    assert_eq!(rig.state(), "Stable");
    rig.passes(seconds(1));
    assert_eq!((rig.state(), rig.described().members.len()), ("PreparingRebalance", 1));
    let told = rig.beat(&follower.member_id, 1);
    assert!(matches!(told, Err(GroupError::UnknownMemberId(_))), "{told:?}");
}

#[test]
fn who_waits_for_an_assignment_needs_no_heartbeat() {
    let mut rig = Rig::new(&[]);
    let joined = begun(&mut rig, 2);
    let [leader, follower] = &joined[..] else { panic!("{joined:?}") };
    let mut waits = rig.sync(&synced(&follower.member_id, 1));
    rig.calm(std::slice::from_ref(&leader.member_id), 1, seconds(50));
    assert!(waits.take().is_none());
    assert!(rig.sync(&synced(&leader.member_id, 1)).take().unwrap().is_ok());
    assert!(waits.take().unwrap().is_ok());
    rig.passes(seconds(9));
    rig.beat(&follower.member_id, 1).unwrap();
}

#[test]
fn whose_connection_goes_while_it_syncs_loses_its_session() {
    let mut rig = Rig::new(&[]);
    let joined = begun(&mut rig, 2);
    let [leader, follower] = &joined[..] else { panic!("{joined:?}") };
    drop(rig.sync(&synced(&follower.member_id, 1)));
    rig.calm(std::slice::from_ref(&leader.member_id), 1, seconds(9));
    rig.passes(seconds(1));
    assert_eq!((rig.state(), rig.described().members.len()), ("PreparingRebalance", 1));
}

#[test]
fn a_member_that_syncs_twice_is_answered_twice() {
    let mut rig = Rig::new(&[]);
    let joined = begun(&mut rig, 2);
    let [leader, follower] = &joined[..] else { panic!("{joined:?}") };
    let mut first = rig.sync(&synced(&follower.member_id, 1));
    let mut second = rig.sync(&synced(&follower.member_id, 1));
    let told = first.take().unwrap();
    assert!(matches!(told, Err(GroupError::RebalanceInProgress)), "{told:?}");
    assert!(second.take().is_none());
    assert!(rig.sync(&synced(&leader.member_id, 1)).take().unwrap().is_ok());
    assert!(second.take().unwrap().is_ok());
}
