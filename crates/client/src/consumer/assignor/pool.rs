//! How many partitions of which topics each member is to have in a sticky assignment. Topics with
//! the same subscribers are one pool: only how many of them somebody has counts.
//!
//! What nobody has goes to who has least; then partitions move from who has too many to who has too
//! few, over others where the two subscribe to nothing in common.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Group, Member, owners::Place};

/// After so many rounds over all pools, and so many chains of moves, what is left is small.
const ROUNDS_MAX: usize = 16;
const CHAINS_MAX: usize = 256;

/// Topics with the same subscribers.
pub(super) struct Pool<'g> {
    pub(super) members: Vec<(&'g str, &'g Member)>,
    /// All partitions in order, each with the place of its owner among the members.
    pub(super) partitions: Vec<(Place<'g>, Option<usize>)>,
    /// How many each member is to have.
    pub(super) wanted: Vec<usize>,
    /// The members' places in the whole group.
    places: Vec<usize>,
}

/// The pools of a group, with what everyone is to have of each.
pub(super) fn pools<'g>(group: &'g Group, owners: &BTreeMap<Place<'g>, &'g str>) -> Vec<Pool<'g>> {
    let members = group.in_order();
    let mut by_members: BTreeMap<Vec<usize>, Vec<(&'g str, usize)>> = BTreeMap::new();
    for (topic, racks) in &group.topics {
        let subscribed = members.iter().enumerate().filter(|(_, it)| it.1.topics.contains(topic));
        let places: Vec<usize> = subscribed.map(|(place, _)| place).collect();
        if !places.is_empty() {
            by_members.entry(places).or_default().push((topic, racks.len()));
        }
    }
    let mut pools: Vec<_> = by_members
        .into_iter()
        .map(|(places, topics)| Pool::new(&members, places, &topics, owners))
        .collect();
    balance(&mut pools, members.len());
    pools
}

fn balance(pools: &mut [Pool<'_>], members: usize) {
    let mut loads = vec![0; members];
    for pool in pools.iter() {
        for (place, held) in pool.places.iter().zip(&pool.wanted) {
            change(&mut loads, *place, |load| load + held);
        }
    }
    // What few can have is given first: the rest can still go to others.
    pools.sort_by(|one, other| {
        let (ours, theirs) = (one.members.len(), other.members.len());
        let each = (other.partitions.len() * ours).cmp(&(one.partitions.len() * theirs));
        each.then(ours.cmp(&theirs))
    });
    pools.iter_mut().for_each(|pool| pool.fill(&mut loads));
    for _ in 0..ROUNDS_MAX {
        let mut moved = false;
        for pool in pools.iter_mut() {
            moved |= pool.level(&mut loads);
        }
        if !moved {
            break;
        }
    }
    for _ in 0..CHAINS_MAX {
        let mut givers: Vec<usize> = (0..loads.len()).collect();
        givers.sort_by_key(|place| std::cmp::Reverse(loads.get(*place).copied()));
        let chain = givers.into_iter().find_map(|from| chain(pools, &loads, from));
        let Some(chain) = chain else { break };
        for (pool, from, to) in chain {
            if let Some(pool) = pools.get_mut(pool) {
                pool.change(from, &mut loads, |count| count - 1);
                pool.change(to, &mut loads, |count| count + 1);
            }
        }
    }
}

/// The shortest chain of moves from a member to one that has two less: in which pool, from whom, to
/// whom.
fn chain(pools: &[Pool<'_>], loads: &[usize], from: usize) -> Option<Vec<(usize, usize, usize)>> {
    let load = |place: usize| loads.get(place).copied().unwrap_or(usize::MAX);
    let (mut seen, mut queue) = (BTreeSet::from([from]), VecDeque::from([(from, Vec::new())]));
    while let Some((giver, moves)) = queue.pop_front() {
        for (number, pool) in pools.iter().enumerate() {
            let Ok(at) = pool.places.binary_search(&giver) else { continue };
            if pool.wanted.get(at).is_none_or(|wanted| *wanted == 0) {
                continue;
            }
            for (to, taker) in pool.places.iter().enumerate() {
                if seen.insert(*taker) {
                    let mut moves = moves.clone();
                    moves.push((number, at, to));
                    if load(*taker) + 1 < load(from) {
                        return Some(moves);
                    }
                    queue.push_back((*taker, moves));
                }
            }
        }
    }
    None
}

impl<'g> Pool<'g> {
    fn new(
        members: &[(&'g str, &'g Member)],
        places: Vec<usize>,
        topics: &[(&'g str, usize)],
        owners: &BTreeMap<Place<'g>, &'g str>,
    ) -> Self {
        let members: Vec<_> = places.iter().filter_map(|place| members.get(*place)).collect();
        let by_id: BTreeMap<_, _> =
            members.iter().enumerate().map(|(at, (id, _))| (*id, at)).collect();
        let all =
            topics.iter().flat_map(|(topic, count)| (0..).take(*count).map(|at| (*topic, at)));
        let owner = |place: &Place<'g>| owners.get(place).and_then(|id| by_id.get(id)).copied();
        let partitions: Vec<_> = all.map(|place| (place, owner(&place))).collect();
        let mut wanted = vec![0; members.len()];
        for owner in partitions.iter().filter_map(|(_, owner)| *owner) {
            change(&mut wanted, owner, |held| held + 1);
        }
        Self { members: members.into_iter().copied().collect(), partitions, wanted, places }
    }

    /// Gives what nobody has to those who have least.
    fn fill(&mut self, loads: &mut [usize]) {
        let missing = self.partitions.iter().filter(|(_, owner)| owner.is_none()).count();
        for _ in 0..missing {
            if let Some((_, at)) = self.loads(loads).min() {
                self.change(at, loads, |count| count + 1);
            }
        }
    }

    /// Moves from who has most to who has least, while that makes them more even.
    fn level(&mut self, loads: &mut [usize]) -> bool {
        let mut moved = false;
        loop {
            let can_give = |at: usize| self.wanted.get(at).is_some_and(|wanted| *wanted > 0);
            let most = self.loads(loads).filter(|(_, at)| can_give(*at)).max();
            let least = self.loads(loads).min();
            match most.zip(least) {
                Some(((most, from), (least, to))) if most > least + 1 => {
                    self.change(from, loads, |count| count - 1);
                    self.change(to, loads, |count| count + 1);
                    moved = true;
                }
                _ => return moved,
            }
        }
    }

    /// How much each member has of all pools, with its place in this one.
    fn loads(&self, loads: &[usize]) -> impl Iterator<Item = (usize, usize)> {
        let load = |place: &usize| loads.get(*place).copied().unwrap_or(0);
        self.places.iter().map(load).enumerate().map(|(at, load)| (load, at))
    }

    fn change(&mut self, at: usize, loads: &mut [usize], by: fn(usize) -> usize) {
        change(&mut self.wanted, at, by);
        if let Some(place) = self.places.get(at) {
            change(loads, *place, by);
        }
    }
}

fn change(counts: &mut [usize], at: usize, by: impl FnOnce(usize) -> usize) {
    if let Some(count) = counts.get_mut(at) {
        *count = by(*count);
    }
}
