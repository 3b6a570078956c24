//! The same groups as Apache Kafka's own assignors had: `tests/fixtures/assignments.jsonl.zst`
//! was written by `tests/oracle/run.sh`.

use serde_json::Value;

use super::*;

const FIXTURE: &[u8] = include_bytes!("../../../../../tests/fixtures/assignments.jsonl.zst");

struct Case {
    group: Group,
    range: Assignments,
    uniform: Assignments,
}

fn cases() -> Vec<Case> {
    let text = String::from_utf8(zstd::decode_all(FIXTURE).unwrap()).unwrap();
    text.lines().map(|line| case(&serde_json::from_str(line).unwrap())).collect()
}

fn case(line: &Value) -> Case {
    let topics = entries(&line["topics"]).map(|(id, partitions)| {
        let racks = |racks: &Value| racks.as_str().unwrap().chars().map(String::from).collect();
        (id.parse().unwrap(), partitions.as_array().unwrap().iter().map(racks).collect())
    });
    let members = entries(&line["members"]).map(|(id, member)| {
        let text = |key: &str| member.get(key).map(|text| text.as_str().unwrap().to_owned());
        let topics = member["topics"].as_array().unwrap().iter();
        let consumer = Consumer {
            instance: text("instance"),
            rack: text("rack"),
            topics: topics.map(|id| id.as_str().unwrap().parse().unwrap()).collect(),
            assigned: assignment(&member["assigned"]),
        };
        (id.clone(), consumer)
    });
    let group = Group { topics: topics.collect(), members: members.collect() };
    let assignments = |key: &str| {
        // Kafka leaves out who gets nothing, sometimes.
        let mut all: Assignments =
            group.members.keys().map(|id| (id.clone(), Assignment::new())).collect();
        all.extend(entries(&line[key]).map(|(id, given)| (id.clone(), assignment(given))));
        all
    };
    Case { range: assignments("range"), uniform: assignments("uniform"), group }
}

fn entries(node: &Value) -> impl Iterator<Item = (&String, &Value)> {
    node.as_object().unwrap().iter()
}

fn assignment(node: &Value) -> Assignment {
    let number = |partition: &Value| i32::try_from(partition.as_i64().unwrap()).unwrap();
    entries(node)
        .map(|(id, partitions)| {
            let partitions = partitions.as_array().unwrap().iter().map(number);
            (id.parse().unwrap(), partitions.collect())
        })
        .collect()
}

#[test]
fn range_gives_exactly_what_kafka_gives() {
    let cases = cases();
    assert!(cases.len() >= 300);
    for (number, case) in cases.iter().enumerate() {
        let ours = case.group.assign(Assignor::Range);
        case.group.prove_valid(&ours);
        assert_eq!(ours, case.range, "line {}", number + 1);
    }
}

/// Balance counts first, as it does with Kafka: to be better at it, more may move. That is rare.
#[test]
fn uniform_is_as_balanced_as_kafkas_and_moves_as_little() {
    let (mut ours_moved, mut kafkas_moved) = (0, 0);
    for (number, case) in cases().iter().enumerate() {
        let ours = case.group.assign(Assignor::Uniform);
        case.group.prove_valid(&ours);
        case.group.prove_valid(&case.uniform);
        let judge = |assignments: &Assignments| {
            (spread(assignments.values().map(size)), case.group.moved(assignments))
        };
        let (ours, kafkas) = (judge(&ours), judge(&case.uniform));
        assert!(ours <= kafkas, "line {}: {ours:?}, and {kafkas:?} by Kafka", number + 1);
        ours_moved += ours.1;
        kafkas_moved += kafkas.1;
    }
    assert!(ours_moved <= kafkas_moved, "{ours_moved}, and {kafkas_moved} by Kafka");
}
