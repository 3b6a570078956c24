//! What administrators ask about partitions, and have done to them.

use milena_protocol::{
    Offset,
    api::{
        ApiKey, CreatePartitionsRequest, DeleteRecordsRequest, DescribeLogDirsRequest,
        DescribeProducersRequest, DescribeTopicPartitionsRequest, OffsetForLeaderEpochRequest,
        create_partitions::request::CreatePartitionsTopic,
        delete_records::request::{DeleteRecordsPartition, DeleteRecordsTopic},
        describe_producers,
        describe_topic_partitions::request::{Cursor, TopicRequest},
        offset_for_leader_epoch::request::{OffsetForLeaderPartition, OffsetForLeaderTopic},
    },
    records::BatchBuilder,
};
use serde_json::{Value, json};

use super::Rig;

fn produce(rig: &mut Rig, count: i64) {
    let mut builder = BatchBuilder::new(Offset(0));
    for number in 1..=count {
        builder.append(number, None, Some(b"value"), []);
    }
    let answer = rig.produce(&builder);
    assert_eq!(answer["responses"][0]["partitionResponses"][0]["errorCode"], 0, "{answer}");
}

fn delete_below(rig: &mut Rig, name: &'static str, offset: i64) -> (Value, Value) {
    let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset }];
    let topics = vec![DeleteRecordsTopic { name, partitions }];
    let answer = rig.ask(ApiKey::DeleteRecords, &DeleteRecordsRequest { topics, timeout_ms: 1000 });
    let answer = &answer["topics"][0]["partitions"][0];
    (answer["errorCode"].clone(), answer["lowWatermark"].clone())
}

#[test]
fn records_are_deleted_up_to_an_offset_and_never_come_back() {
    let mut rig = Rig::start("");
    rig.create_topic("t");
    produce(&mut rig, 10);
    assert_eq!(delete_below(&mut rig, "t", 4), (json!(0), json!(4)));
    assert_eq!(delete_below(&mut rig, "t", 2), (json!(0), json!(4)), "it never goes back");
    assert_eq!(delete_below(&mut rig, "t", 11), (json!(1), json!(-1)), "beyond the end");
    assert_eq!(delete_below(&mut rig, "t", -2), (json!(1), json!(-1)));
    assert_eq!(delete_below(&mut rig, "t", -1), (json!(0), json!(10)), "all that there is");
    assert_eq!(delete_below(&mut rig, "absent", 0), (json!(3), json!(-1)));
}

#[test]
fn the_end_of_an_epoch_is_told() {
    let mut rig = Rig::start("");
    rig.create_topic("t");
    produce(&mut rig, 3);
    let mut ask = |current, wanted| {
        let partition = OffsetForLeaderPartition {
            partition: 0,
            current_leader_epoch: current,
            leader_epoch: wanted,
        };
        let topics = vec![OffsetForLeaderTopic { topic: "t", partitions: vec![partition] }];
        let request = OffsetForLeaderEpochRequest { replica_id: -1, topics };
        let answer = rig.ask(ApiKey::OffsetForLeaderEpoch, &request);
        let answer = &answer["topics"][0]["partitions"][0];
        ["errorCode", "leaderEpoch", "endOffset"].map(|name| answer[name].as_i64().unwrap())
    };
    assert_eq!(ask(0, 0), [0, 0, 3]);
    assert_eq!(ask(-1, 0), [0, 0, 3], "who knows no epoch is believed");
    assert_eq!(ask(0, 5), [0, -1, -1], "nobody led in that epoch yet");
    assert_eq!(ask(5, 0), [75, -1, -1], "the asker knows more than we");
}

#[test]
fn topics_are_described_page_by_page() {
    let mut rig = Rig::start("");
    for name in ["a", "b", "c"] {
        rig.create_topic(name);
    }
    let mut cursor = None;
    let mut seen = Vec::new();
    for _ in 0..10 {
        let topics = Vec::new();
        let request = DescribeTopicPartitionsRequest {
            topics,
            response_partition_limit: 3,
            cursor: cursor.as_ref().map(|(topic_name, partition_index): &(String, i32)| Cursor {
                topic_name,
                partition_index: *partition_index,
            }),
        };
        let answer = rig.ask(ApiKey::DescribeTopicPartitions, &request);
        for topic in answer["topics"].as_array().unwrap() {
            for partition in topic["partitions"].as_array().unwrap() {
                assert_eq!(
                    (&partition["leaderId"], &partition["errorCode"]),
                    (&json!(1), &json!(0))
                );
                seen.push(format!(
                    "{}-{}",
                    topic["name"].as_str().unwrap(),
                    partition["partitionIndex"]
                ));
            }
        }
        let next = &answer["nextCursor"];
        if next.is_null() {
            break;
        }
        let partition = i32::try_from(next["partitionIndex"].as_i64().unwrap()).unwrap();
        cursor = Some((next["topicName"].as_str().unwrap().to_owned(), partition));
    }
    assert_eq!(seen, ["a-0", "a-1", "b-0", "b-1", "c-0", "c-1"]);
    let absent = DescribeTopicPartitionsRequest {
        topics: vec![TopicRequest { name: "absent" }, TopicRequest { name: "no/name" }],
        response_partition_limit: 1,
        cursor: None,
    };
    let answer = rig.ask(ApiKey::DescribeTopicPartitions, &absent);
    assert_eq!(
        (&answer["topics"][0]["errorCode"], &answer["topics"][1]["errorCode"]),
        (&json!(3), &json!(17))
    );
}

#[test]
fn a_topic_grows_and_its_partitions_take_their_place_on_disk() {
    let mut rig = Rig::start("");
    rig.create_topic("t");
    produce(&mut rig, 5);
    let mut grow = |count| {
        let topic = CreatePartitionsTopic { name: "t", count, assignments: None };
        let request =
            CreatePartitionsRequest { topics: vec![topic], timeout_ms: 1000, validate_only: false };
        rig.ask(ApiKey::CreatePartitions, &request)["results"][0]["errorCode"].clone()
    };
    assert_eq!(grow(4), 0);
    assert_eq!(grow(4), 37);
    let answer = rig.ask(ApiKey::DescribeLogDirs, &DescribeLogDirsRequest { topics: None });
    let directory = &answer["results"][0];
    assert_eq!((&directory["logDir"], &directory["errorCode"]), (&json!("/data"), &json!(0)));
    let partitions = directory["topics"][0]["partitions"].as_array().unwrap();
    assert_eq!(directory["topics"].as_array().unwrap().len(), 1, "not the metadata");
    assert_eq!(partitions.len(), 4);
    assert!(partitions[0]["partitionSize"].as_i64().unwrap() > 60);
    assert_eq!(partitions[3]["partitionSize"], 0);
}

#[test]
fn nobody_produces_where_no_producer_has_an_id() {
    let mut rig = Rig::start("");
    rig.create_topic("t");
    produce(&mut rig, 5);
    let topic =
        |name| describe_producers::request::TopicRequest { name, partition_indexes: vec![0, 9] };
    let request = DescribeProducersRequest { topics: vec![topic("t"), topic("absent")] };
    let answer = rig.ask(ApiKey::DescribeProducers, &request);
    let codes = |topic: usize| {
        let partitions = answer["topics"][topic]["partitions"].as_array().unwrap();
        partitions.iter().map(|it| it["errorCode"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((codes(0), codes(1)), (vec![0, 3], vec![3, 3]));
    assert_eq!(answer["topics"][0]["partitions"][0]["activeProducers"], json!([]));
}
