//! What the members of a group were told and did, and what must hold of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::invariants::{Found, Story};

/// A member in one generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) generation: i32,
    pub(super) member: String,
}

/// What is wrong at once is told at once: whoever notes it fails.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// By generation and partition, who has it.
    holders: BTreeMap<(i32, i32), String>,
    /// By partition, up to where a commit was acknowledged.
    pub(super) acknowledged: BTreeMap<i32, i64>,
    /// All that anybody ever asked to be committed.
    asked: BTreeSet<(i32, i64)>,
    /// By partition, what was consumed, once or more.
    consumed: BTreeMap<i32, BTreeMap<i64, Found>>,
    wrong: Vec<String>,
    /// How often a member began where the group had come to.
    pub(crate) beginnings: u32,
    pub(crate) commits: u32,
    /// Commits of members that had slept too long, and were refused.
    pub(crate) fenced: u32,
}

impl History {
    pub(super) fn assigned(&mut self, holder: &Holder, partitions: &[i32]) {
        for partition in partitions {
            self.holds(holder, *partition, "is assigned");
        }
    }

    /// No two members have one partition in one generation.
    fn holds(&mut self, holder: &Holder, partition: i32, what: &str) {
        let key = (holder.generation, partition);
        let member = self.holders.entry(key).or_insert_with(|| holder.member.clone());
        if *member != holder.member {
            self.wrong.push(format!("{holder:?} {what} {partition}, which {member} has"));
        }
    }

    /// Begins where the group was said to be. `before` is what had been acknowledged before it
    /// asked.
    pub(super) fn handed_out(
        &mut self,
        holder: &Holder,
        before: &BTreeMap<i32, i64>,
        offsets: &BTreeMap<i32, i64>,
    ) {
        self.beginnings += 1;
        for (&partition, &offset) in offsets {
            let told = format!("{holder:?} is told to begin {partition} at {offset}");
            let acknowledged = before.get(&partition).copied().unwrap_or(-1);
            if offset < acknowledged {
                self.wrong.push(format!("{told}, though {acknowledged} was acknowledged"));
            }
            if offset != -1 && !self.asked.contains(&(partition, offset)) {
                self.wrong.push(format!("{told}, which nobody ever committed"));
            }
        }
    }

    pub(super) fn consumed(&mut self, holder: &Holder, partition: i32, found: &[Found]) {
        self.holds(holder, partition, "consumes");
        for found in found {
            let before = self.consumed.entry(partition).or_default().insert(found.offset, *found);
            if before.is_some_and(|before| before != *found) {
                self.wrong.push(format!("{partition}: {found:?} was {before:?} before"));
            }
        }
    }

    pub(super) fn will_commit(&mut self, offsets: &[(i32, i64)]) {
        self.asked.extend(offsets);
    }

    pub(super) fn was_committed(&mut self, offsets: &[(i32, i64)]) {
        self.commits += 1;
        for &(partition, offset) in offsets {
            let acknowledged = self.acknowledged.entry(partition).or_insert(-1);
            *acknowledged = (*acknowledged).max(offset);
        }
    }

    pub(crate) fn generations(&self) -> usize {
        self.holders.keys().map(|(generation, _)| generation).collect::<BTreeSet<_>>().len()
    }

    /// Nothing went wrong on the way, and what the partitions hold was consumed, and nothing else;
    /// so every record that was acknowledged, if `story` is sound.
    pub(crate) fn check(&self, story: &Story) {
        assert!(self.wrong.is_empty(), "{:#?}", self.wrong);
        assert!(self.beginnings > 0 && self.commits > 0, "nothing was ever committed");
        for (partition, found) in (0..).zip(&story.found) {
            let consumed = self.consumed.get(&partition);
            let consumed: Vec<Found> =
                consumed.into_iter().flat_map(BTreeMap::values).copied().collect();
            assert!(consumed == *found, "partition {partition}: {}", differ(&consumed, found));
        }
    }
}

fn differ(consumed: &[Found], found: &[Found]) -> String {
    let place = consumed.iter().zip(found).position(|(one, other)| one != other);
    let place = place.unwrap_or(consumed.len().min(found.len()));
    format!("consumed {:?}, there is {:?}", consumed.get(place), found.get(place))
}

#[cfg(test)]
mod test {
    use super::*;

    fn holder(generation: i32, member: &str) -> Holder {
        Holder { generation, member: member.to_owned() }
    }

    fn found(offset: i64) -> Found {
        Found { offset, producer: 0, number: offset as i32 }
    }

    fn story() -> Story {
        Story { found: vec![vec![found(0), found(1)]], ..Story::default() }
    }

    /// One member consumes one record, another the next.
    fn is_refused(break_it: impl FnOnce(&mut History)) -> bool {
        let mut history = History::default();
        history.assigned(&holder(1, "a"), &[0]);
        history.handed_out(&holder(1, "a"), &BTreeMap::new(), &BTreeMap::from([(0, -1)]));
        history.consumed(&holder(1, "a"), 0, &[found(0)]);
        history.will_commit(&[(0, 1)]);
        history.was_committed(&[(0, 1)]);
        history.assigned(&holder(2, "b"), &[0]);
        break_it(&mut history);
        history.consumed(&holder(2, "b"), 0, &[found(1)]);
        std::panic::catch_unwind(|| history.check(&story())).is_err()
    }

    fn begins_at(history: &mut History, offset: i64) {
        let before = history.acknowledged.clone();
        history.handed_out(&holder(2, "b"), &before, &BTreeMap::from([(0, offset)]));
    }

    #[test]
    fn what_breaks_a_group_is_seen() {
        assert!(!is_refused(|history| begins_at(history, 1)));
        assert!(is_refused(|history| begins_at(history, 0)), "gone back");
        assert!(is_refused(|history| begins_at(history, -1)), "forgotten");
        assert!(is_refused(|history| begins_at(history, 2)), "never committed");
        assert!(is_refused(|history| history.assigned(&holder(2, "c"), &[0])), "two owners");
        assert!(is_refused(|history| history.consumed(&holder(1, "b"), 0, &[])), "two consume");
        assert!(is_refused(|history| history.consumed.clear()), "missed");
        let other = Found { number: 7, ..found(0) };
        assert!(is_refused(|history| history.consumed(&holder(2, "b"), 0, &[other])), "changed");
        let more = |history: &mut History| history.consumed(&holder(2, "b"), 0, &[found(2)]);
        assert!(is_refused(more), "invented");
    }
}
