//! What holds for every group: all is given, nobody can be helped by one move, nothing moves
//! without need, and cooperative groups come to rest.

use proptest::prelude::*;

use super::*;

fn topics() -> impl Strategy<Value = Topics> {
    let racks = proptest::collection::btree_set("[ab]".prop_map(Into::into), 0..3);
    let partitions = proptest::collection::vec(racks, 0..9);
    proptest::collection::btree_map("[t-w]".prop_map(Into::into), partitions, 1..5)
}

fn member() -> impl Strategy<Value = Member> {
    let name = |pattern: &'static str| proptest::option::of(pattern.prop_map(Into::into));
    let topics = proptest::collection::btree_set("[t-x]".prop_map(Into::into), 0..5);
    let owned = proptest::collection::btree_map(
        "[t-x]".prop_map(Into::into),
        proptest::collection::btree_set(-1..9, 0..6),
        0..4,
    );
    (name("[i-j]{3}"), name("[a-c]?"), topics, owned, -1..3).prop_map(
        |(instance_id, rack, topics, owned, generation)| Member {
            instance_id,
            rack,
            topics,
            owned,
            generation,
        },
    )
}

fn group() -> impl Strategy<Value = Group> {
    let members = proptest::collection::btree_map("[a-f]{2}".prop_map(Into::into), member(), 1..7);
    (members, topics()).prop_map(|(members, topics)| Group { members, topics })
}

fn take(group: &mut Group, assignments: &Assignments, generation: i32) {
    for (id, member) in &mut group.members {
        member.owned = assignments[id].clone();
        member.generation = generation;
    }
}

proptest! {
    #[test]
    fn everything_is_given_once(group in group()) {
        for assignor in [Assignor::Range, Assignor::RoundRobin, Assignor::Sticky] {
            prove_valid(&group, &assignor.assign(&group));
        }
    }

    #[test]
    fn no_single_move_makes_a_sticky_group_more_even(group in group()) {
        let assignments = Assignor::Sticky.assign(&group);
        for (id, member) in &group.members {
            for (other, assignment) in &assignments {
                let shared = assignment.keys().any(|topic| member.topics.contains(topic));
                prop_assert!(
                    !shared || size(&assignments[id]) + 1 >= size(assignment),
                    "{} could take from {}: {:?}", id, other, assignments
                );
            }
        }
    }

    #[test]
    fn what_is_even_stays(mut group in group()) {
        let first = Assignor::Sticky.assign(&group);
        take(&mut group, &first, 5);
        prop_assert_eq!(Assignor::Sticky.assign(&group), first);
    }

    /// Somebody comes: he is given what others lose, and nobody gets anything but him.
    #[test]
    fn a_new_member_costs_no_more_than_its_share(mut group in group(), topic in "[t-w]") {
        let all: BTreeSet<Box<str>> = group.topics.keys().cloned().collect();
        for member in group.members.values_mut() {
            member.topics = all.clone();
        }
        let first = Assignor::Sticky.assign(&group);
        take(&mut group, &first, 5);
        let newcomer = Member { topics: all, generation: -1, ..Default::default() };
        group.members.insert(topic.into(), newcomer);
        let second = Assignor::Sticky.assign(&group);
        let partitions: usize = group.topics.values().map(Vec::len).sum();
        prop_assert!(moved(&group, &second) <= partitions.div_ceil(group.members.len()));
    }

    /// A cooperative group agrees once to let go, and once more to take.
    #[test]
    fn a_cooperative_group_comes_to_rest_and_shares_nothing(mut group in group()) {
        let mut claims = owners::owners(&group).into_iter().map(|(place, id)| {
            ((Box::<str>::from(place.0), place.1), Box::<str>::from(id))
        }).collect::<BTreeMap<_, _>>();
        for generation in 3..6 {
            let given = Assignor::CooperativeSticky.assign(&group);
            for (id, assignment) in &given {
                for (topic, partitions) in assignment {
                    for at in partitions {
                        let owner = claims.get(&(topic.clone(), *at));
                        let is_free = owner.is_none_or(|owner| owner == id);
                        prop_assert!(is_free, "{topic}-{at} is taken");
                    }
                }
            }
            take(&mut group, &given, generation);
            claims = given.iter().flat_map(|(id, all)| all.iter().flat_map(move |(topic, all)| {
                all.iter().map(move |at| ((topic.clone(), *at), id.clone()))
            })).collect();
        }
        let whole = Assignor::Sticky.assign(&group);
        prove_valid(&group, &whole);
        prop_assert_eq!(Assignor::CooperativeSticky.assign(&group), whole);
    }

    #[test]
    fn user_data_from_a_stranger_is_read_or_not(bytes: Vec<u8>) {
        let _ = user_data::read_sticky(&bytes);
        let _ = user_data::read_cooperative(&bytes);
    }
}

#[test]
fn user_data_of_the_first_version_has_no_generation() {
    let owned = Assignment::from([("t".into(), BTreeSet::from([0, 7]))]);
    let bytes = user_data::write_sticky(&owned, 3);
    assert_eq!(user_data::read_sticky(&bytes), Some((owned.clone(), Some(3))));
    assert_eq!(user_data::read_sticky(&bytes[..bytes.len() - 4]), Some((owned, None)));
    assert_eq!(user_data::read_cooperative(&user_data::write_cooperative(9)), Some(9));
}

#[test]
fn an_assignor_is_known_by_its_name_and_by_kafkas_class() {
    for assignor in Assignor::ALL {
        let class = format!("org.apache.kafka.clients.consumer.{}", assignor.class());
        assert_eq!(Assignor::from_name(&class), Some(assignor));
        assert_eq!(Assignor::from_name(assignor.name()), Some(assignor));
    }
    assert_eq!(Assignor::from_name("StreamsPartitionAssignor"), None);
}
