//! ISRs change and leaders are elected.

use milena_protocol::{
    ErrorCode,
    api::{
        AlterPartitionRequest, ElectLeadersRequest,
        alter_partition::request::{BrokerState, PartitionData, TopicData},
        elect_leaders::request::TopicPartitions,
    },
};

use super::Story;
use crate::{
    controller::{AlterPartition, ElectLeaders},
    image::NO_LEADER,
};

fn alter(
    story: &mut Story,
    broker_id: i32,
    isr: &[i32],
    adjust: impl FnOnce(&mut PartitionData),
) -> Result<(), ErrorCode> {
    let partition = story.partition("a", 0);
    let mut data = PartitionData {
        partition_index: 0,
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.partition_epoch,
        new_isr_with_epochs: isr
            .iter()
            .map(|id| BrokerState { broker_id: *id, broker_epoch: -1 })
            .collect(),
        ..PartitionData::default()
    };
    adjust(&mut data);
    let topic_id = story.image().topics.id("a").unwrap();
    let broker_epoch = story.image().cluster.broker(broker_id).unwrap().epoch;
    let topics = vec![TopicData { topic_id, partitions: vec![data] }];
    let request = AlterPartitionRequest { broker_id, broker_epoch, topics };
    story
        .ask::<AlterPartition, _>(&request, |it| super::code(it.topics[0].partitions[0].error_code))
}

fn elect(story: &mut Story, election_type: i8) -> Result<(), ErrorCode> {
    let topic_partitions = Some(vec![TopicPartitions { topic: "a", partitions: vec![0] }]);
    let request = ElectLeadersRequest { election_type, topic_partitions, timeout_ms: 1 };
    story.ask::<ElectLeaders, _>(&request, |it| {
        super::code(it.replica_election_results[0].partition_result[0].error_code)
    })
}

#[test]
fn a_leader_tells_who_is_in_sync() {
    let mut story = Story::of(3);
    story.topic("a", &[&[1, 2, 3]]);
    alter(&mut story, 1, &[1, 2], |_| {}).unwrap();
    assert_eq!(story.state("a", 0), (1, 0, vec![1, 2]));
    assert_eq!(story.partition("a", 0).partition_epoch, 1);
    alter(&mut story, 1, &[1, 2, 3], |_| {}).unwrap();
    assert_eq!(story.state("a", 0), (1, 0, vec![1, 2, 3]));
}

#[test]
fn an_isr_is_refused_that_comes_too_late_or_cannot_be() {
    let mut story = Story::of(3);
    story.topic("a", &[&[1, 2]]);
    story.fence(2);
    story.unfence(2);
    story.fence(3);
    let mut ask = |broker, isr: &[i32], adjust: fn(&mut PartitionData)| {
        alter(&mut story, broker, isr, adjust).unwrap_err()
    };
    assert_eq!(ask(2, &[2], |_| {}), ErrorCode::InvalidRequest, "not the leader");
    assert_eq!(ask(1, &[2], |_| {}), ErrorCode::InvalidRequest, "without itself");
    assert_eq!(ask(1, &[1, 3], |_| {}), ErrorCode::InvalidRequest, "no replica");
    assert_eq!(ask(1, &[1, 1], |_| {}), ErrorCode::InvalidRequest, "twice");
    assert_eq!(ask(1, &[1], |it| it.leader_recovery_state = 1), ErrorCode::InvalidRequest);
    assert_eq!(ask(1, &[1], |it| it.leader_epoch -= 1), ErrorCode::FencedLeaderEpoch);
    assert_eq!(ask(1, &[1], |it| it.partition_epoch -= 1), ErrorCode::InvalidUpdateVersion);
    assert_eq!(ask(1, &[1], |it| it.leader_epoch += 1), ErrorCode::NotController);
    assert_eq!(ask(1, &[1], |it| it.partition_epoch += 1), ErrorCode::NotController);
    assert_eq!(ask(1, &[1], |it| it.partition_index = 5), ErrorCode::UnknownTopicOrPartition);
    let old_life = |it: &mut PartitionData| it.new_isr_with_epochs[1].broker_epoch = 0;
    assert_eq!(ask(1, &[1, 2], old_life), ErrorCode::IneligibleReplica);
    story.fence(2);
    assert_eq!(alter(&mut story, 1, &[1, 2], |_| {}), Err(ErrorCode::IneligibleReplica));
}

#[test]
fn the_preferred_replica_leads_again_when_it_is_asked_for() {
    let mut story = Story::of(2);
    story.topic("a", &[&[1, 2]]);
    assert_eq!(elect(&mut story, 0), Err(ErrorCode::ElectionNotNeeded));
    story.fence(1);
    assert_eq!(elect(&mut story, 0), Err(ErrorCode::PreferredLeaderNotAvailable));
    story.unfence(1);
    assert_eq!(elect(&mut story, 0), Err(ErrorCode::PreferredLeaderNotAvailable), "not in sync");
    alter(&mut story, 2, &[1, 2], |_| {}).unwrap();
    assert_eq!(elect(&mut story, 0), Ok(()));
    assert_eq!(story.state("a", 0), (1, 2, vec![1, 2]));
    let all = ElectLeadersRequest { election_type: 0, topic_partitions: None, timeout_ms: 1 };
    story.ask::<ElectLeaders, _>(&all, |it| assert!(it.replica_election_results.is_empty()));
    let odd = ElectLeadersRequest { election_type: 7, topic_partitions: None, timeout_ms: 1 };
    story.ask::<ElectLeaders, _>(&odd, |it| {
        assert_eq!(super::code(it.error_code), Err(ErrorCode::InvalidRequest));
    });
}

#[test]
fn nobody_from_outside_leads_unless_somebody_says_so() {
    let mut story = Story::of(2);
    story.topic("a", &[&[1, 2]]);
    story.fence(2);
    story.fence(1);
    story.unfence(2);
    assert_eq!(story.state("a", 0), (NO_LEADER, 1, vec![1]), "2 may lack what 1 has");
    assert_eq!(elect(&mut story, 1), Ok(()));
    assert_eq!(story.state("a", 0), (2, 2, vec![2]));
    assert!(story.partition("a", 0).is_recovering);
    alter(&mut story, 2, &[2], |it| it.leader_recovery_state = 0).unwrap();
    assert!(!story.partition("a", 0).is_recovering);
    assert_eq!(elect(&mut story, 1), Err(ErrorCode::ElectionNotNeeded));
}

#[test]
fn an_unclean_leader_comes_by_itself_where_that_is_allowed() {
    let mut story = Story::with(2, |it| it.unclean_leader_election = true);
    story.topic("a", &[&[1, 2]]);
    story.fence(2);
    story.fence(1);
    story.unfence(2);
    assert_eq!(story.state("a", 0), (2, 2, vec![2]));
}

#[test]
fn who_left_a_small_isr_stays_eligible() {
    let mut story = Story::with(3, |it| it.min_insync_replicas = 2);
    story.feature("eligible.leader.replicas.version", 1);
    story.topic("a", &[&[1, 2, 3]]);
    story.fence(3);
    assert!(story.partition("a", 0).eligible_leader_replicas().is_empty(), "2 are enough");
    story.fence(2);
    assert_eq!(story.partition("a", 0).eligible_leader_replicas(), [2]);
    story.fence(1);
    assert_eq!(story.state("a", 0), (NO_LEADER, 1, vec![]));
    assert_eq!(story.partition("a", 0).eligible_leader_replicas(), [1, 2]);
    assert_eq!(story.partition("a", 0).last_known_elr(), [1]);
    story.unfence(2);
    assert_eq!(story.state("a", 0), (2, 2, vec![2]), "it has everything committed");
    assert_eq!(story.partition("a", 0).eligible_leader_replicas(), [1]);
    assert!(story.partition("a", 0).last_known_elr().is_empty());
}
