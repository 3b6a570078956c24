//! The `sticky` and `cooperative-sticky` assignors: `owners` says who has what, `pool` how much
//! everyone is to have, and here is decided which. A member gives up no more than it has too many;
//! racks only decide which ones.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    Assignments, Group, Member, give,
    owners::{Place, claimed, owners},
    pool::{Pool, pools},
};

pub(super) fn assign(group: &Group) -> Assignments {
    let mut assignments = group.nothing();
    for mut pool in pools(group, &owners(group)) {
        settle(group, &mut pool);
        for ((topic, partition), owner) in &pool.partitions {
            if let Some((id, _)) = owner.and_then(|owner| pool.members.get(owner)) {
                give(&mut assignments, id, topic, *partition);
            }
        }
    }
    assignments
}

/// Members of a cooperative group go on with what they have. What somebody else has is given to
/// nobody yet: its owner lets go of it, and the group agrees again.
pub(super) fn defer_moves(group: &Group, assignments: &mut Assignments) {
    let owners = owners(group);
    let mut claims: BTreeMap<Place<'_>, BTreeSet<&str>> = BTreeMap::new();
    for (id, member) in &group.members {
        claimed(member).for_each(|place| {
            claims.entry(place).or_default().insert(id);
        });
    }
    for (id, assignment) in assignments {
        assignment.retain(|topic, partitions| {
            partitions.retain(|at| {
                let place = (&**topic, *at);
                let is_claimed =
                    claims.get(&place).is_some_and(|by| by.iter().any(|it| *it != &**id));
                !is_claimed || owners.get(&place) == Some(&&**id)
            });
            !partitions.is_empty()
        });
    }
}

/// Gives every partition of a pool an owner, so that everyone has as many as he should.
fn settle(group: &Group, pool: &mut Pool<'_>) {
    let mut missing: Vec<i64> = pool.wanted.iter().map(|wanted| *wanted as i64).collect();
    for owner in pool.partitions.iter().filter_map(|(_, owner)| *owner) {
        add(&mut missing, owner, -1);
    }
    let near = |member: usize, (topic, partition): (&str, i32)| {
        let racks = group.topics.get(topic).and_then(|all| all.get(partition as usize));
        let member = pool.members.get(member);
        member.zip(racks).is_some_and(|((_, member), racks)| in_rack(member, racks))
    };
    // Those go first whose owner is far from them.
    for any in [false, true] {
        for (place, owner) in pool.partitions.iter_mut().rev() {
            if let Some(at) = *owner
                && missing.get(at).is_some_and(|missing| *missing < 0)
                && (any || !near(at, *place))
            {
                add(&mut missing, at, 1);
                *owner = None;
            }
        }
    }
    let takers = missing.iter().enumerate().filter(|(_, missing)| **missing > 0);
    let mut takers: VecDeque<usize> = takers.map(|(at, _)| at).collect();
    for any in [false, true] {
        for (place, owner) in pool.partitions.iter_mut().filter(|(_, owner)| owner.is_none()) {
            let Some(at) = takers.iter().position(|at| any || near(*at, *place)) else { continue };
            *owner = takers.remove(at);
            if let Some(member) = *owner {
                add(&mut missing, member, -1);
                if missing.get(member).is_some_and(|missing| *missing > 0) {
                    takers.push_back(member);
                }
            }
        }
    }
}

fn in_rack(member: &Member, racks: &BTreeSet<Box<str>>) -> bool {
    member.rack.as_ref().is_some_and(|rack| racks.contains(rack))
}

fn add(counts: &mut [i64], at: usize, by: i64) {
    if let Some(count) = counts.get_mut(at) {
        *count += by;
    }
}
