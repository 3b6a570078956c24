//! The same groups as Kafka's client has them: `tests/fixtures/assignments.jsonl.zst` was written
//! by `tests/oracle/run.sh`.

use serde_json::Value;

use super::*;

const FIXTURE: &[u8] = include_bytes!("../../../../tests/fixtures/assignments.jsonl.zst");

struct Case {
    group: Group,
    kafkas: Value,
}

fn cases() -> Vec<Case> {
    let text = String::from_utf8(zstd::decode_all(FIXTURE).unwrap()).unwrap();
    let cases: Vec<_> =
        text.lines().map(|line| case(serde_json::from_str(line).unwrap())).collect();
    assert!(cases.len() >= 500);
    cases
}

fn entries(node: &Value) -> impl Iterator<Item = (Box<str>, &Value)> {
    node.as_object().unwrap().iter().map(|(key, value)| (key.as_str().into(), value))
}

fn texts(node: &Value) -> BTreeSet<Box<str>> {
    node.as_array().unwrap().iter().map(|text| text.as_str().unwrap().into()).collect()
}

fn assignment(node: &Value) -> Assignment {
    let number = |at: &Value| i32::try_from(at.as_i64().unwrap()).unwrap();
    let given = entries(node);
    given
        .map(|(topic, all)| (topic, all.as_array().unwrap().iter().map(number).collect()))
        .collect()
}

fn assignments(node: &Value) -> Assignments {
    entries(node).map(|(id, given)| (id, assignment(given))).collect()
}

/// A letter each.
fn racks(racks: &Value) -> BTreeSet<Box<str>> {
    racks.as_str().unwrap().chars().map(|it| it.to_string().into()).collect()
}

fn case(line: Value) -> Case {
    let topics = entries(&line["topics"]).map(|(name, partitions)| {
        (name, partitions.as_array().unwrap().iter().map(racks).collect())
    });
    let members = entries(&line["members"]).map(|(id, member)| {
        let text = |key: &str| member.get(key).map(|text| text.as_str().unwrap().into());
        let member = Member {
            instance_id: text("instance"),
            rack: text("rack"),
            topics: texts(&member["topics"]),
            owned: assignment(&member["owned"]),
            generation: i32::try_from(member["generation"].as_i64().unwrap()).unwrap(),
        };
        (id, member)
    });
    Case { group: Group { topics: topics.collect(), members: members.collect() }, kafkas: line }
}

#[test]
fn range_and_round_robin_give_exactly_what_kafka_gives() {
    for (number, Case { group, kafkas }) in cases().iter().enumerate() {
        for assignor in [Assignor::Range, Assignor::RoundRobin] {
            let ours = assignor.assign(group);
            prove_valid(group, &ours);
            let line = number + 1;
            assert_eq!(ours, assignments(&kafkas[assignor.name()]), "{assignor:?}, line {line}");
        }
    }
}

#[test]
fn sticky_is_as_balanced_as_kafkas_and_moves_as_little() {
    let (mut ours_moved, mut kafkas_moved) = (0, 0);
    for (number, Case { group, kafkas }) in cases().iter().enumerate() {
        let ours = Assignor::Sticky.assign(group);
        let kafkas = assignments(&kafkas["sticky"]);
        prove_valid(group, &ours);
        prove_valid(group, &kafkas);
        let judge = |it: &Assignments| (unevenness(it), moved(group, it));
        let (ours, kafkas) = (judge(&ours), judge(&kafkas));
        assert!(ours.0 <= kafkas.0, "line {}: {ours:?}, and {kafkas:?} by Kafka", number + 1);
        ours_moved += ours.1;
        kafkas_moved += kafkas.1;
    }
    assert!(ours_moved <= kafkas_moved, "{ours_moved}, and {kafkas_moved} by Kafka");
}

/// What Kafka's members of `sticky` say of what they had.
#[test]
fn kafkas_user_data_is_read_and_written() {
    let mut compared = 0;
    for Case { group, kafkas } in cases() {
        for (id, member) in &group.members {
            let hex = kafkas["members"][&**id]["userData"].as_str().unwrap();
            let bytes: Vec<u8> = (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                .collect();
            let (owned, generation) = user_data::read_sticky(&bytes).unwrap();
            assert_eq!((&owned, generation), (&member.owned, Some(member.generation)));
            let written = user_data::write_sticky(&owned, member.generation);
            assert_eq!(written.len(), bytes.len());
            assert_eq!(user_data::read_sticky(&written), Some((owned, generation)));
            // Kafka writes topics and partitions in any order.
            compared += usize::from(written == bytes);
        }
    }
    assert!(compared > 100);
}
