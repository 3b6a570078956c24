//! Replicas move.

use milena_protocol::{
    ErrorCode,
    api::{
        AlterPartitionReassignmentsRequest, AlterPartitionRequest,
        ListPartitionReassignmentsRequest,
        alter_partition::request::{BrokerState, PartitionData, TopicData},
        alter_partition_reassignments::request::{ReassignablePartition, ReassignableTopic},
        list_partition_reassignments::request::ListPartitionReassignmentsTopics,
    },
};

use super::Story;
use crate::controller::{
    AlterPartition, AlterPartitionReassignments, list_partition_reassignments,
};

fn reassign(
    story: &mut Story,
    replicas: Option<&[i32]>,
    may_change: bool,
) -> Result<(), ErrorCode> {
    let replicas = replicas.map(<[i32]>::to_vec);
    let partitions = vec![ReassignablePartition { partition_index: 0, replicas }];
    let request = AlterPartitionReassignmentsRequest {
        timeout_ms: 1,
        allow_replication_factor_change: may_change,
        topics: vec![ReassignableTopic { name: "a", partitions }],
    };
    story.ask::<AlterPartitionReassignments, _>(&request, |it| {
        super::code(it.responses[0].partitions[0].error_code)
    })
}

fn in_sync(story: &mut Story, isr: &[i32]) -> Result<(), ErrorCode> {
    let partition = story.partition("a", 0);
    let broker_id = partition.leader;
    let data = PartitionData {
        partition_index: 0,
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.partition_epoch,
        new_isr_with_epochs: isr
            .iter()
            .map(|id| BrokerState { broker_id: *id, broker_epoch: -1 })
            .collect(),
        ..PartitionData::default()
    };
    let topic_id = story.image().topics.id("a").unwrap();
    let broker_epoch = story.image().cluster.broker(broker_id).unwrap().epoch;
    let topics = vec![TopicData { topic_id, partitions: vec![data] }];
    let request = AlterPartitionRequest { broker_id, broker_epoch, topics };
    story
        .ask::<AlterPartition, _>(&request, |it| super::code(it.topics[0].partitions[0].error_code))
}

fn listed(story: &Story) -> usize {
    list_partition_reassignments(story.image(), &ListPartitionReassignmentsRequest::default())
        .topics
        .len()
}

#[test]
fn replicas_come_before_others_go_and_the_leader_changes_at_the_end() {
    let mut story = Story::of(4);
    story.topic("a", &[&[1, 2]]);
    assert_eq!(reassign(&mut story, Some(&[3, 4]), true), Ok(()));
    let partition = story.partition("a", 0);
    assert_eq!(partition.replicas.to_vec(), [3, 4, 1, 2]);
    assert_eq!(partition.adding_replicas(), [3, 4]);
    assert_eq!(partition.removing_replicas(), [1, 2]);
    assert_eq!(listed(&story), 1);
    let named = ListPartitionReassignmentsTopics { name: "a", partition_indexes: vec![0, 7] };
    let request = ListPartitionReassignmentsRequest { timeout_ms: 1, topics: Some(vec![named]) };
    let ongoing = list_partition_reassignments(story.image(), &request);
    assert_eq!(ongoing.topics[0].partitions[0].adding_replicas, [3, 4]);

    in_sync(&mut story, &[1, 2, 3]).unwrap();
    assert_eq!(listed(&story), 1, "4 is still on its way");
    assert_eq!(in_sync(&mut story, &[1, 2, 3, 4]), Err(ErrorCode::NewLeaderElected));
    assert_eq!(story.state("a", 0), (3, 1, vec![3, 4]));
    assert_eq!(story.partition("a", 0).replicas.to_vec(), [3, 4]);
    assert_eq!(listed(&story), 0);
    assert_eq!(reassign(&mut story, None, true), Err(ErrorCode::NoReassignmentInProgress));
}

#[test]
fn a_reassignment_is_taken_back() {
    let mut story = Story::of(4);
    story.topic("a", &[&[1, 2]]);
    reassign(&mut story, Some(&[2, 3]), true).unwrap();
    in_sync(&mut story, &[1, 2]).unwrap();
    assert_eq!(reassign(&mut story, None, true), Ok(()));
    assert_eq!(story.partition("a", 0).replicas.to_vec(), [2, 1]);
    assert!(!story.partition("a", 0).is_reassigning());
    assert_eq!(story.state("a", 0).0, 1);
}

#[test]
fn what_cannot_be_is_refused() {
    let mut story = Story::of(2);
    story.topic("a", &[&[1]]);
    assert_eq!(reassign(&mut story, Some(&[9]), true), Err(ErrorCode::InvalidReplicaAssignment));
    assert_eq!(reassign(&mut story, Some(&[]), true), Err(ErrorCode::InvalidReplicaAssignment));
    let more: &[i32] = &[1, 2];
    assert_eq!(reassign(&mut story, Some(more), false), Err(ErrorCode::InvalidReplicationFactor));
    assert_eq!(reassign(&mut story, Some(&[1]), true), Ok(()), "it is there already");
    assert_eq!(story.partition("a", 0).partition_epoch, 0);
}
