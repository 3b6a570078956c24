//! Brokers come, stay alive, and go.

use std::time::Duration;

use milena_protocol::{
    ErrorCode,
    api::{CreateTopicsRequest, UnregisterBrokerRequest, create_topics::request::CreatableTopic},
};

use super::{Story, directory};
use crate::{
    controller::{CreateTopics, UnregisterBroker},
    image::NO_LEADER,
};

fn epoch(story: &Story, id: i32) -> i64 {
    story.image().cluster.broker(id).unwrap().epoch
}

#[test]
fn a_broker_is_fenced_until_it_has_read_everything() {
    let mut story = Story::of(0);
    let epoch = story.register(1, 5, -1).unwrap();
    assert!(story.image().cluster.broker(1).unwrap().is_fenced);
    assert!(story.beat(1, epoch, |it| it.current_metadata_offset = epoch - 1).unwrap());
    assert!(!story.beat(1, epoch, |it| it.current_metadata_offset = epoch).unwrap());
    assert_eq!(story.beat(1, epoch + 9, |_| {}), Err(ErrorCode::StaleBrokerEpoch));
    assert_eq!(story.beat(2, epoch, |_| {}), Err(ErrorCode::StaleBrokerEpoch));
}

#[test]
fn another_process_cannot_take_the_place_of_one_that_lives() {
    let mut story = Story::of(1);
    let first = epoch(&story, 1);
    assert_eq!(story.register(1, 77, -1), Err(ErrorCode::DuplicateBrokerRegistration));
    assert_eq!(story.register(1, 1, -1), Ok(first), "the same process may say it again");
    story.pass(Duration::from_secs(10));
    assert!(story.register(1, 77, -1).unwrap() > first);
    assert!(story.image().cluster.broker(1).unwrap().is_fenced);
}

#[test]
fn a_fenced_broker_leads_nothing_and_the_last_in_sync_stays_in_sync() {
    let mut story = Story::of(3);
    story.topic("a", &[&[1, 2, 3]]);
    story.topic("alone", &[&[1]]);
    story.fence(1);
    assert_eq!(story.state("a", 0), (2, 1, vec![2, 3]));
    assert_eq!(story.state("alone", 0), (NO_LEADER, 1, vec![1]));
    story.unfence(1);
    assert_eq!(story.state("a", 0), (2, 1, vec![2, 3]), "it has to catch up first");
    assert_eq!(story.state("alone", 0), (1, 2, vec![1]));
}

#[test]
fn who_is_not_heard_of_for_too_long_is_fenced() {
    let mut story = Story::with(2, |it| it.own_broker = Some(1));
    story.topic("a", &[&[2, 1]]);
    assert_eq!(story.controller.next_expiry(), Some(Duration::from_secs(9)));
    story.pass(Duration::from_secs(8));
    let second = epoch(&story, 2);
    story.beat(2, second, |_| {}).unwrap();
    story.pass(Duration::from_secs(8));
    let records = story.controller.expire(story.now).unwrap();
    assert!(records.is_empty());
    story.pass(Duration::from_secs(2));
    let records = story.controller.expire(story.now).unwrap();
    story.check(&records);
    assert_eq!(story.state("a", 0), (1, 1, vec![1]));
    assert_eq!(story.controller.next_expiry(), None, "the own broker needs no watching");
}

#[test]
fn an_orderly_stop_moves_leaders_first() {
    let mut story = Story::of(2);
    story.topic("a", &[&[1, 2]]);
    let (one, two) = (epoch(&story, 1), epoch(&story, 2));
    assert!(!story.beat(1, one, |it| it.want_shut_down = true).unwrap());
    assert!(story.image().cluster.broker(1).unwrap().in_controlled_shutdown);
    assert_eq!(story.state("a", 0), (2, 1, vec![2]));
    // The other has not read it yet.
    story.beat(2, two, |it| it.current_metadata_offset = 0).unwrap();
    let wants = |it: &mut milena_protocol::api::BrokerHeartbeatRequest| it.want_shut_down = true;
    assert!(!story.beat(1, one, wants).unwrap());
    story.beat(2, two, |_| {}).unwrap();
    assert!(story.beat(1, one, wants).unwrap());
}

#[test]
fn a_lone_broker_that_crashed_leads_in_a_new_epoch_and_one_that_stopped_in_the_old() {
    let mut story = Story::with(1, |it| it.own_broker = Some(1));
    story.topic("a", &[&[1]]);
    let restart = |story: &mut Story, life, previous| {
        story.pass(Duration::from_secs(10));
        let epoch = story.register(1, life, previous).unwrap();
        story.unfence(1);
        epoch
    };
    let second = restart(&mut story, 50, -1);
    assert_eq!(story.state("a", 0), (1, 1, vec![1]));
    restart(&mut story, 51, second);
    assert_eq!(story.state("a", 0), (1, 1, vec![1]));
}

#[test]
fn a_directory_that_failed_leads_nothing() {
    let mut story = Story::of(2);
    story.topic("a", &[&[1, 2]]);
    story.topic("alone", &[&[1]]);
    let one = epoch(&story, 1);
    story.beat(1, one, |it| it.offline_log_dirs = vec![directory(1)]).unwrap();
    assert_eq!(story.state("a", 0), (2, 1, vec![2]));
    assert_eq!(story.state("alone", 0).0, NO_LEADER);
}

#[test]
fn a_cordoned_broker_gets_no_new_partitions() {
    let mut story = Story::of(2);
    let one = epoch(&story, 1);
    story.beat(1, one, |it| it.cordoned_log_dirs = Some(vec![directory(1)])).unwrap();
    let topic = CreatableTopic {
        name: "a",
        num_partitions: 4,
        replication_factor: 1,
        ..CreatableTopic::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
    story.ask::<CreateTopics, _>(&request, |it| assert_eq!(it.topics[0].error_code, 0));
    assert!((0..4).all(|id| *story.partition("a", id).replicas == [2]));
}

#[test]
fn a_broker_is_forgotten_when_an_administrator_says_so() {
    let mut story = Story::of(2);
    story.topic("a", &[&[1, 2]]);
    let ask = |story: &mut Story, broker_id| {
        let request = UnregisterBrokerRequest { broker_id };
        story.ask::<UnregisterBroker, _>(&request, |it| super::code(it.error_code))
    };
    assert_eq!(ask(&mut story, 9), Err(ErrorCode::BrokerIdNotRegistered));
    assert_eq!(ask(&mut story, 1), Ok(()));
    assert!(story.image().cluster.broker(1).is_none());
    assert_eq!(story.state("a", 0), (2, 1, vec![2]));
}

#[test]
fn the_broker_of_the_controllers_own_process_stays_registered() {
    let mut story = Story::with(2, |it| it.own_broker = Some(1));
    story.topic("a", &[&[1]]);
    let mut unregister = |broker_id| {
        let request = UnregisterBrokerRequest { broker_id };
        story.ask::<UnregisterBroker, _>(&request, |it| super::code(it.error_code))
    };
    assert_eq!(unregister(1), Err(ErrorCode::InvalidRequest));
    assert_eq!(unregister(2), Ok(()));
    assert!(story.image().cluster.broker(1).is_some());
    assert_eq!(story.state("a", 0).0, 1);
}
