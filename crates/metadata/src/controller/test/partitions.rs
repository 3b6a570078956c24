//! A topic gets more partitions.

use milena_protocol::{
    ErrorCode,
    api::{
        CreatePartitionsRequest,
        create_partitions::request::{CreatePartitionsAssignment, CreatePartitionsTopic},
    },
};

use super::Story;
use crate::controller::CreatePartitions;

fn grow(story: &mut Story, count: i32, assignments: Option<&[&[i32]]>) -> (ErrorCode, String) {
    let assignments = assignments.map(|all| {
        let each = all.iter().map(|ids| CreatePartitionsAssignment { broker_ids: ids.to_vec() });
        each.collect()
    });
    let topic = CreatePartitionsTopic { name: "a", count, assignments };
    let request = CreatePartitionsRequest { topics: vec![topic], ..Default::default() };
    story.ask::<CreatePartitions, _>(&request, |answer| {
        let it = &answer.results[0];
        let code = ErrorCode::from_number(it.error_code).unwrap();
        (code, it.error_message.unwrap_or_default().to_owned())
    })
}

#[test]
fn partitions_are_added_behind_the_others() {
    let mut story = Story::of(3);
    story.topic("a", &[&[1, 2]]);
    assert_eq!(grow(&mut story, 3, None).0, ErrorCode::None);
    assert_eq!(grow(&mut story, 4, Some(&[&[3, 1]])).0, ErrorCode::None);
    let topic = story.image().topics.by_name("a").unwrap();
    assert!(topic.partitions().all(|(_, it)| it.replicas.len() == 2));
    assert_eq!(topic.partition_count(), 4);
    assert_eq!(story.state("a", 3), (3, 0, vec![3, 1]));
}

#[test]
fn what_is_no_increase_or_does_not_fit_is_refused() {
    let mut story = Story::of(2);
    assert_eq!(grow(&mut story, 1, None).0, ErrorCode::UnknownTopicOrPartition);
    story.topic("a", &[&[1], &[2]]);
    assert_eq!(
        grow(&mut story, 2, None),
        (ErrorCode::InvalidPartitions, "Topic already has 2 partition(s).".to_owned())
    );
    assert_eq!(
        grow(&mut story, 1, None).1,
        "The topic a currently has 2 partition(s); 1 would not be an increase."
    );
    assert_eq!(
        grow(&mut story, 4, Some(&[&[1]])).1,
        "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified."
    );
    assert_eq!(grow(&mut story, 3, Some(&[&[1, 2]])).0, ErrorCode::InvalidReplicaAssignment);
    assert_eq!(grow(&mut story, 20_000, None).0, ErrorCode::PolicyViolation);
    let topic = CreatePartitionsTopic { name: "a", count: 9, assignments: None };
    let request =
        CreatePartitionsRequest { topics: vec![topic], validate_only: true, timeout_ms: 1 };
    story.ask::<CreatePartitions, _>(&request, |it| assert_eq!(it.results[0].error_code, 0));
    assert_eq!(story.image().topics.partition_count(), 2);
}
