//! What a broker of one lives through.

use std::{task::Poll, time::Duration};

use milena_env::SimulatedDisk;
use milena_metadata::{
    METADATA_VERSION, MetadataError, NodeOptions,
    controller::{CreateTopics, DeleteTopics},
    image::SupportedFeature,
};
use milena_protocol::api::{
    CreateTopicsRequest, DeleteTopicsRequest, create_topics::request::CreatableTopic,
    delete_topics::request::DeleteTopicState,
};

use crate::rig::{Rig, block_on};

pub(crate) fn topic(name: &str, num_partitions: i32) -> CreatableTopic<'_> {
    CreatableTopic { name, num_partitions, replication_factor: 1, ..CreatableTopic::default() }
}

pub(crate) fn create<'a>(
    topics: impl IntoIterator<Item = CreatableTopic<'a>>,
) -> CreateTopicsRequest<'a> {
    CreateTopicsRequest { topics: topics.into_iter().collect(), ..CreateTopicsRequest::default() }
}

pub(crate) fn delete(name: &str) -> DeleteTopicsRequest<'_> {
    let state = DeleteTopicState { name: Some(name), ..DeleteTopicState::default() };
    DeleteTopicsRequest { topics: vec![state], ..DeleteTopicsRequest::default() }
}

#[test]
fn a_new_node_has_a_level_a_broker_and_nothing_else() {
    let rig = Rig::start(SimulatedDisk::new(1), 1).unwrap();
    let image = rig.image();
    assert_eq!(image.features.level(METADATA_VERSION), 30);
    let broker = image.cluster.broker(1).unwrap();
    assert_eq!((broker.is_fenced, broker.epoch), (false, rig.node.broker_epoch()));
    assert!(image.topics.is_empty());
    let heard = rig.heard.lock().unwrap();
    assert_eq!(heard.len(), 1, "the start is told at once");
    assert_eq!(heard[0].0.brokers, [1].into());
    assert!(heard[0].0.features_changed);
}

#[test]
fn a_created_topic_is_there_when_the_answer_comes_and_after_a_stop_and_a_crash() {
    let rig = Rig::start(SimulatedDisk::new(2), 1).unwrap();
    let answer = rig.ask::<CreateTopics>(&create([topic("orders", 3)]));
    let answer = answer.message().unwrap();
    let created = &answer.topics[0];
    assert_eq!((created.error_code, created.num_partitions), (0, 3));
    assert_eq!(rig.image().topics.id("orders"), Some(created.topic_id));
    {
        let heard = rig.heard.lock().unwrap();
        let (delta, image) = heard.last().unwrap();
        assert!(delta.topics[&created.topic_id].is_created);
        assert_eq!(delta.topics[&created.topic_id].partitions, [0, 1, 2].into());
        assert_eq!(image.topics.partition(created.topic_id, 2).unwrap().leader, 1);
    }
    let id = created.topic_id;

    let rig = Rig::start(rig.stop(), 2).unwrap();
    assert_eq!(rig.image().topics.id("orders"), Some(id));
    let rig = Rig::start(rig.crash(), 3).unwrap();
    assert_eq!(rig.image().topics.id("orders"), Some(id));

    let answer = rig.ask::<DeleteTopics>(&delete("orders"));
    assert_eq!(answer.message().unwrap().responses[0].error_code, 0);
    assert!(rig.heard.lock().unwrap().last().unwrap().0.deleted_topics.contains_key(&id));
    let rig = Rig::start(rig.crash(), 4).unwrap();
    assert!(rig.image().topics.is_empty());
}

#[test]
fn whoever_asks_at_the_same_time_gets_their_own_answer_and_few_batches_are_written() {
    let rig = Rig::start(SimulatedDisk::new(4), 1).unwrap();
    let before = rig.disk.mutations();
    let names: Vec<String> = (0..200).map(|number| format!("topic-{number}")).collect();
    std::thread::scope(|scope| {
        for names in names.chunks(50) {
            let node = &rig.node;
            scope.spawn(move || {
                let requests: Vec<_> = names.iter().map(|name| create([topic(name, 1)])).collect();
                let calls = requests.iter().map(|request| node.call::<CreateTopics>(request));
                let answers = block_on(join_all(calls.collect()));
                for (name, answer) in names.iter().zip(answers) {
                    let answer = answer.unwrap();
                    let created = &answer.message().unwrap().topics[0];
                    assert_eq!((created.name, created.error_code), (name.as_str(), 0));
                    // What is answered is there for everybody.
                    assert_eq!(node.image().topics.id(name), Some(created.topic_id));
                }
            });
        }
    });
    let written = rig.disk.mutations() - before;
    assert!(written < 600, "200 requests took {written} writes and syncs");
    let description = block_on(rig.node.describe_quorum()).unwrap();
    assert_eq!((description.leader, description.epoch), (Some(1), 1));
    assert_eq!(description.voters[&1].log_end_offset, Some(description.high_watermark));
}

/// Polls all of them, so that none waits for another.
async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(|it| (Box::pin(it), None)).collect();
    std::future::poll_fn(|context| {
        let mut is_done = true;
        for (future, output) in &mut futures {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(ready) => *output = Some(ready),
                    Poll::Pending => is_done = false,
                }
            }
        }
        if is_done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    futures.into_iter().map(|(_, output)| output.unwrap()).collect()
}

#[test]
fn a_metadata_directory_that_fails_is_fatal_and_nothing_is_acknowledged_after_it() {
    let rig = Rig::start(SimulatedDisk::new(3), 1).unwrap();
    rig.disk.fail_next_sync("milena-journal");
    let request = create([topic("orders", 1)]);
    assert!(block_on(rig.node.call::<CreateTopics>(&request)).is_err());
    assert!(block_on(rig.node.call::<CreateTopics>(&request)).is_err());
    rig.node.stop();
    assert!(rig.failure.lock().unwrap().is_some());
    assert!(rig.image().topics.is_empty(), "only what is committed is shown");
}

#[test]
fn a_full_disk_refuses_changes_until_there_is_room() {
    let rig = Rig::start(SimulatedDisk::new(5), 1).unwrap();
    rig.disk.set_capacity(Some(0));
    let mut refused = 0;
    for number in 0..20 {
        rig.clock.advance(Duration::from_secs(2));
        let name = format!("topic-{number}");
        let request = create([topic(&name, 1)]);
        match block_on(rig.node.call::<CreateTopics>(&request)) {
            // What was on its way when the disk filled up is kept by the journal.
            Ok(_) => assert!(rig.image().topics.by_name(&name).is_some()),
            Err(error) => {
                assert!(matches!(error, MetadataError::DiskFull), "{error}");
                assert!(rig.image().topics.by_name(&name).is_none());
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
    rig.disk.set_capacity(None);
    rig.clock.advance(Duration::from_secs(2));
    rig.directory.run_pending();
    let answer = rig.ask::<CreateTopics>(&create([topic("late", 1)]));
    assert_eq!(answer.message().unwrap().topics[0].error_code, 0);
    assert!(rig.failure.lock().unwrap().is_none());
}

#[test]
fn a_cluster_that_uses_more_than_is_served_is_refused_with_what_lowers_it() {
    let feature = |name: &str, max| SupportedFeature { name: name.into(), min: 0, max };
    let with = |features: [SupportedFeature; 2]| {
        move |options: &mut NodeOptions| options.controller.features.extend(features)
    };
    let more = [feature("group.version", 2), feature("share.version", 1)];
    let rig = Rig::start_with(SimulatedDisk::new(9), 1, with(more)).unwrap();
    assert_eq!(rig.image().features.level("share.version"), 1);
    let disk = rig.stop();
    let less = [feature("group.version", 1), feature("streams.version", 1)];
    let refused = Rig::start_with(disk, 2, with(less)).err().unwrap().to_string();
    assert!(refused.contains(": group.version=2, share.version=1; "), "{refused}");
    let lowers = "downgrade --feature group.version=1 --feature share.version=0`";
    assert!(refused.ends_with(lowers), "{refused}");
}
