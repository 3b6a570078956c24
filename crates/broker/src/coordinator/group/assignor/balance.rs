//! How many partitions of each topic its subscribers are to have, where members subscribe to
//! different topics. In the end no member could take one from somebody who has two more, save in
//! groups so tangled that [`ROUNDS_MAX`] ends it before.
//!
//! It never moves a whole chain of partitions, as Kafka's assignor does not: where one member has
//! six, a second five and a third four, and first and third have no topic in common, they keep
//! them. A rounder picture would cost moves.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

/// After so many rounds over all topics what is left is small; Kafka stops there too.
const ROUNDS_MAX: usize = 16;

/// A topic and its subscribers.
#[derive(Debug)]
pub(super) struct Shares {
    partitions: usize,
    /// In the members' order.
    pub(super) parts: Vec<Part>,
}

/// What a subscriber has of a topic.
#[derive(Debug)]
pub(super) struct Part {
    /// Its place among all members.
    pub(super) member: usize,
    pub(super) held: usize,
    pub(super) wanted: usize,
}

impl Shares {
    pub(super) fn new(partitions: usize) -> Self {
        Self { partitions, parts: Vec::new() }
    }

    /// Members subscribe in their order.
    pub(super) fn subscribe(&mut self, member: usize) {
        self.parts.push(Part { member, held: 0, wanted: 0 });
    }

    /// A partition is owned by a subscriber.
    pub(super) fn holds(&mut self, member: usize) {
        let at = self.parts.binary_search_by_key(&member, |part| part.member).ok();
        if let Some(part) = at.and_then(|at| self.parts.get_mut(at)) {
            part.held += 1;
            part.wanted += 1;
        }
    }

    /// Gives what nobody has to those who have least.
    fn fill(&mut self, loads: &mut [usize]) {
        let held: usize = self.parts.iter().map(|part| part.held).sum();
        if held == self.partitions {
            return;
        }
        let mut takers: BinaryHeap<_> = self.ranked(loads).map(Reverse).collect();
        for _ in held..self.partitions {
            let Some(mut taker) = takers.peek_mut() else {
                return;
            };
            let Reverse((load, _, at)) = &mut *taker;
            *load += 1;
            self.change(*at, loads, |count| count + 1);
        }
    }

    /// Moves from those who have most, as far as they have any of this topic, to those who have
    /// least. Tells whether anything moved.
    fn level(&mut self, loads: &mut [usize]) -> bool {
        let has_any = |part: &&Part| part.wanted > 0;
        let load = |part: &Part| loads.get(part.member).copied();
        let most = self.parts.iter().filter(has_any).filter_map(load).max();
        let least = self.parts.iter().filter_map(load).min();
        if most.zip(least).is_none_or(|(most, least)| most <= least + 1) {
            return false;
        }
        let (mut givers, mut takers) = (BinaryHeap::new(), BinaryHeap::new());
        for entry in self.ranked(loads) {
            takers.push(Reverse(entry));
            if self.wanted(entry.2) > 0 {
                givers.push(entry);
            }
        }
        // Neither heap hears of what the other does, and need not: who has given still has more
        // than whoever takes next, and who has taken has less than whoever gives next.
        while let (Some(mut giver), Some(mut taker)) = (givers.peek_mut(), takers.peek_mut()) {
            let Reverse((least, _, to)) = &mut *taker;
            let (most, _, from) = &mut *giver;
            if *most <= *least + 1 {
                break;
            }
            *most -= 1;
            *least += 1;
            self.change(*to, loads, |count| count + 1);
            self.change(*from, loads, |count| count - 1);
            if self.wanted(*from) == 0 {
                PeekMut::pop(giver);
            }
        }
        true
    }

    /// Of each subscriber how much it has of all topics, its rank by that, and its place here.
    /// Among equals who had less at first takes first, and who had more gives first.
    fn ranked(&self, loads: &[usize]) -> impl Iterator<Item = (usize, usize, usize)> + use<> {
        let mut all: Vec<(usize, usize)> = self
            .parts
            .iter()
            .enumerate()
            .filter_map(|(at, part)| Some((*loads.get(part.member)?, at)))
            .collect();
        all.sort_unstable();
        all.into_iter().enumerate().map(|(rank, (load, at))| (load, rank, at))
    }

    fn wanted(&self, at: usize) -> usize {
        self.parts.get(at).map_or(0, |part| part.wanted)
    }

    fn change(&mut self, at: usize, loads: &mut [usize], by: fn(usize) -> usize) {
        if let Some(part) = self.parts.get_mut(at)
            && let Some(load) = loads.get_mut(part.member)
        {
            part.wanted = by(part.wanted);
            *load = by(*load);
        }
    }
}

/// Decides how much is `wanted` by everyone of everything.
pub(super) fn balance(topics: &mut [Shares], members: usize) {
    let mut loads = vec![0; members];
    for part in topics.iter().flat_map(|topic| &topic.parts) {
        if let Some(load) = loads.get_mut(part.member) {
            *load += part.held;
        }
    }
    // What few can have is given first: the rest can still go to others.
    let mut topics: Vec<&mut Shares> = topics.iter_mut().collect();
    topics.sort_by(|one, other| {
        let (ours, theirs) = (one.parts.len(), other.parts.len());
        let per_member = (other.partitions * ours).cmp(&(one.partitions * theirs));
        per_member.then(ours.cmp(&theirs))
    });
    topics.iter_mut().for_each(|topic| topic.fill(&mut loads));
    for _ in 0..ROUNDS_MAX {
        let mut moved = false;
        for topic in &mut topics {
            moved |= topic.level(&mut loads);
        }
        if !moved {
            break;
        }
    }
}
