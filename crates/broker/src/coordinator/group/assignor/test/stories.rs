//! What the assignors are for, one small group each.

use super::*;

fn ranges(group: &Group) -> Vec<(String, Vec<Vec<i32>>)> {
    let numbers = |assignment: Assignment| {
        assignment.into_values().map(|partitions| partitions.into_iter().collect()).collect()
    };
    let assignments = group.assign(Assignor::Range);
    assignments.into_iter().map(|(id, assignment)| (id, numbers(assignment))).collect()
}

#[test]
fn assignors_are_known_by_kafkas_names() {
    assert_eq!(Assignor::from_name("uniform"), Some(Assignor::Uniform));
    assert_eq!(Assignor::from_name("range"), Some(Assignor::Range));
    assert_eq!(Assignor::from_name("Range"), None);
    assert_eq!(Assignor::Uniform.name(), "uniform");
}

#[test]
fn a_group_without_members_or_without_topics_has_nothing() {
    for assignor in [Assignor::Range, Assignor::Uniform] {
        let mut group = Group::of(&[3]);
        assert!(group.assign(assignor).is_empty());
        group.join("a", &[]);
        assert_eq!(group.rebalance(assignor), 0);
        assert_eq!(group.sizes(), [0]);
    }
}

#[test]
fn a_topic_that_is_gone_is_taken_from_everyone() {
    for assignor in [Assignor::Range, Assignor::Uniform] {
        let mut group = Group::of(&[3, 4]);
        group.join("a", &[1, 2]);
        group.join("b", &[1, 2]);
        group.rebalance(assignor);
        group.topics.remove(&topic(1));
        group.rebalance(assignor);
        assert_eq!(group.sizes(), [2, 2]);
    }
}

#[test]
fn range_lets_partitions_of_one_number_meet() {
    let mut group = Group::of(&[5, 5]);
    group.join("a", &[1, 2]);
    group.join("b", &[1, 2]);
    let (first, second) = (vec![0, 1, 2], vec![3, 4]);
    let expected =
        [("a".into(), vec![first.clone(), first]), ("b".into(), vec![second.clone(), second])];
    assert_eq!(ranges(&group), expected);
}

#[test]
fn a_static_member_keeps_its_range_under_a_new_id() {
    let mut group = Group::of(&[4]);
    group.join("b", &[1]).instance = Some("first".into());
    group.join("c", &[1]).instance = Some("second".into());
    group.join("a", &[1]);
    let before = ranges(&group);
    assert_eq!(before[1], ("b".into(), vec![vec![0, 1]]));
    let back = group.members.remove("b").unwrap();
    group.members.insert("z".into(), back);
    assert_eq!(ranges(&group)[2], ("z".into(), before[1].1.clone()));
}

#[test]
fn new_partitions_go_to_those_with_fewest() {
    let mut group = Group::of(&[3]);
    for id in ["a", "b", "c", "d"] {
        group.join(id, &[1]);
    }
    group.rebalance(Assignor::Uniform);
    assert_eq!(group.sizes(), [1, 1, 1, 0]);
    group.topics.insert(topic(1), vec![Vec::new(); 8]);
    assert_eq!(group.rebalance(Assignor::Uniform), 0);
    assert_eq!(group.sizes(), [2, 2, 2, 2]);
}

#[test]
fn what_two_claim_stays_with_the_first() {
    let mut group = Group::of(&[2]);
    let both = Assignment::from([(topic(1), BTreeSet::from([0, 1, 7, -1]))]);
    group.join("a", &[1]).assigned = both.clone();
    group.join("b", &[1]).assigned = both;
    group.rebalance(Assignor::Uniform);
    assert_eq!(group.sizes(), [1, 1]);
    assert_eq!(group.members["a"].assigned[&topic(1)], BTreeSet::from([0]));
}

#[test]
fn who_subscribes_alone_gets_less_of_what_all_share() {
    let mut group = Group::of(&[6, 6]);
    group.join("a", &[1, 2]);
    group.join("b", &[2]);
    group.join("c", &[2]);
    group.rebalance(Assignor::Uniform);
    assert_eq!(group.sizes(), [6, 3, 3]);
    // Somebody who shares both evens it out, at no more than its own part.
    group.join("d", &[1, 2]);
    assert_eq!(group.rebalance(Assignor::Uniform), 3);
    assert_eq!(group.sizes(), [3, 3, 3, 3]);
}

#[test]
fn partitions_find_members_in_the_racks_of_their_replicas() {
    let mut group = Group::of(&[]);
    let racks = ["x", "y", "z"].map(|rack| vec![rack.to_owned()]);
    group.topics.insert(topic(1), racks.iter().cycle().take(9).cloned().collect());
    for (id, rack) in [("a", "z"), ("b", "y"), ("c", "x")] {
        group.join(id, &[1]).rack = Some(rack.into());
    }
    group.rebalance(Assignor::Uniform);
    assert_eq!((group.sizes(), group.near()), (vec![3, 3, 3], 9));
    // Nothing moves for a rack's sake alone.
    group.join("d", &[1]).rack = Some("y".into());
    assert_eq!(group.rebalance(Assignor::Uniform), 2);
    assert_eq!(group.sizes(), [3, 2, 2, 2]);
    assert_eq!(group.near(), 8);
}

#[test]
fn who_must_give_up_keeps_what_is_near() {
    let mut group = Group::of(&[]);
    group.topics.insert(topic(1), vec![vec!["y".into()], vec!["x".into()]]);
    group.join("a", &[1]).rack = Some("x".into());
    group.rebalance(Assignor::Uniform);
    group.join("b", &[1]);
    group.rebalance(Assignor::Uniform);
    assert_eq!(group.members["a"].assigned[&topic(1)], BTreeSet::from([1]));
}
