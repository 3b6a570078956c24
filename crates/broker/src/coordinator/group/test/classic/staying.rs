//! How members stay, and go.

use super::{GroupError, JoinRequest, Leaving, Rig, T, U, consumer, known, leaves, seconds};
use crate::coordinator::group::offsets::{CommitRequest, Committer, PartitionCommit, TopicCommit};

#[test]
fn a_member_lives_by_its_heartbeats() {
    let mut rig = Rig::new(&[]);
    let (ids, generation) = rig.stable(&[consumer(), consumer()]);
    rig.calm(&ids, generation, seconds(60));
    assert_eq!(rig.state(), "Stable");
    rig.calm(&ids[..1], generation, seconds(9));
    rig.passes(seconds(1));
    assert_eq!((rig.state(), rig.described().members.len()), ("PreparingRebalance", 1));
    let told = rig.beat(&ids[1], generation);
    assert!(matches!(told, Err(GroupError::UnknownMemberId(_))), "{told:?}");
    assert_eq!(rig.joined(&known(&ids[0])).generation, generation + 1);
}

#[test]
fn it_is_counted_who_comes_and_goes_and_why_a_group_rebalances() {
    let mut rig = Rig::new(&[]);
    let named = JoinRequest { instance_id: Some("desk-1"), ..consumer() };
    let (ids, generation) = rig.stable(&[consumer(), named]);
    rig.commits(&ids[0], generation).unwrap();
    rig.commits("", -1).unwrap_err();
    // One dies, the other learns of it, and leaves in the end.
    rig.calm(&ids[..1], generation, seconds(9));
    rig.passes(seconds(1));
    rig.beat(&ids[1], generation).unwrap_err();
    let joined = rig.joined(&known(&ids[0]));
    rig.assign(&[joined]);
    rig.leave(&[leaves(&ids[0]), leaves("stranger")]);
    let expected = [
        ("member joined", "a new member", 1),
        ("member joined", "a new static member", 1),
        ("member joined", "again", 1),
        ("member left", "by request", 1),
        ("member left", "its session timed out", 1),
        ("refused", "no such member", 3),
        ("rebalance", "a new member", 1),
        ("rebalance", "members left", 1),
        ("rebalance", "members' sessions ended", 1),
        ("generation began", "members have joined", 2),
        ("group stable", "the leader has assigned", 2),
        ("group empty", "no member is left", 1),
        ("offsets committed", "by a member", 1),
    ];
    assert_eq!(rig.counted(), expected);
}

#[test]
fn a_heartbeat_is_checked() {
    let mut rig = Rig::new(&[]);
    let told = rig.beat("m", 1);
    assert!(matches!(told, Err(GroupError::UnknownMemberId(_))), "{told:?}");
    let (ids, generation) = rig.stable(&[consumer()]);
    let told = [rig.beat(&ids[0], generation - 1), rig.beat(&ids[0], generation + 1)];
    assert!(told.iter().all(|it| matches!(it, Err(GroupError::IllegalGeneration))), "{told:?}");
    let told = rig.beat("m", generation);
    assert!(matches!(told, Err(GroupError::UnknownMemberId(_))), "{told:?}");
    // The leader asks for a rebalance, and the generation begins at once.
    assert_eq!(rig.joined(&known(&ids[0])).generation, generation + 1);
    assert_eq!(rig.state(), "CompletingRebalance");
    rig.beat(&ids[0], generation + 1).unwrap();
}

#[test]
fn a_group_whose_members_all_die_is_empty_and_stays_so_after_a_reload() {
    let mut rig = Rig::new(&[]);
    let (ids, generation) = rig.stable(&[consumer(), consumer()]);
    rig.passes(seconds(70));
    assert_eq!((rig.state(), rig.described().members.len()), ("Empty", 0));
    assert_eq!(rig.described().protocol_type.as_ref(), "consumer");
    rig.reload();
    assert_eq!((rig.state(), rig.described().members.len()), ("Empty", 0));
    let told = rig.beat(&ids[0], generation);
    assert!(matches!(told, Err(GroupError::UnknownMemberId(_))), "{told:?}");
    let (_, later) = rig.stable(&[consumer()]);
    assert_eq!(later, generation + 2, "the empty one was a generation, too");
}

#[test]
fn members_that_leave_are_not_waited_for() {
    let mut rig = Rig::new(&[]);
    let (ids, generation) = rig.stable(&[consumer(), consumer(), consumer()]);
    let told = rig.leave(&[leaves(&ids[0]), leaves("stranger"), leaves(&ids[1])]);
    assert!(told[0].is_ok() && told[2].is_ok(), "{told:?}");
    assert!(matches!(told[1], Err(GroupError::UnknownMemberId(_))), "{told:?}");
    assert_eq!((rig.state(), rig.described().members.len()), ("PreparingRebalance", 1));
    assert_eq!(rig.joined(&known(&ids[2])).generation, generation + 1);
    assert!(rig.leave(&[leaves(&ids[2])])[0].is_ok());
    assert_eq!(rig.state(), "Empty");
    let told = rig.leave(&[leaves(&ids[2]), leaves("")]);
    let is_unknown =
        |it: &Result<(), GroupError>| matches!(it, Err(GroupError::UnknownMemberId(_)));
    assert!(told.iter().all(is_unknown), "{told:?}");
    let told = rig.happens(|groups, scene| groups.leave("none", &[leaves("m")], scene)).unwrap();
    assert!(told.iter().all(is_unknown), "{told:?}");
    let told = rig.happens(|groups, scene| groups.leave("", &[leaves("m")], scene));
    assert!(matches!(told, Err(GroupError::InvalidGroupId)), "{told:?}");
}

#[test]
fn who_leaves_while_it_waits_is_answered() {
    let mut rig = Rig::new(&[]);
    let (ids, _) = rig.stable(&[consumer(), consumer()]);
    let mut joining = rig.join(&known(&ids[0]));
    let mut newcomer = rig.join(&consumer());
    let gone = Leaving { member_id: &ids[0], instance_id: None, reason: "" };
    assert!(rig.leave(&[gone])[0].is_ok());
    let told = joining.take().unwrap().map_err(|refused| refused.error);
    assert!(matches!(told, Err(GroupError::UnknownMemberId(_))), "{told:?}");
    assert!(rig.leave(&[leaves(&ids[1])])[0].is_ok());
    assert!(newcomer.take().unwrap().is_ok(), "nobody else is waited for");
}

#[test]
fn members_have_new_sessions_after_a_reload() {
    let mut rig = Rig::new(&[]);
    let (ids, generation) = rig.stable(&[consumer(), consumer()]);
    rig.calm(&ids, generation, seconds(30));
    rig.passes(seconds(9));
    rig.reload();
    rig.passes(seconds(9));
    rig.beat(&ids[0], generation).unwrap();
    rig.passes(seconds(1));
    assert_eq!((rig.state(), rig.described().members.len()), ("PreparingRebalance", 1));
}

#[test]
fn only_members_of_this_generation_commit() {
    let mut rig = Rig::new(&[]);
    let mut waiting = rig.join(&consumer());
    rig.passes(seconds(3));
    let joined = waiting.take().unwrap().unwrap();
    let id = &*joined.member_id;
    let told = rig.commits(id, 1);
    assert!(matches!(told, Err(GroupError::RebalanceInProgress)), "{told:?}");
    rig.assign(std::slice::from_ref(&joined));
    rig.commits(id, 1).unwrap();
    let told = [rig.commits(id, 0), rig.commits(id, 2), rig.commits(id, -1)];
    assert!(told.iter().all(|it| matches!(it, Err(GroupError::IllegalGeneration))), "{told:?}");
    let told = [rig.commits("stranger", 1), rig.commits("", -1)];
    assert!(told.iter().all(|it| matches!(it, Err(GroupError::UnknownMemberId(_)))), "{told:?}");
    // It may say how far it came while the others gather, and a commit is a sign of life.
    let _newcomer = rig.join(&consumer());
    for _ in 0..4 {
        rig.passes(seconds(9));
        rig.commits(id, 1).unwrap();
    }
    assert_eq!(rig.described().members.len(), 2);
    rig.leave(&[leaves(id)]);
    rig.passes(seconds(10));
    assert_eq!(rig.state(), "Empty");
    rig.commits("", -1).unwrap();
}

#[test]
fn offsets_are_kept_while_a_member_reads_the_topic() {
    let mut rig = Rig::new(&[("offsets.retention.minutes", "60")]);
    let both = JoinRequest { protocols: vec![("range", U)], ..consumer() };
    let (ids, generation) = rig.stable(&[consumer(), both]);
    let topic = |name| TopicCommit {
        name,
        id: milena_protocol::Uuid::ZERO,
        partitions: vec![PartitionCommit { index: 0, offset: 5, leader_epoch: 0, metadata: "" }],
    };
    let committer = Committer { member_id: &ids[0], instance_id: None, generation, version: 9 };
    let topics = vec![topic("t"), topic("u"), topic("v")];
    let request = CommitRequest { group: "g", committer, retention_ms: -1, topics };
    rig.happens(|groups, scene| groups.commit(&request, scene)).unwrap();
    let kept = |rig: &Rig| {
        let group = rig.core.get("g").unwrap();
        group.offsets.iter().map(|(topic, ..)| topic.to_owned()).collect::<Vec<_>>()
    };
    rig.calm(&ids, generation, seconds(3_000));
    assert_eq!(kept(&rig), ["t", "u", "v"]);
    rig.calm(&ids, generation, seconds(1_300));
    assert_eq!(kept(&rig), ["t", "u"], "nobody reads the third");
    rig.passes(seconds(60));
    assert_eq!(rig.state(), "Empty");
    rig.passes(seconds(3_000));
    assert_eq!(kept(&rig), ["t", "u"], "the group has been empty for less than an hour");
    rig.passes(seconds(1_200));
    assert_eq!(rig.state(), "Dead");
    rig.reload();
    assert_eq!(rig.state(), "Dead");
}

#[test]
fn a_subscription_that_nobody_understands_may_be_to_any_topic() {
    for bytes in [&b""[..], b"\x00", b"\xff\xff\x00\x00\x00\x00", b"\x00\x00\x00\x00\x00\x09t"] {
        let mut rig = Rig::new(&[]);
        let odd = JoinRequest { protocols: vec![("range", bytes)], ..consumer() };
        rig.stable(&[consumer(), odd]);
        let group = rig.core.get("g").unwrap();
        assert!(group.is_subscribed_to("t") && group.is_subscribed_to("other"));
        assert!(rig.described().members.iter().any(|it| *it.metadata == *bytes));
        rig.reload();
        assert!(rig.core.get("g").unwrap().is_subscribed_to("other"));
    }
    let mut rig = Rig::new(&[]);
    rig.stable(&[consumer()]);
    let group = rig.core.get("g").unwrap();
    assert!(group.is_subscribed_to("t") && !group.is_subscribed_to("other"));
    let trailing = [T, b"and what a newer version adds"].concat();
    let mut rig = Rig::new(&[]);
    rig.stable(&[JoinRequest { protocols: vec![("range", &trailing)], ..consumer() }]);
    assert!(!rig.core.get("g").unwrap().is_subscribed_to("other"));
}

#[test]
fn offsets_of_other_kinds_of_groups_are_not_deleted_under_them() {
    let mut rig = Rig::new(&[]);
    let mut waiting = rig.join(&JoinRequest { protocol_type: "connect", ..consumer() });
    rig.passes(seconds(3));
    assert!(waiting.take().unwrap().is_ok());
    let told = rig.happens(|groups, scene| groups.delete_offsets("g", &[("t", vec![0])], scene));
    assert!(matches!(told, Err(GroupError::NonEmptyGroup)), "{told:?}");
    assert!(!rig.core.get("g").unwrap().is_subscribed_to("t"));
}

#[test]
fn only_a_stable_group_shows_its_protocol() {
    let mut rig = Rig::new(&[]);
    let (ids, _) = rig.stable(&[consumer()]);
    let stable = rig.described();
    assert_eq!(
        (stable.state, &*stable.protocol_type, &*stable.protocol),
        ("Stable", "consumer", "range")
    );
    let [member] = &stable.members[..] else { panic!("{stable:?}") };
    assert_eq!(
        (&*member.id, &*member.client_id, &*member.client_host),
        (&*ids[0], "c", "/127.0.0.1")
    );
    assert_eq!((&*member.metadata, &*member.assignment), (T, &b"0"[..]));
    let _newcomer = rig.join(&consumer());
    let preparing = rig.described();
    assert_eq!((preparing.state, &*preparing.protocol), ("PreparingRebalance", ""));
    assert!(preparing.members.iter().all(|it| it.metadata.is_empty()));
}

#[test]
fn a_deleted_group_is_gone_for_good() {
    let mut rig = Rig::new(&[]);
    let (ids, _) = rig.stable(&[consumer()]);
    rig.leave(&[leaves(&ids[0])]);
    let delete = |rig: &mut Rig| rig.happens(|groups, scene| groups.delete_group("g", scene));
    delete(&mut rig).unwrap();
    assert_eq!((rig.state(), rig.log.last().unwrap().1.is_none()), ("Dead", true));
    rig.reload();
    assert_eq!(rig.state(), "Dead");
    let (_, generation) = rig.stable(&[consumer()]);
    assert_eq!(generation, 1);
}

#[test]
fn fault_34_who_slept_beyond_its_session_changes_nothing_when_it_wakes() {
    let mut rig = Rig::new(&[]);
    let (ids, generation) = rig.stable(&[consumer(), consumer()]);
    let commits = |rig: &mut Rig, member_id: &str, generation, offset| {
        let committer = Committer { member_id, instance_id: None, generation, version: 9 };
        let partition = PartitionCommit { index: 0, offset, leader_epoch: 0, metadata: "" };
        let id = milena_protocol::Uuid::ZERO;
        let topics = vec![TopicCommit { name: "t", id, partitions: vec![partition] }];
        let request = CommitRequest { group: "g", committer, retention_ms: -1, topics };
        rig.happens(|groups, scene| groups.commit(&request, scene))
    };
    let committed = |rig: &Rig| rig.core.get("g").unwrap().offsets.get("t", 0).unwrap().offset;
    commits(&mut rig, &ids[0], generation, 5).unwrap();
    rig.calm(&ids[1..], generation, seconds(9));
    rig.passes(seconds(1));
    // The other one takes over, and goes on.
    let other = rig.joined(&known(&ids[1]));
    rig.assign(std::slice::from_ref(&other));
    commits(&mut rig, &ids[1], other.generation, 9).unwrap();
    for reloaded in [false, true] {
        let told = commits(&mut rig, &ids[0], generation, 6);
        assert!(matches!(told, Err(GroupError::UnknownMemberId(_))), "{told:?}");
        let told = commits(&mut rig, &ids[1], generation, 6);
        assert!(matches!(told, Err(GroupError::IllegalGeneration)), "{told:?}");
        assert_eq!((committed(&rig), reloaded), (9, reloaded));
        rig.reload();
    }
}
