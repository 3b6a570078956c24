//! Whatever is asked in whatever order: what the records say, a snapshot says too.

use milena_env::Random;
use milena_protocol::{
    Uuid,
    api::{
        AllocateProducerIdsRequest, CreatePartitionsRequest, CreateTopicsRequest,
        DeleteTopicsRequest, IncrementalAlterConfigsRequest,
        create_partitions::request::CreatePartitionsTopic,
        create_topics::request::CreatableTopic,
        delete_topics::request::DeleteTopicState,
        incremental_alter_configs::request::{AlterConfigsResource, AlterableConfig},
    },
};
use proptest::prelude::*;

use super::Story;
use crate::{
    controller::{
        AllocateProducerIds, CreatePartitions, CreateTopics, DeleteTopics, IncrementalAlterConfigs,
    },
    image::{Delta, MetadataImage, Replay},
};

/// One thing that somebody does.
fn act(story: &mut Story, random: &mut Random) {
    let name = format!("topic.{}", random.below(6));
    let broker = 1 + random.below(3) as i32;
    match random.below(8) {
        0 | 1 => {
            let topic = CreatableTopic {
                name: &name,
                num_partitions: 1 + random.below(130) as i32,
                replication_factor: 1 + random.below(3) as i16,
                ..CreatableTopic::default()
            };
            let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
            story.ask::<CreateTopics, _>(&request, |_| ());
        }
        2 => {
            let state = DeleteTopicState { name: Some(&name), topic_id: Uuid::ZERO };
            let request = DeleteTopicsRequest { topics: vec![state], ..Default::default() };
            story.ask::<DeleteTopics, _>(&request, |_| ());
        }
        3 => {
            let count = random.below(200) as i32;
            let topic = CreatePartitionsTopic { name: &name, count, assignments: None };
            let request = CreatePartitionsRequest { topics: vec![topic], ..Default::default() };
            story.ask::<CreatePartitions, _>(&request, |_| ());
        }
        4 => {
            let config = AlterableConfig {
                name: "retention.ms",
                config_operation: random.below(2) as i8,
                value: Some("1"),
            };
            let resource = AlterConfigsResource {
                resource_type: 2,
                resource_name: &name,
                configs: vec![config],
            };
            let request =
                IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
            story.ask::<IncrementalAlterConfigs, _>(&request, |_| ());
        }
        5 => {
            let broker_epoch = story.image().cluster.broker(broker).unwrap().epoch;
            let request = AllocateProducerIdsRequest { broker_id: broker, broker_epoch };
            story.ask::<AllocateProducerIds, _>(&request, |_| ());
        }
        6 => story.fence(broker),
        _ => story.unfence(broker),
    }
}

fn through_snapshot(image: &MetadataImage) -> MetadataImage {
    let mut replay = Replay::default();
    image
        .to_records(|record| {
            replay.apply_bytes(&record).unwrap();
            Ok(())
        })
        .unwrap();
    replay.image.position = image.position;
    replay.image
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// `Story::ask` compares the image with the replayed records at every step.
    #[test]
    fn a_snapshot_and_the_rest_lead_where_all_records_lead(
        seed: u64,
        before in 0..30,
        after in 0..30,
    ) {
        let mut random = Random::from_seed(seed);
        let mut story = Story::of(3);
        (0..before).for_each(|_| act(&mut story, &mut random));
        let start = story.image().clone();
        let mut restored = Replay::new(through_snapshot(&start));
        prop_assert!(restored.image == start);

        story.controller.take_delta();
        let middle = story.recorded.len();
        for _ in 0..after {
            act(&mut story, &mut random);
        }
        // What was told on the way is what a look at both ends finds, or more.
        let delta = story.controller.take_delta();
        let found = Delta::between(&start, story.image());
        for (topic, changed) in &found.topics {
            prop_assert_eq!(delta.topics[topic].is_created, changed.is_created);
            prop_assert!(changed.partitions.is_subset(&delta.topics[topic].partitions));
        }
        prop_assert!(delta.deleted_topics.keys().eq(found.deleted_topics.keys()));
        prop_assert!(found.configs.is_subset(&delta.configs));
        prop_assert!(found.brokers.is_subset(&delta.brokers));

        // A snapshot of the middle and the records behind it lead to the end as well.
        prop_assert!(through_snapshot(story.image()) == *story.image());
        for record in &story.recorded[middle..] {
            restored.apply_bytes(record).unwrap();
        }
        restored.image.position = story.image().position;
        prop_assert!(restored.image == *story.image());
    }
}
