//! Who owns which partition, once it is known how many each member is to have. A member gives up
//! no more than it has too many; what needs an owner goes round among those who miss some, to
//! members in a replica's rack first.

use std::collections::{BTreeMap, VecDeque};

use milena_protocol::Uuid;

use super::Topic;

/// A member in the making of an assignment.
pub(super) struct Quota<'a> {
    rack: Option<&'a str>,
    /// How many partitions it is still to get; below zero, to give up.
    pub(super) missing: i64,
}

/// A topic in the making of an assignment.
pub(super) struct Owned<'a> {
    pub(super) id: Uuid,
    racks: &'a [Vec<&'a str>],
    /// By partition; a number is a member's place among all.
    pub(super) owners: Vec<Option<usize>>,
}

impl<'a> Quota<'a> {
    pub(super) fn new(rack: Option<&'a str>) -> Self {
        Self { rack, missing: 0 }
    }
}

impl<'a> Owned<'a> {
    pub(super) fn new(id: Uuid, topic: &'a Topic<'_>) -> Self {
        let partitions = usize::try_from(topic.partitions).unwrap_or_default();
        Self { id, racks: &topic.racks, owners: vec![None; partitions] }
    }
}

/// The members' `missing` together are as many as the partitions without owner; afterwards nobody
/// misses any, and all are owned.
pub(super) fn settle(topics: &mut [Owned<'_>], quotas: &mut [Quota<'_>]) {
    if quotas.iter().any(|quota| quota.missing < 0) {
        give_up(topics, quotas, |far| far);
        give_up(topics, quotas, |_| true);
    }
    let mut by_rack: BTreeMap<_, VecDeque<usize>> = BTreeMap::new();
    for (member, quota) in who_misses_some(quotas) {
        by_rack.entry(quota.rack).or_default().push_back(member);
    }
    hand_out(topics, |racks| {
        racks.iter().find_map(|rack| next(by_rack.get_mut(&Some(*rack))?, quotas))
    });
    let mut all = who_misses_some(quotas).map(|(member, _)| member).collect();
    hand_out(topics, |_| next(&mut all, quotas));
}

fn who_misses_some<'q, 'r>(
    quotas: &'q [Quota<'r>],
) -> impl Iterator<Item = (usize, &'q Quota<'r>)> {
    quotas.iter().enumerate().filter(|(_, quota)| quota.missing > 0)
}

/// Takes from those who have too many, the last partitions first. `may` is told whether a
/// partition has no replica in its owner's rack.
fn give_up(topics: &mut [Owned<'_>], quotas: &mut [Quota<'_>], may: impl Fn(bool) -> bool) {
    for topic in topics.iter_mut().rev() {
        for (partition, owner) in topic.owners.iter_mut().enumerate().rev() {
            let Some(quota) = owner.and_then(|owner| quotas.get_mut(owner)) else {
                continue;
            };
            let racks = topic.racks.get(partition).map_or(&[][..], Vec::as_slice);
            let far = !quota.rack.is_some_and(|rack| racks.contains(&rack));
            if quota.missing < 0 && may(far) {
                quota.missing += 1;
                *owner = None;
            }
        }
    }
}

/// Asks, for all partitions without an owner, who is to have it, given its replicas' racks.
fn hand_out<'a>(topics: &mut [Owned<'a>], mut to_whom: impl FnMut(&[&'a str]) -> Option<usize>) {
    for topic in topics {
        for (partition, owner) in topic.owners.iter_mut().enumerate() {
            let racks = topic.racks.get(partition).map_or(&[][..], Vec::as_slice);
            *owner = owner.or_else(|| to_whom(racks));
        }
    }
}

/// Who is first in the queue gets one, and stands last where it misses more.
fn next(queue: &mut VecDeque<usize>, quotas: &mut [Quota<'_>]) -> Option<usize> {
    let member = queue.pop_front()?;
    let quota = quotas.get_mut(member)?;
    quota.missing -= 1;
    if quota.missing > 0 {
        queue.push_back(member);
    }
    Some(member)
}
