//! Who may not speak for a member, and what is refused.

use milena_protocol::{ProducerId, Uuid};

use super::{super::Rig, Consumer, by_topic, nothing_new, send, settle};
use crate::coordinator::group::{
    GroupError,
    consumer::ConsumerHeartbeat,
    offsets::{CommitRequest, Committer, PartitionCommit, TopicCommit},
};

fn joining(member_id: &str) -> ConsumerHeartbeat<'_> {
    ConsumerHeartbeat {
        rebalance_timeout_ms: 30_000,
        topics: Some(vec!["t"]),
        owned: Some(Vec::new()),
        ..nothing_new(member_id, 0)
    }
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let mut rig = Rig::new(&[]);
    rig.topic("t", 1);
    let mut refuses = |request: ConsumerHeartbeat<'_>| {
        let told = send(&mut rig, &request);
        assert!(matches!(told, Err(GroupError::InvalidRequest(_))), "{request:?}: {told:?}");
    };
    refuses(joining(" "));
    refuses(ConsumerHeartbeat { group: "", ..joining("m") });
    refuses(ConsumerHeartbeat { instance_id: Some(""), ..joining("m") });
    refuses(ConsumerHeartbeat { rack_id: Some(" "), ..joining("m") });
    refuses(ConsumerHeartbeat { rebalance_timeout_ms: -1, ..joining("m") });
    refuses(ConsumerHeartbeat { owned: None, ..joining("m") });
    refuses(ConsumerHeartbeat { topics: None, ..joining("m") });
    refuses(nothing_new("m", -2));
    refuses(nothing_new("m", -3));
    refuses(ConsumerHeartbeat { version: 0, ..nothing_new("", 1) });
    refuses(ConsumerHeartbeat { version: 0, ..nothing_new("", -1) });
    let told = send(&mut rig, &ConsumerHeartbeat { assignor: Some("sticky"), ..joining("m") });
    assert!(matches!(told, Err(GroupError::UnsupportedAssignor(_))), "{told:?}");
    assert!(rig.log.is_empty() && rig.core.get("g").is_none());
}

#[test]
fn nobody_speaks_in_a_group_that_is_not_there_or_without_being_a_member() {
    let mut rig = Rig::new(&[]);
    rig.topic("t", 1);
    let told = send(&mut rig, &nothing_new("m", 1));
    assert!(matches!(told, Err(GroupError::GroupIdNotFound(_))), "{told:?}");
    send(&mut rig, &joining("m")).unwrap();
    for request in [
        nothing_new("other", 1),
        nothing_new("other", -1),
        ConsumerHeartbeat { instance_id: Some("i"), ..nothing_new("m", 2) },
        ConsumerHeartbeat { instance_id: Some("i"), ..nothing_new("m", -2) },
    ] {
        let told = send(&mut rig, &request);
        assert!(matches!(told, Err(GroupError::UnknownMemberId(_))), "{request:?}: {told:?}");
    }
}

#[test]
fn a_member_speaks_from_its_epoch_or_from_the_one_before_if_it_missed_the_answer() {
    let mut rig = Rig::new(&[]);
    let topic = rig.topic("t", 1);
    let (mut one, mut two) = (Consumer::new("one", &["t"]), Consumer::new("two", &["t"]));
    one.join(&mut rig).unwrap();
    two.join(&mut rig).unwrap();
    settle(&mut rig, &mut [&mut one, &mut two]);
    let (id, epoch) = (&*one.id, one.epoch);
    let fenced = |rig: &mut Rig, request: ConsumerHeartbeat<'_>| {
        let told = send(rig, &request);
        assert!(matches!(told, Err(GroupError::FencedMemberEpoch(_))), "{request:?}: {told:?}");
    };
    fenced(&mut rig, nothing_new(id, epoch + 1));
    fenced(&mut rig, nothing_new(id, epoch - 1));
    fenced(&mut rig, ConsumerHeartbeat { owned: Some(Vec::new()), ..nothing_new(id, 1) });
    let other = Some(vec![(topic, vec![7])]);
    fenced(&mut rig, ConsumerHeartbeat { owned: other, ..nothing_new(id, epoch - 1) });
    let owned = Some(by_topic(&one.has));
    let missed = ConsumerHeartbeat { owned, ..nothing_new(id, epoch - 1) };
    assert_eq!(send(&mut rig, &missed).unwrap().member_epoch, epoch);
    // Who has given up everything may join again under its id.
    let again = send(&mut rig, &joining(id)).unwrap();
    assert_eq!((again.member_epoch, again.assignment), (epoch, Some(by_topic(&one.has))));
}

#[test]
fn an_instance_belongs_to_one_member_at_a_time() {
    let mut rig = Rig::new(&[]);
    rig.topic("t", 1);
    let of_i = |request| ConsumerHeartbeat { instance_id: Some("i"), ..request };
    let one = send(&mut rig, &of_i(joining("one"))).unwrap();
    let told = send(&mut rig, &of_i(joining("two")));
    assert!(matches!(told, Err(GroupError::UnreleasedInstanceId(_))), "{told:?}");
    let told = send(&mut rig, &of_i(nothing_new("two", one.member_epoch)));
    assert!(matches!(told, Err(GroupError::FencedInstanceId(_))), "{told:?}");
    let told = send(&mut rig, &of_i(nothing_new("two", -1)));
    assert!(matches!(told, Err(GroupError::FencedInstanceId(_))), "{told:?}");
    send(&mut rig, &of_i(nothing_new("one", -2))).unwrap();
    let two = send(&mut rig, &of_i(joining("two"))).unwrap();
    assert_eq!((two.member_epoch, two.assignment), (one.member_epoch, one.assignment));
    let told = send(&mut rig, &of_i(nothing_new("one", one.member_epoch)));
    assert!(matches!(told, Err(GroupError::FencedInstanceId(_))), "{told:?}");
}

#[test]
fn a_full_group_takes_nobody_more() {
    let mut rig = Rig::new(&[("group.consumer.max.size", "1")]);
    rig.topic("t", 1);
    send(&mut rig, &joining("one")).unwrap();
    let written = rig.log.len();
    let told = send(&mut rig, &joining("two"));
    assert!(matches!(told, Err(GroupError::GroupMaxSizeReached(_))), "{told:?}");
    assert_eq!(rig.log.len(), written);
    send(&mut rig, &joining("one")).unwrap();
}

#[test]
fn a_member_commits_in_its_epoch_and_what_it_has_had_also_later() {
    let mut rig = Rig::new(&[]);
    let topic = rig.topic("t", 2);
    let (mut one, mut two) = (Consumer::new("one", &["t"]), Consumer::new("two", &["t"]));
    one.join(&mut rig).unwrap();
    let early = one.epoch;
    two.join(&mut rig).unwrap();
    settle(&mut rig, &mut [&mut one, &mut two]);
    let kept = one.has.first().unwrap().1;
    let commit = |rig: &mut Rig, member_id, generation, index, version| {
        let committer = Committer { member_id, instance_id: None, generation, version };
        let partition = PartitionCommit { index, offset: 1, leader_epoch: -1, metadata: "" };
        let topics = vec![TopicCommit { name: "t", id: topic, partitions: vec![partition] }];
        let request = CommitRequest { group: "g", committer, retention_ms: -1, topics };
        rig.happens(|groups, scene| groups.commit(&request, scene))
    };
    commit(&mut rig, "one", one.epoch, kept, 9).unwrap();
    commit(&mut rig, "one", early, kept, 9).unwrap();
    let stale = |told| assert!(matches!(told, Err(GroupError::StaleMemberEpoch(_))), "{told:?}");
    // It had that one then, and it may be somebody else's by now.
    stale(commit(&mut rig, "one", early, 1 - kept, 9));
    stale(commit(&mut rig, "one", one.epoch + 1, kept, 9));
    // The other one has its partition since later.
    stale(commit(&mut rig, "two", early, 1 - kept, 9));
    let told = commit(&mut rig, "one", one.epoch, kept, 8);
    assert!(matches!(told, Err(GroupError::UnsupportedVersion(_))), "{told:?}");
    let told = commit(&mut rig, "", -1, kept, 9);
    assert!(matches!(told, Err(GroupError::UnknownMemberId(_))), "{told:?}");
    let fetch = |rig: &Rig, member, epoch| rig.core.fetch("g", member, epoch, |_, _| ()).map(drop);
    fetch(&rig, Some("one"), one.epoch).unwrap();
    fetch(&rig, None, -1).unwrap();
    stale(fetch(&rig, Some("one"), early));
    let told = fetch(&rig, Some("three"), 1);
    assert!(matches!(told, Err(GroupError::UnknownMemberId(_))), "{told:?}");
    one.leave(&mut rig, -1).unwrap();
    two.leave(&mut rig, -1).unwrap();
    commit(&mut rig, "", -1, kept, 9).unwrap();
}

#[test]
fn a_transaction_commits_as_its_consumer_would_or_as_nobody() {
    let mut rig = Rig::new(&[]);
    let topic = rig.topic("t", 2);
    let (mut one, mut two) = (Consumer::new("one", &["t"]), Consumer::new("two", &["t"]));
    one.join(&mut rig).unwrap();
    let early = one.epoch;
    two.join(&mut rig).unwrap();
    settle(&mut rig, &mut [&mut one, &mut two]);
    let kept = one.has.first().unwrap().1;
    let commit = |rig: &mut Rig, member_id, instance_id, generation, (id, index)| {
        let committer = Committer { member_id, instance_id, generation, version: i16::MAX };
        let partition = PartitionCommit { index, offset: 1, leader_epoch: -1, metadata: "" };
        let topics = vec![TopicCommit { name: "t", id, partitions: vec![partition] }];
        let request = CommitRequest { group: "g", committer, retention_ms: -1, topics };
        rig.happens(|groups, scene| groups.commit_in_transaction(ProducerId(9), &request, scene))
    };
    commit(&mut rig, "one", None, one.epoch, (topic, kept)).unwrap();
    commit(&mut rig, "one", None, early, (topic, kept)).unwrap();
    // Older producers do not say whose offsets they are.
    commit(&mut rig, "", None, -1, (topic, 1 - kept)).unwrap();
    let illegal = |told| assert!(matches!(told, Err(GroupError::IllegalGeneration)), "{told:?}");
    illegal(commit(&mut rig, "one", None, early, (topic, 1 - kept)));
    illegal(commit(&mut rig, "one", None, one.epoch + 1, (topic, kept)));
    illegal(commit(&mut rig, "one", None, early, (Uuid::ZERO, kept)));
    for (member, instance, epoch) in
        [("three", None, 1), ("", None, 0), ("three", None, -1), ("", Some("i"), -1)]
    {
        let told = commit(&mut rig, member, instance, epoch, (topic, kept));
        assert!(matches!(told, Err(GroupError::UnknownMemberId(_))), "{member} {epoch}: {told:?}");
    }
    let pending = rig.core.fetch("g", None, -1, |committed, pending| {
        (committed.is_empty(), [0, 1].map(|index| pending.is_pending("g", "t", index)))
    });
    assert_eq!(pending.unwrap(), Some((true, [true; 2])), "none of it counts yet");
}
