//! Topics are created and deleted.

use std::collections::BTreeSet;

use milena_protocol::{
    ErrorCode, Uuid,
    api::{
        CreateTopicsRequest, DeleteTopicsRequest,
        create_topics::request::{
            CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
        },
        delete_topics::request::DeleteTopicState,
    },
};

use super::{Story, code, directory};
use crate::{
    controller::{CreateTopics, DeleteTopics},
    image::ConfigResource,
};

fn topic(name: &str) -> CreatableTopic<'_> {
    CreatableTopic { name, num_partitions: 1, replication_factor: 1, ..CreatableTopic::default() }
}

/// The code and the text for each topic, in the order of the answer.
fn create<'a>(
    story: &mut Story,
    topics: impl IntoIterator<Item = CreatableTopic<'a>>,
) -> Vec<(ErrorCode, String)> {
    let request =
        CreateTopicsRequest { topics: topics.into_iter().collect(), ..Default::default() };
    story.ask::<CreateTopics, _>(&request, |answer| {
        let each = answer.topics.iter().map(|it| {
            let text = it.error_message.unwrap_or_default().to_owned();
            (ErrorCode::from_number(it.error_code).unwrap(), text)
        });
        each.collect()
    })
}

fn refused(code: ErrorCode, text: &str) -> Vec<(ErrorCode, String)> {
    vec![(code, text.to_owned())]
}

#[test]
fn a_topic_is_created_as_asked_or_by_default() {
    let mut story =
        Story::with(3, |it| (it.default_partitions, it.default_replication_factor) = (4, 2));
    let configs = vec![CreatableTopicConfig { name: "retention.ms", value: Some("5") }];
    let asked = CreatableTopic { num_partitions: 3, replication_factor: 3, configs, ..topic("a") };
    let default = CreatableTopic { num_partitions: -1, replication_factor: -1, ..topic("b") };
    let request = CreateTopicsRequest { topics: vec![asked, default], ..Default::default() };
    story.ask::<CreateTopics, _>(&request, |answer| {
        let [a, b] = &answer.topics[..] else { panic!("{answer:?}") };
        assert_eq!((a.num_partitions, a.replication_factor), (3, 3));
        assert_eq!((b.num_partitions, b.replication_factor), (4, 2));
        let config = &a.configs.as_ref().unwrap()[0];
        assert_eq!(
            (config.name, config.value, config.config_source),
            ("retention.ms", Some("5"), 1)
        );
        assert!(b.configs.as_ref().unwrap().is_empty());
    });
    let image = story.image();
    assert_eq!(image.configs.value(&ConfigResource::topic("a"), "retention.ms"), Some("5"));
    assert_eq!((image.topics.len(), image.topics.partition_count()), (2, 7));
    for (_, partition) in image.topics.by_name("a").unwrap().partitions() {
        assert_eq!(partition.replicas.len(), 3);
        assert_eq!(partition.isr, partition.replicas);
        assert_eq!(partition.leader, partition.replicas[0]);
        assert_eq!((partition.leader_epoch, partition.partition_epoch), (0, 0));
        assert_eq!(partition.directory(2), Some(directory(2)));
    }
    let leaders: BTreeSet<i32> =
        image.topics.by_name("a").unwrap().partitions().map(|(_, it)| it.leader).collect();
    assert_eq!(leaders.len(), 3, "each broker leads one of three");
}

#[test]
fn names_are_refused_that_cannot_be_or_would_collide() {
    let mut story = Story::of(1);
    create(&mut story, [topic("a.b"), topic("c")]);
    assert_eq!(
        create(&mut story, [topic("a_b")]),
        refused(ErrorCode::InvalidTopicException, "Topic 'a_b' collides with existing topic: a.b")
    );
    assert_eq!(
        create(&mut story, [topic("c")]),
        refused(ErrorCode::TopicAlreadyExists, "Topic 'c' already exists.")
    );
    assert_eq!(
        create(&mut story, [topic("d"), topic("e"), topic("d")])[0],
        (ErrorCode::InvalidRequest, "Duplicate topic name.".to_owned())
    );
    assert_eq!(create(&mut story, [topic("x y")])[0].0, ErrorCode::InvalidTopicException);
    assert_eq!(create(&mut story, [topic("__cluster_metadata")])[0].0, ErrorCode::InvalidRequest);
    assert!(story.image().topics.by_name("e").is_some(), "one mistake harms no other topic");
    assert!(story.image().topics.by_name("d").is_none());
}

#[test]
fn numbers_are_refused_that_make_no_sense_or_are_too_large() {
    let mut story = Story::with(2, |it| it.partitions_per_request_max = 100);
    let of = |num_partitions, replication_factor| CreatableTopic {
        num_partitions,
        replication_factor,
        ..topic("a")
    };
    for (asked, expected) in [
        (of(0, 1), ErrorCode::InvalidPartitions),
        (of(-2, 1), ErrorCode::InvalidPartitions),
        (of(1, 0), ErrorCode::InvalidReplicationFactor),
        (of(1, -2), ErrorCode::InvalidReplicationFactor),
        (of(101, 1), ErrorCode::PolicyViolation),
    ] {
        assert_eq!(create(&mut story, [asked])[0].0, expected);
    }
    let mut large = Story::of(1);
    let asked = CreatableTopic { num_partitions: 10_000, ..topic("a") };
    let text = "Unable to perform excessively large batch operation.";
    assert_eq!(create(&mut large, [asked]), refused(ErrorCode::PolicyViolation, text));
    assert_eq!(
        create(&mut story, [of(1, 3)]),
        refused(
            ErrorCode::InvalidReplicationFactor,
            "Unable to replicate the partition 3 time(s): The target replication factor of 3 \
             cannot be reached because only 2 broker(s) are registered or some brokers have all \
             their log directories cordoned."
        )
    );
    story.fence(1);
    story.fence(2);
    assert_eq!(
        create(&mut story, [of(1, 1)]),
        refused(
            ErrorCode::InvalidReplicationFactor,
            "Unable to replicate the partition 1 time(s): All brokers are currently fenced."
        )
    );
    assert!(story.image().topics.is_empty());
}

#[test]
fn assignments_are_taken_as_they_are_or_refused() {
    let mut story = Story::of(3);
    story.fence(3);
    let assigned = |replicas: &[(i32, &[i32])]| CreatableTopic {
        num_partitions: -1,
        replication_factor: -1,
        assignments: replicas
            .iter()
            .map(|(partition_index, ids)| CreatableReplicaAssignment {
                partition_index: *partition_index,
                broker_ids: ids.to_vec(),
            })
            .collect(),
        ..topic("a")
    };
    let invalid = ErrorCode::InvalidReplicaAssignment;
    type Replicas<'a> = &'a [(i32, &'a [i32])];
    let bad: [(Replicas<'_>, &str); 7] = [
        (&[(0, &[])], "The manual partition assignment includes an empty replica list."),
        (
            &[(0, &[9])],
            "The manual partition assignment includes broker 9, but no such broker is registered.",
        ),
        (&[(0, &[1, 1])], "The manual partition assignment includes the broker 1 more than once."),
        (&[(0, &[1]), (0, &[2])], "Found multiple manual partition assignments for partition 0"),
        (&[(0, &[1]), (2, &[2])], "partitions should be a consecutive 0-based integer sequence"),
        (
            &[(0, &[1]), (1, &[1, 2])],
            "The manual partition assignment includes a partition with 2 replica(s), but this is \
             not consistent with previous partitions, which have 1 replica(s).",
        ),
        (
            &[(0, &[3])],
            "All brokers specified in the manual partition assignment for partition 0 are fenced \
             or in controlled shutdown.",
        ),
    ];
    for (replicas, text) in bad {
        assert_eq!(create(&mut story, [assigned(replicas)]), refused(invalid, text));
    }
    let both = CreatableTopic { num_partitions: 1, ..assigned(&[(0, &[1])]) };
    assert_eq!(create(&mut story, [both])[0].0, ErrorCode::InvalidRequest);
    create(&mut story, [assigned(&[(1, &[1, 2]), (0, &[3, 2])])]);
    assert_eq!(story.state("a", 0), (2, 0, vec![2]), "who is fenced is not in sync");
    assert_eq!(story.state("a", 1), (1, 0, vec![1, 2]));
}

#[test]
fn replicas_are_spread_over_racks() {
    let mut story = Story::of(0);
    for (id, rack) in [(1, "x"), (2, "x"), (3, "y"), (4, "y"), (5, "z"), (6, "z")] {
        let epoch = story.register_in_rack(id, id as u128, -1, Some(rack)).unwrap();
        story.beat(id, epoch, |_| {}).unwrap();
    }
    let asked = CreatableTopic { num_partitions: 60, replication_factor: 3, ..topic("a") };
    create(&mut story, [asked]);
    let rack = |id: &i32| (id - 1) / 2;
    let mut led = [0; 7];
    for (_, partition) in story.image().topics.by_name("a").unwrap().partitions() {
        let racks: BTreeSet<i32> = partition.replicas.iter().map(rack).collect();
        assert_eq!(racks.len(), 3, "{partition:?}");
        led[partition.leader as usize] += 1;
    }
    assert!(led[1..].iter().all(|times| (5..=15).contains(times)), "{led:?}");
}

#[test]
fn bad_settings_are_refused_and_validation_alone_changes_nothing() {
    let mut story = Story::of(1);
    let set = |name, value| CreatableTopic {
        configs: vec![CreatableTopicConfig { name, value }],
        ..topic("a")
    };
    assert_eq!(
        create(&mut story, [set("x", Some("1"))]),
        refused(ErrorCode::InvalidConfig, "Unknown topic config name: x")
    );
    assert_eq!(create(&mut story, [set("retention.ms", None)])[0].0, ErrorCode::InvalidConfig);
    let request =
        CreateTopicsRequest { topics: vec![topic("a")], validate_only: true, timeout_ms: 1 };
    story.ask::<CreateTopics, _>(&request, |it| assert_eq!(it.topics[0].error_code, 0));
    assert!(story.image().topics.is_empty());
}

fn delete(
    story: &mut Story,
    topics: &[(Option<&str>, Uuid)],
) -> Vec<(Option<String>, Uuid, ErrorCode)> {
    let topics = topics.iter().map(|(name, id)| DeleteTopicState { name: *name, topic_id: *id });
    let request = DeleteTopicsRequest { topics: topics.collect(), ..Default::default() };
    story.ask::<DeleteTopics, _>(&request, |answer| {
        let each = answer.responses.iter().map(|it| {
            let code = ErrorCode::from_number(it.error_code).unwrap();
            (it.name.map(str::to_owned), it.topic_id, code)
        });
        each.collect()
    })
}

#[test]
fn topics_are_deleted_by_name_and_by_id_with_all_that_is_theirs() {
    let mut story = Story::of(1);
    create(&mut story, [topic("a"), topic("b.c"), topic("d")]);
    let id = |story: &Story, name: &str| story.image().topics.id(name).unwrap();
    let (a, b, d) = (id(&story, "a"), id(&story, "b.c"), id(&story, "d"));
    let none = Uuid::ZERO;
    let unknown = Uuid::from_u128(9);
    for (asked, expected) in [
        (vec![(None, none)], ErrorCode::InvalidRequest),
        (vec![(Some("a"), a)], ErrorCode::InvalidRequest),
        (vec![(Some("x"), none)], ErrorCode::UnknownTopicOrPartition),
        (vec![(None, unknown)], ErrorCode::UnknownTopicId),
        (vec![(Some("a"), none), (Some("a"), none)], ErrorCode::InvalidRequest),
        (vec![(Some("a"), none), (None, a)], ErrorCode::InvalidRequest),
    ] {
        let answer = delete(&mut story, &asked);
        assert_eq!(answer.len(), 1, "{answer:?}");
        assert_eq!(answer[0].2, expected, "{asked:?}");
    }
    let mut answer = delete(&mut story, &[(Some("a"), none), (None, b)]);
    answer.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(
        answer,
        [(Some("a".to_owned()), a, ErrorCode::None), (Some("b.c".to_owned()), b, ErrorCode::None)]
    );
    let topics = &story.image().topics;
    assert_eq!((topics.len(), topics.partition_count()), (1, 1));
    assert!(topics.by_id(d).is_some());
    assert_eq!(create(&mut story, [topic("b_c")])[0].0, ErrorCode::None, "nothing collides now");
}

#[test]
fn nothing_is_deleted_where_that_is_switched_off() {
    let mut story = Story::with(1, |it| it.delete_topic_enable = false);
    create(&mut story, [topic("a")]);
    let answer = delete(&mut story, &[(Some("a"), Uuid::ZERO)]);
    assert_eq!(answer[0].2, ErrorCode::TopicDeletionDisabled);
    assert_eq!(code(0), Ok(()));
}
