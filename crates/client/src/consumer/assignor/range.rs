//! The `range` assignor: the partitions of each topic in order, cut into pieces of the same size.
//!
//! Where racks are known it first gives to members that have a replica in their rack, as far as
//! that keeps everyone's share; topics with the same subscribers and as many partitions are then
//! given away together, so that the same numbers still meet.

use std::collections::{BTreeMap, BTreeSet};

use super::{Assignments, Group, Member, give};

/// A topic while it is given away.
struct Topic<'g> {
    name: &'g str,
    /// In Kafka's order.
    members: Vec<(&'g str, &'g Member)>,
    racks: &'g [BTreeSet<Box<str>>],
    free: BTreeSet<usize>,
    /// How many each member has, by its place.
    given: Vec<usize>,
    /// How many every member gets, and how many members may still get one more.
    share: usize,
    extra: usize,
}

pub(super) fn assign(group: &Group) -> Assignments {
    let mut assignments = group.nothing();
    let members = group.in_order();
    let topics = group.topics.iter().filter(|(_, partitions)| !partitions.is_empty());
    let mut topics: Vec<_> =
        topics.filter_map(|(name, racks)| Topic::new(name, racks, &members)).collect();
    if topics.iter().any(Topic::wants_racks) {
        assign_by_rack(&mut topics, &mut assignments);
    }
    for topic in &mut topics {
        topic.assign_ranges(|_, _| true, &mut assignments);
    }
    assignments
}

fn assign_by_rack(topics: &mut [Topic<'_>], assignments: &mut Assignments) {
    let mut alike: BTreeMap<(Vec<&str>, usize), Vec<&mut Topic<'_>>> = BTreeMap::new();
    for topic in topics.iter_mut().filter(|topic| topic.knows_racks()) {
        let members = topic.members.iter().map(|(id, _)| *id).collect();
        alike.entry((members, topic.racks.len())).or_default().push(topic);
    }
    for ((members, partitions), mut topics) in alike {
        match topics.as_mut_slice() {
            [topic] if topic.wants_racks() => topic.assign_ranges(matches_rack, assignments),
            [_] => {}
            topics => assign_together(topics, members.len(), partitions, assignments),
        }
    }
}

/// One member for each number, in all topics.
fn assign_together(
    topics: &mut [&mut Topic<'_>],
    members: usize,
    partitions: usize,
    assignments: &mut Assignments,
) {
    for partition in 0..partitions {
        let fits = |member: &usize| {
            topics.iter().all(|topic| topic.fits(*member, partition) && topic.room(*member) > 0)
        };
        if let Some(member) = (0..members).find(fits) {
            topics.iter_mut().for_each(|topic| topic.give(member, partition, assignments));
        }
    }
}

/// Who says no rack is at home in all of them.
fn matches_rack(member: &Member, racks: &BTreeSet<Box<str>>) -> bool {
    rack(member).is_none_or(|rack| racks.contains(rack))
}

fn rack(member: &Member) -> Option<&str> {
    member.rack.as_deref().filter(|rack| !rack.is_empty())
}

impl<'g> Topic<'g> {
    fn new(
        name: &'g str,
        racks: &'g [BTreeSet<Box<str>>],
        members: &[(&'g str, &'g Member)],
    ) -> Option<Self> {
        let subscribed = members.iter().filter(|(_, member)| member.topics.contains(name));
        let members: Vec<_> = subscribed.copied().collect();
        let share = racks.len().checked_div(members.len())?;
        let extra = racks.len().checked_rem(members.len())?;
        let (given, free) = (vec![0; members.len()], (0..racks.len()).collect());
        Some(Self { name, members, racks, free, given, share, extra })
    }

    fn knows_racks(&self) -> bool {
        self.members.iter().any(|(_, member)| rack(member).is_some())
    }

    /// Whether racks make a difference: members and replicas share some, and not every partition
    /// is in all of them.
    fn wants_racks(&self) -> bool {
        let all: BTreeSet<&str> = self.racks.iter().flatten().map(|rack| &**rack).collect();
        self.members.iter().filter_map(|(_, member)| rack(member)).any(|rack| all.contains(rack))
            && self.racks.iter().any(|racks| racks.len() != all.len())
    }

    fn fits(&self, member: usize, partition: usize) -> bool {
        let (member, racks) = (self.members.get(member), self.racks.get(partition));
        member.zip(racks).is_some_and(|((_, member), racks)| matches_rack(member, racks))
    }

    /// How many partitions a member may still get.
    fn room(&self, member: usize) -> usize {
        let given = self.given.get(member).copied().unwrap_or(usize::MAX);
        (self.share + usize::from(self.extra > 0)).saturating_sub(given)
    }

    fn give(&mut self, member: usize, partition: usize, assignments: &mut Assignments) {
        let Some(given) = self.given.get_mut(member) else { return };
        *given += 1;
        if *given > self.share {
            self.extra = self.extra.saturating_sub(1);
        }
        self.free.remove(&partition);
        if let Some((id, _)) = self.members.get(member) {
            give(assignments, id, self.name, partition as i32);
        }
    }

    fn assign_ranges(
        &mut self,
        may: impl Fn(&Member, &BTreeSet<Box<str>>) -> bool,
        assignments: &mut Assignments,
    ) {
        for (place, (_, member)) in self.members.clone().into_iter().enumerate() {
            let racks = |partition: usize| self.racks.get(partition);
            let fitting =
                self.free.iter().filter(|at| racks(**at).is_some_and(|racks| may(member, racks)));
            let chosen: Vec<_> = fitting.copied().take(self.room(place)).collect();
            for partition in chosen {
                self.give(place, partition, assignments);
            }
        }
    }
}
