//! Names and numbers of topics that cannot be.

use milena_env::Disk;
use milena_protocol::{
    ErrorCode,
    api::{
        ApiKey, CreateTopicsRequest, CreateTopicsResponse, MetadataRequest, MetadataResponse,
        create_topics::request::CreatableTopic, metadata::request::MetadataRequestTopic,
    },
};

use super::Scene;
use crate::client::{batch, code};

/// What the data directory and the folders above it hold.
fn folders(scene: &Scene) -> Vec<String> {
    let disk: &dyn Disk = &*scene.rig.disk;
    let list = |path: &str| disk.list(path.as_ref()).unwrap().into_iter().map(|entry| entry.name);
    // Only what bears a topic's name: the journal's files come and go.
    let is_topic = |name: &String| name.contains('-') && !name.ends_with(".delete");
    list("/").chain(list("/data").filter(is_topic)).collect()
}

#[test]
fn hostile_26_a_name_that_is_none() {
    let mut scene = Scene::new();
    scene.all_is_well();
    let before = folders(&scene);
    let long = "x".repeat(250);
    let names =
        ["", ".", "..", &long, "a/b", "../../etc/passwd", "/data/t", "a\0b", "a b", "ä", "a\\b"];
    for name in names {
        let mut client = scene.rig.client();
        assert_eq!(client.create_topic(name, 1, &[]), ErrorCode::InvalidTopicException, "{name:?}");
        let topic = MetadataRequestTopic { name: Some(name), ..Default::default() };
        let request = MetadataRequest {
            topics: Some(vec![topic]),
            allow_auto_topic_creation: true,
            ..Default::default()
        };
        let answer = client.call(ApiKey::Metadata, 9, &request).unwrap();
        let response: MetadataResponse<'_> = answer.read();
        let told = code(response.topics[0].error_code);
        assert_eq!(told, ErrorCode::InvalidTopicException, "{name:?}");
        let produced = client.produce(name, 0, &batch(&["one"])).code;
        let expected = [ErrorCode::UnknownTopicOrPartition, ErrorCode::InvalidTopicException];
        assert!(expected.contains(&produced), "{name:?}: {produced:?}");
        assert!(expected.contains(&client.fetch(name, 0, 0).code), "{name:?}");
        assert!(client.offset_at(name, 0, -1).is_err_and(|code| expected.contains(&code)));
        let deleted = client.delete_topic(name);
        assert!(expected.contains(&deleted), "{name:?}: {deleted:?}");
    }
    assert_eq!(folders(&scene), before);
    scene.all_is_well();
}

#[test]
fn hostile_27_a_partition_that_is_not_there() {
    let mut scene = Scene::new();
    let mut client = scene.rig.client();
    for partition in [-1, 2, i32::MAX, i32::MIN] {
        let nowhere = ErrorCode::UnknownTopicOrPartition;
        assert_eq!(client.produce("t", partition, &batch(&["one"])).code, nowhere);
        assert_eq!(client.fetch("t", partition, 0).code, nowhere);
        assert_eq!(client.offset_at("t", partition, -1), Err(nowhere));
    }
    scene.all_is_well();
}

#[test]
fn hostile_36_topics_that_cannot_be_created() {
    let mut scene = Scene::new();
    let mut client = scene.rig.client();
    let mut create = |names: &[&str], partitions, replicas| {
        let topic = |name: &&'static str| CreatableTopic {
            name,
            num_partitions: partitions,
            replication_factor: replicas,
            ..Default::default()
        };
        let names: Vec<&'static str> =
            names.iter().map(|name| if *name == "new" { "new" } else { "other" }).collect();
        let request =
            CreateTopicsRequest { topics: names.iter().map(topic).collect(), ..Default::default() };
        let answer = client.call(ApiKey::CreateTopics, 7, &request).unwrap();
        let response: CreateTopicsResponse<'_> = answer.read();
        response.topics.iter().map(|topic| code(topic.error_code)).collect::<Vec<_>>()
    };
    for partitions in [0, -2, i32::MIN] {
        assert_eq!(create(&["new"], partitions, 1), [ErrorCode::InvalidPartitions]);
    }
    let many = create(&["new"], 1_000_000_000, 1)[0];
    let expected =
        [ErrorCode::InvalidPartitions, ErrorCode::PolicyViolation, ErrorCode::InvalidRequest];
    assert!(expected.contains(&many), "{many:?}");
    for replicas in [2, 0, i16::MAX] {
        assert_eq!(create(&["new"], 1, replicas), [ErrorCode::InvalidReplicationFactor]);
    }
    let doubled = create(&["new", "new", "other"], 1, 1);
    let is_refused = |code: &ErrorCode| *code == ErrorCode::InvalidRequest;
    assert_eq!(doubled.iter().filter(|code| is_refused(code)).count(), doubled.len() - 1);
    assert!(doubled.contains(&ErrorCode::None), "the other one is created");
    scene.all_is_well();
}
