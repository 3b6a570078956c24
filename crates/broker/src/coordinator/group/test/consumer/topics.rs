//! What there is to read changes.

use std::time::Duration;

use super::{super::Rig, Consumer, describe, settle};
use crate::coordinator::group::GroupError;

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
    assert!(rig.groups.get("g").unwrap().is_subscribed_to("b"));
    assert!(!rig.groups.get("g").unwrap().is_subscribed_to("a"));
}

#[test]
fn a_regular_expression_stands_for_the_topics_that_it_fits_now_and_later() {
    let mut rig = Rig::new(&[]);
    let a1 = rig.topic("a-1", 1);
    let b = rig.topic("b", 1);
    let mut one = Consumer::new("one", &[]).with_pattern("a-.*");
    one.join(&mut rig).unwrap();
    assert_eq!(one.has, [(a1, 0)].into());
    let a2 = rig.topic("a-2", 1);
    rig.reload();
    rig.passes(Duration::from_secs(11));
    settle(&mut rig, &mut [&mut one]);
    assert_eq!(one.has, [(a1, 0), (a2, 0)].into());
    assert!(rig.groups.get("g").unwrap().is_subscribed_to("a-2"));
    // By name as well, and then by name alone.
    one.topics = vec!["b".to_owned()];
    one.tell_all(&mut rig).unwrap();
    settle(&mut rig, &mut [&mut one]);
    assert_eq!(one.has.len(), 3);
    one.pattern = Some(String::new());
    one.tell_all(&mut rig).unwrap();
    settle(&mut rig, &mut [&mut one]);
    assert_eq!(one.has, [(b, 0)].into());
    assert!(!rig.groups.get("g").unwrap().is_subscribed_to("a-2"));
    rig.reload();
    assert!(!rig.groups.get("g").unwrap().is_subscribed_to("a-2"));
}

#[test]
fn an_expression_that_is_none_changes_nothing() {
    let mut rig = Rig::new(&[]);
    rig.topic("a", 1);
    let mut one = Consumer::new("one", &[]).with_pattern("a(");
    let told = one.join(&mut rig);
    assert!(matches!(told, Err(GroupError::InvalidRegularExpression(_))), "{told:?}");
    assert!(rig.log.is_empty() && rig.groups.get("g").is_none());
    let mut one = Consumer::new("one", &["a"]);
    one.join(&mut rig).unwrap();
    let (before, written) = (describe(&mut rig).unwrap(), rig.log.len());
    one.pattern = Some("a(".to_owned());
    assert!(one.tell_all(&mut rig).is_err());
    assert_eq!((describe(&mut rig).unwrap(), rig.log.len()), (before, written));
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
