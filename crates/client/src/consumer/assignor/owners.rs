//! Who owns which partition before a sticky assignment: what members say, judged by the
//! generation in which they say it.

use std::collections::BTreeMap;

use super::{Group, Member};

/// A partition with its topic.
pub(super) type Place<'g> = (&'g str, i32);

/// The owner of each partition that has one. Of two who say that they have it, the one of the
/// later generation does; of the same generation, neither.
pub(super) fn owners(group: &Group) -> BTreeMap<Place<'_>, &str> {
    let mut claims: BTreeMap<Place<'_>, (i32, Option<&str>)> = BTreeMap::new();
    for (id, member) in &group.members {
        for place in claimed(member).filter(|(topic, at)| exists(group, topic, *at)) {
            let claim = claims.entry(place).or_insert((member.generation, Some(id)));
            if claim.0 < member.generation {
                *claim = (member.generation, Some(id));
            } else if claim.0 == member.generation && claim.1 != Some(id) {
                claim.1 = None;
            }
        }
    }
    let subscribes = |id: &str, topic: &str| {
        group.members.get(id).is_some_and(|member| member.topics.contains(topic))
    };
    claims
        .into_iter()
        .filter_map(|(place, (_, owner))| Some((place, owner?)))
        .filter(|((topic, _), owner)| subscribes(owner, topic))
        .collect()
}

/// All partitions that a member says it has.
pub(super) fn claimed(member: &Member) -> impl Iterator<Item = Place<'_>> {
    member.owned.iter().flat_map(|(topic, all)| all.iter().map(|at| (&**topic, *at)))
}

fn exists(group: &Group, topic: &str, partition: i32) -> bool {
    let partitions = group.topics.get(topic).map_or(0, Vec::len);
    usize::try_from(partition).is_ok_and(|partition| partition < partitions)
}
