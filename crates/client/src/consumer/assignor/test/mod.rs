//! Groups of all kinds through all assignors.

mod kafka;
mod properties;

use super::*;

/// Nobody gets what he does not subscribe to, nobody gets what another one has, and what somebody
/// subscribes to is given to somebody.
fn prove_valid(group: &Group, assignments: &Assignments) {
    let mut given = BTreeSet::new();
    for (id, assignment) in assignments {
        for (topic, partitions) in assignment {
            assert!(group.members[id].topics.contains(topic), "{id} does not want {topic}");
            for partition in partitions {
                assert!(given.insert((topic.clone(), *partition)), "{topic}-{partition} twice");
            }
        }
    }
    let wanted = |topic: &str| group.members.values().any(|member| member.topics.contains(topic));
    for (topic, racks) in group.topics.iter().filter(|(topic, _)| wanted(topic)) {
        for (at, _) in (0..).zip(racks) {
            assert!(given.remove(&(topic.clone(), at)), "{topic}-{at} is nobody's");
        }
    }
    assert_eq!(given, BTreeSet::new(), "there are no such partitions");
}

fn size(assignment: &Assignment) -> usize {
    assignment.values().map(BTreeSet::len).sum()
}

/// How uneven it is: the sum of all differences between two members, as Kafka counts it.
fn unevenness(assignments: &Assignments) -> usize {
    let sizes: Vec<usize> = assignments.values().map(size).collect();
    let pairs = sizes
        .iter()
        .enumerate()
        .flat_map(|(at, one)| sizes[at + 1..].iter().map(move |other| one.abs_diff(*other)));
    pairs.sum()
}

/// How many partitions somebody had whom they were taken from.
fn moved(group: &Group, assignments: &Assignments) -> usize {
    let owners = owners::owners(group);
    let has = |(topic, at): &(&str, i32), id: &str| {
        assignments[id].get(*topic).is_some_and(|all| all.contains(at))
    };
    owners.iter().filter(|(place, id)| !has(place, id)).count()
}
