//! Who comes and goes, and what becomes of its partitions.

use std::time::Duration;

use super::{super::Rig, Consumer, describe, nothing_new, send, settle};
use crate::coordinator::group::{GroupError, consumer::ConsumerHeartbeat};

#[test]
fn the_first_member_gets_everything_at_once() {
    let mut rig = Rig::new(&[]);
    let topic = rig.topic("t", 3);
    let mut one = Consumer::new("one", &["t"]);
    one.join(&mut rig).unwrap();
    assert_eq!(one.epoch, 2);
    assert_eq!(one.has, [(topic, 0), (topic, 1), (topic, 2)].into());
    let described = describe(&mut rig).unwrap();
    assert_eq!((described.state, described.epoch, described.assignment_epoch), ("Stable", 2, 2));
    assert_eq!(described.assignor, "uniform");
    assert_eq!(described.members[0].target[0].partitions, [0, 1, 2]);
    // Nothing is new, so nothing is written.
    let written = rig.log.len();
    one.beat(&mut rig).unwrap();
    assert_eq!(rig.log.len(), written);
}

#[test]
fn it_is_counted_who_comes_and_goes_and_why_an_epoch_begins() {
    let mut rig = Rig::new(&[]);
    rig.topic("t", 2);
    let (mut one, mut two) = (Consumer::new("one", &["t"]), Consumer::new("two", &["t"]));
    one.join(&mut rig).unwrap();
    two.join(&mut rig).unwrap();
    settle(&mut rig, &mut [&mut one, &mut two]);
    rig.topic("t", 3);
    settle(&mut rig, &mut [&mut one, &mut two]);
    two.leave(&mut rig, -1).unwrap();
    send(&mut rig, &nothing_new("two", 3)).unwrap_err();
    send(&mut rig, &nothing_new("one", 1)).unwrap_err();
    rig.passes(Duration::from_secs(60));
    let counted = rig.counted();
    let (steps, rest): (Vec<_>, Vec<_>) =
        counted.into_iter().partition(|it| it.0 == "member reconciled");
    let expected = [
        ("member joined", "a new member", 2),
        ("member left", "by request", 1),
        ("member left", "its session timed out", 1),
        ("refused", "no such member", 1),
        ("refused", "another member epoch", 1),
        ("epoch began", "members left", 2),
        ("epoch began", "a subscription changed", 2),
        ("epoch began", "topics changed", 1),
        ("target computed", "a new epoch", 3),
    ];
    assert_eq!(rest, expected);
    assert!(steps[0].2 >= 5, "{steps:?}");
}

#[test]
fn a_second_member_waits_until_the_first_has_given_up_its_share() {
    let mut rig = Rig::new(&[]);
    rig.topic("t", 4);
    let (mut one, mut two) = (Consumer::new("one", &["t"]), Consumer::new("two", &["t"]));
    one.join(&mut rig).unwrap();
    rig.passes(Duration::from_secs(5));
    two.join(&mut rig).unwrap();
    assert!(two.has.is_empty() && two.epoch == 3, "{two:?}");
    rig.reload();
    // The first hears of it, and clings to what it has for a while.
    one.beat(&mut rig).unwrap();
    assert_eq!((one.epoch, one.clings_to.len()), (2, 2));
    rig.reload();
    one.beat(&mut rig).unwrap();
    two.beat(&mut rig).unwrap();
    assert!(two.has.is_empty());
    one.let_go();
    one.beat(&mut rig).unwrap();
    assert_eq!((one.epoch, one.has.len()), (3, 2));
    rig.reload();
    two.beat(&mut rig).unwrap();
    assert_eq!(two.has.len(), 2);
    assert!(one.has.is_disjoint(&two.has));
    assert_eq!(describe(&mut rig).unwrap().state, "Stable");
}

#[test]
fn who_leaves_gives_everything_back_and_the_last_one_leaves_an_empty_group() {
    let mut rig = Rig::new(&[]);
    rig.topic("t", 4);
    let (mut one, mut two) = (Consumer::new("one", &["t"]), Consumer::new("two", &["t"]));
    one.join(&mut rig).unwrap();
    two.join(&mut rig).unwrap();
    settle(&mut rig, &mut [&mut one, &mut two]);
    one.leave(&mut rig, -1).unwrap();
    settle(&mut rig, &mut [&mut two]);
    assert_eq!(two.has.len(), 4);
    two.leave(&mut rig, -1).unwrap();
    let described = describe(&mut rig).unwrap();
    assert_eq!((described.state, described.members.len()), ("Empty", 0));
    rig.reload();
    assert_eq!(describe(&mut rig).unwrap(), described);
    rig.happens(|groups, scene| groups.delete_group("g", scene)).unwrap();
    assert!(rig.core.get("g").is_none());
    rig.reload();
    assert!(rig.core.get("g").is_none());
}

#[test]
fn a_silent_member_is_removed_when_its_session_is_over() {
    let mut rig = Rig::new(&[("group.consumer.session.timeout.ms", "45000")]);
    rig.topic("t", 2);
    let (mut one, mut two) = (Consumer::new("one", &["t"]), Consumer::new("two", &["t"]));
    one.join(&mut rig).unwrap();
    two.join(&mut rig).unwrap();
    settle(&mut rig, &mut [&mut one, &mut two]);
    for _ in 0..8 {
        rig.passes(Duration::from_secs(5));
        two.beat(&mut rig).unwrap();
    }
    assert_eq!(describe(&mut rig).unwrap().members.len(), 2);
    rig.passes(Duration::from_secs(6));
    settle(&mut rig, &mut [&mut two]);
    assert_eq!(two.has.len(), 2);
    assert!(matches!(one.beat(&mut rig), Err(GroupError::UnknownMemberId(_))));
    // A reload gives everybody new time, once.
    rig.reload();
    rig.passes(Duration::from_secs(46));
    assert_eq!(describe(&mut rig).unwrap().state, "Empty");
}

#[test]
fn who_does_not_give_up_in_time_is_removed() {
    let mut rig = Rig::new(&[]);
    rig.topic("t", 2);
    let (mut one, mut two) = (Consumer::new("one", &["t"]), Consumer::new("two", &["t"]));
    one.join(&mut rig).unwrap();
    rig.passes(Duration::from_secs(5));
    two.join(&mut rig).unwrap();
    one.beat(&mut rig).unwrap();
    for _ in 0..5 {
        rig.passes(Duration::from_secs(5));
        one.beat(&mut rig).unwrap();
        two.beat(&mut rig).unwrap();
        assert!(two.has.is_empty());
    }
    rig.passes(Duration::from_secs(5));
    assert!(matches!(one.beat(&mut rig), Err(GroupError::UnknownMemberId(_))));
    settle(&mut rig, &mut [&mut two]);
    assert_eq!(two.has.len(), 2);
}

#[test]
fn a_static_member_comes_back_to_what_it_had() {
    let mut rig = Rig::new(&[]);
    rig.topic("t", 4);
    let mut one = Consumer::new("one", &["t"]).of_instance("i");
    let mut two = Consumer::new("two", &["t"]);
    one.join(&mut rig).unwrap();
    two.join(&mut rig).unwrap();
    settle(&mut rig, &mut [&mut one, &mut two]);
    let (had, epoch) = (one.has.clone(), describe(&mut rig).unwrap().epoch);
    one.leave(&mut rig, -2).unwrap();
    rig.reload();
    two.beat(&mut rig).unwrap();
    assert_eq!(two.has.len(), 2);
    let mut again = Consumer::new("again", &["t"]).of_instance("i");
    again.join(&mut rig).unwrap();
    assert_eq!((&again.has, again.epoch), (&had, epoch));
    let described = describe(&mut rig).unwrap();
    assert_eq!((described.epoch, described.state), (epoch, "Stable"));
    let ids: Vec<_> = described.members.iter().map(|member| &*member.id).collect();
    assert_eq!(ids, ["again", "two"]);
    // Who never comes back is removed.
    again.leave(&mut rig, -2).unwrap();
    for _ in 0..10 {
        rig.passes(Duration::from_secs(5));
        two.let_go();
        two.beat(&mut rig).unwrap();
    }
    assert_eq!(two.has.len(), 4);
}

#[test]
fn members_of_the_first_version_are_given_an_id() {
    let mut rig = Rig::new(&[]);
    rig.topic("t", 1);
    let request = ConsumerHeartbeat {
        version: 0,
        rebalance_timeout_ms: 30_000,
        topics: Some(vec!["t"]),
        owned: Some(Vec::new()),
        ..nothing_new("", 0)
    };
    let one = send(&mut rig, &request).unwrap();
    let two = send(&mut rig, &request).unwrap();
    assert!(!one.member_id.is_empty() && one.member_id != two.member_id);
}

#[test]
fn the_assignor_is_the_one_that_most_members_like() {
    let mut rig = Rig::new(&[]);
    rig.topic("t", 4);
    let mut members: Vec<_> = ["a", "b", "c"].map(|id| Consumer::new(id, &["t"])).into();
    members[0].join(&mut rig).unwrap();
    assert_eq!(describe(&mut rig).unwrap().assignor, "uniform");
    members[1].assignor = Some("range".to_owned());
    members[1].join(&mut rig).unwrap();
    assert_eq!(describe(&mut rig).unwrap().assignor, "range");
    let mut all: Vec<_> = members.iter_mut().collect();
    all[2].join(&mut rig).unwrap();
    settle(&mut rig, &mut all);
    // Range gives in the order of the members, and the rest to the first.
    let counts: Vec<_> = members.iter().map(|member| member.has.len()).collect();
    assert_eq!(counts, [2, 1, 1]);
    assert!(members[0].has.iter().all(|(_, partition)| *partition < 2));
}

#[test]
fn targets_are_not_computed_more_often_than_the_interval_allows() {
    let mut rig = Rig::new(&[("group.consumer.assignment.interval.ms", "3000")]);
    rig.topic("t", 4);
    let (mut one, mut two) = (Consumer::new("one", &["t"]), Consumer::new("two", &["t"]));
    one.join(&mut rig).unwrap();
    two.join(&mut rig).unwrap();
    let described = describe(&mut rig).unwrap();
    assert_eq!((described.state, described.epoch), ("Assigning", 3));
    assert_eq!((described.assignment_epoch, two.epoch), (2, 2));
    rig.passes(Duration::from_secs(2));
    one.beat(&mut rig).unwrap();
    assert_eq!(describe(&mut rig).unwrap().assignment_epoch, 2);
    rig.passes(Duration::from_secs(1));
    one.beat(&mut rig).unwrap();
    assert_eq!(describe(&mut rig).unwrap().assignment_epoch, 3);
}
