//! What there is to read changes.

use std::time::Duration;

use super::{super::Rig, Consumer, describe, nothing_new, settle};
use crate::coordinator::group::{GroupError, consumer::ConsumerHeartbeat, patterns::Resolution};

#[test]
fn topics_that_come_grow_and_go_are_picked_up() {
    let mut rig = Rig::new(&[]);
    let mut one = Consumer::new("one", &["a", "b"]);
    one.join(&mut rig).unwrap();
    assert!(one.has.is_empty() && one.epoch == 2);
    let a = rig.topic("a", 1);
    settle(&mut rig, &mut [&mut one]);
    assert_eq!((one.has.len(), one.epoch), (1, 3));
    rig.topic("a", 3);
    rig.reload();
    settle(&mut rig, &mut [&mut one]);
    assert_eq!((one.has.len(), one.epoch), (3, 4));
    let b = rig.topic("b", 1);
    rig.topic("other", 1);
    settle(&mut rig, &mut [&mut one]);
    assert_eq!((one.has.len(), one.epoch), (4, 5));
    rig.delete_topic(a);
    settle(&mut rig, &mut [&mut one]);
    assert_eq!((one.has.clone(), one.epoch), ([(b, 0)].into(), 6));
    // A reload alone is no news.
    rig.reload();
    settle(&mut rig, &mut [&mut one]);
    assert_eq!(one.epoch, 6);
}

#[test]
fn a_new_subscription_takes_effect_at_once() {
    let mut rig = Rig::new(&[]);
    let (a, b) = (rig.topic("a", 1), rig.topic("b", 1));
    let mut one = Consumer::new("one", &["a"]);
    one.join(&mut rig).unwrap();
    assert_eq!(one.has, [(a, 0)].into());
    one.topics = vec!["b".to_owned()];
    one.tell_all(&mut rig).unwrap();
    assert_eq!(one.clings_to, [(a, 0)].into());
    settle(&mut rig, &mut [&mut one]);
    assert_eq!(one.has, [(b, 0)].into());
    assert!(rig.core.get("g").unwrap().is_subscribed_to("b"));
    assert!(!rig.core.get("g").unwrap().is_subscribed_to("a"));
}

#[test]
fn a_regular_expression_stands_for_the_topics_that_it_fits_now_and_later() {
    let mut rig = Rig::new(&[]);
    let a1 = rig.topic("a-1", 1);
    let b = rig.topic("b", 1);
    let mut one = Consumer::new("one", &[]).with_pattern("a-.*");
    one.join(&mut rig).unwrap();
    assert!(one.has.is_empty(), "the topics are still looked for");
    one.beat(&mut rig).unwrap();
    assert_eq!(one.has, [(a1, 0)].into());
    let a2 = rig.topic("a-2", 1);
    rig.reload();
    rig.passes(Duration::from_secs(11));
    settle(&mut rig, &mut [&mut one]);
    assert_eq!(one.has, [(a1, 0), (a2, 0)].into());
    assert!(rig.core.get("g").unwrap().is_subscribed_to("a-2"));
    // By name as well, and then by name alone.
    one.topics = vec!["b".to_owned()];
    one.tell_all(&mut rig).unwrap();
    settle(&mut rig, &mut [&mut one]);
    assert_eq!(one.has.len(), 3);
    one.pattern = Some(String::new());
    one.tell_all(&mut rig).unwrap();
    settle(&mut rig, &mut [&mut one]);
    assert_eq!(one.has, [(b, 0)].into());
    assert!(!rig.core.get("g").unwrap().is_subscribed_to("a-2"));
    rig.reload();
    assert!(!rig.core.get("g").unwrap().is_subscribed_to("a-2"));
}

#[test]
fn an_expression_that_is_none_changes_nothing() {
    let mut rig = Rig::new(&[]);
    rig.topic("a", 1);
    let mut one = Consumer::new("one", &[]).with_pattern("a(");
    let told = one.join(&mut rig);
    assert!(matches!(told, Err(GroupError::InvalidRegularExpression(_))), "{told:?}");
    assert!(rig.log.is_empty() && rig.core.get("g").is_none());
    let mut one = Consumer::new("one", &["a"]);
    one.join(&mut rig).unwrap();
    let (before, written) = (describe(&mut rig).unwrap(), rig.log.len());
    one.pattern = Some("a(".to_owned());
    assert!(one.tell_all(&mut rig).is_err());
    assert_eq!((describe(&mut rig).unwrap(), rig.log.len()), (before, written));
}

#[test]
fn one_who_asks_looks_for_the_topics_and_others_wait_for_it_so_long() {
    let mut rig = Rig::new(&[]);
    rig.topic("a", 1);
    let beat = |rig: &mut Rig, id: &str, pattern: &str| {
        let mut request = nothing_new(id, 0);
        (request.rebalance_timeout_ms, request.owned) = (30_000, Some(Vec::new()));
        request.pattern = Some(pattern);
        rig.happens(|groups, scene| groups.consumer_heartbeat(&request, scene)).unwrap().unresolved
    };
    assert_eq!(beat(&mut rig, "one", "a"), ["a".into()]);
    assert!(beat(&mut rig, "two", "b").is_empty());
    // Nobody tells: the next one who comes does it.
    rig.passes(Duration::from_secs(30));
    assert!(beat(&mut rig, "one", "a").is_empty());
    rig.passes(Duration::from_secs(30));
    assert_eq!(beat(&mut rig, "one", "a"), ["a".into()]);
    rig.passes(Duration::from_secs(30));
    assert!(beat(&mut rig, "one", "a").is_empty());
    // What comes too late, or for somebody else, is no harm.
    let topics = || ["a".into()].into();
    let patterns = vec![("a".into(), topics()), ("b".into(), topics())];
    let found = Resolution { patterns, version: rig.image.position.offset };
    for group in ["g", "nobody"] {
        let found = found.clone();
        rig.happens(|groups, scene| groups.patterns_resolved(group, found, scene)).unwrap();
    }
    assert!(rig.core.get("g").unwrap().is_subscribed_to("a"));
    // A topic came meanwhile that was not seen.
    rig.topic("a-1", 1);
    assert!(beat(&mut rig, "one", "a").is_empty(), "not so soon again");
    rig.passes(Duration::from_secs(11));
    assert_eq!(beat(&mut rig, "one", "a"), ["a".into()]);
}

#[test]
fn hostile_37_a_flood_of_expressions_is_turned_away_and_the_others_stay() {
    let mut rig = Rig::new(&[]);
    rig.topic("a", 1);
    let member = |number: usize| Consumer::new(&format!("m{number:03}"), &[]);
    let refused = |told: Result<(), GroupError>| match told {
        Err(GroupError::InvalidRegularExpression(why)) => why,
        told => panic!("{told:?}"),
    };
    for number in 0..64 {
        member(number).with_pattern(&format!("a|{number}")).join(&mut rig).unwrap();
    }
    let why = refused(member(64).with_pattern("a|64").join(&mut rig));
    assert_eq!(why, "the group subscribes by 64 expressions already");
    member(65).with_pattern("a|63").join(&mut rig).unwrap();
    member(63).with_pattern("a|62").join(&mut rig).unwrap();
    assert_eq!(describe(&mut rig).unwrap().members.len(), 65);
    // Other groups of the same partition, until all is full.
    let long = "a".repeat(4000);
    let mut taken = 0;
    let why = loop {
        let (group, mut request) = (format!("g{taken}"), nothing_new("m", 0));
        (request.rebalance_timeout_ms, request.owned) = (30_000, Some(Vec::new()));
        (request.group, request.pattern) = (&group, Some(&*long));
        match rig.happens(|groups, scene| groups.consumer_heartbeat(&request, scene)) {
            Ok(_) => taken += 1,
            Err(error) => break refused(Err(error)),
        }
    };
    assert_eq!(why, "the broker's groups subscribe to as much by expressions as they may");
    assert_eq!(taken, (16 << 20) / long.len());
    // Room that was given back is there again, also after a reload.
    rig.reload();
    let other = long.replace('a', "b");
    let mut first = Consumer::new("m000", &[]).with_pattern(&other);
    refused(first.join(&mut rig));
    rig.happens(|groups, scene| {
        let leave = ConsumerHeartbeat { group: "g0", ..nothing_new("m", -1) };
        groups.consumer_heartbeat(&leave, scene)
    })
    .unwrap();
    first.join(&mut rig).unwrap();
}

#[test]
fn settings_of_the_group_count_at_once() {
    let mut rig = Rig::new(&[]);
    rig.topic("a", 1);
    let mut one = Consumer::new("one", &["a"]);
    one.join(&mut rig).unwrap();
    rig.configure_group("g", "consumer.session.timeout.ms", "60000");
    one.beat(&mut rig).unwrap();
    rig.passes(Duration::from_secs(50));
    assert_eq!(describe(&mut rig).unwrap().members.len(), 1);
    rig.passes(Duration::from_secs(11));
    assert_eq!(describe(&mut rig).unwrap().members.len(), 0);
}
