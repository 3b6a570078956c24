//! The `roundrobin` assignor: all partitions in order, to the members in turn; who does not
//! subscribe to a topic is passed over.

use std::collections::BTreeSet;

use super::{Assignments, Group, by_java, give};

pub(super) fn assign(group: &Group) -> Assignments {
    let mut assignments = group.nothing();
    let members = group.in_order();
    let mut turn = members.iter().cycle();
    let subscribed: BTreeSet<_> = group.members.values().flat_map(|it| &it.topics).collect();
    let mut topics: Vec<_> = subscribed.into_iter().collect();
    topics.sort_by(|one, other| by_java(one, other));
    for topic in topics {
        let partitions = group.topics.get(topic).map_or(0, Vec::len);
        for (partition, _) in (0..).zip(0..partitions) {
            // Somebody subscribes, or the topic would not be here.
            if let Some((id, _)) = turn.find(|(_, member)| member.topics.contains(topic)) {
                give(&mut assignments, id, topic, partition);
            }
        }
    }
    assignments
}
