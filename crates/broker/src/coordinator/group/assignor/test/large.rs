//! Large groups: an assignment costs by members and partitions, not by their product.

use std::time::Duration;

use milena_env::{Clock, RealClock};

use super::*;

/// Far above what it takes, in a debug build on a busy machine; far below anything quadratic.
const AT_MOST: Duration = Duration::from_secs(10);

/// Members of which all, or some in turn, subscribe to all topics but one.
fn group(members: usize, topics: u128, partitions: usize, mixed: bool) -> Group {
    let mut group = Group::of(&vec![partitions; topics as usize]);
    for number in 0..members {
        let left_out = if mixed { number as u128 % topics + 1 } else { 0 };
        join(&mut group, &format!("member-{number}"), left_out);
    }
    group
}

fn join(group: &mut Group, id: &str, left_out: u128) {
    let all = 1..=group.topics.len() as u128;
    group.join(id, &all.filter(|topic| *topic != left_out).collect::<Vec<_>>());
}

/// A new group, then one who leaves, then one who joins.
fn assign_thrice(members: usize, topics: u128, partitions: usize, mixed: bool) {
    for assignor in [Assignor::Range, Assignor::Uniform] {
        let mut group = group(members, topics, partitions, mixed);
        for change in ["new", "leave", "join"] {
            match change {
                "leave" => drop(group.members.pop_first()),
                "join" => join(&mut group, "another", 0),
                _ => {}
            }
            let from = RealClock.monotonic();
            group.assign(assignor);
            let took = RealClock.monotonic() - from;
            let (name, all) = (assignor.name(), topics as usize * partitions);
            println!("{name} {members} members {all} partitions mixed {mixed} {change}: {took:?}");
            assert!(took < AT_MOST, "{took:?}");
            group.rebalance(assignor);
        }
    }
}

#[test]
fn a_hundred_members_and_a_thousand_partitions() {
    assign_thrice(100, 10, 100, false);
    assign_thrice(100, 10, 100, true);
}

#[test]
fn a_thousand_members_and_ten_thousand_partitions() {
    assign_thrice(1000, 50, 200, false);
    assign_thrice(1000, 50, 200, true);
}
