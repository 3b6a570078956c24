//! What must hold for any group through any changes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const ASSIGNORS: [Assignor; 2] = [Assignor::Range, Assignor::Uniform];
const TOPICS: usize = 5;

/// What befalls a group between two assignments; numbers choose by remainder.
#[derive(Debug, Clone)]
enum Change {
    Join { name: u16, topics: u8, rack: Option<u8> },
    Leave(usize),
    Subscribe(usize, u8),
    Grow(usize, usize),
    Delete(usize),
    Scramble(u64),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (any::<u16>(), any::<u8>(), any::<Option<u8>>())
            .prop_map(|(name, topics, rack)| Change::Join { name, topics, rack }),
        2 => any::<usize>().prop_map(Change::Leave),
        2 => (any::<usize>(), any::<u8>()).prop_map(|(who, topics)| Change::Subscribe(who, topics)),
        1 => (0..TOPICS, 1_usize..20).prop_map(|(topic, more)| Change::Grow(topic, more)),
        1 => (0..TOPICS).prop_map(Change::Delete),
        1 => any::<u64>().prop_map(Change::Scramble),
    ]
}

/// The topics whose bits are set.
fn chosen(bits: u8) -> Vec<u128> {
    (1..=TOPICS as u128).filter(|number| bits & (1 << number) != 0).collect()
}

fn rack(number: u8) -> String {
    format!("rack{}", number % 3)
}

impl Group {
    fn change(&mut self, change: &Change) {
        let someone = |group: &Self, number: usize| {
            let at = number.checked_rem(group.members.len())?;
            group.members.keys().nth(at).cloned()
        };
        match change {
            Change::Join { name, topics, rack: of } => {
                let consumer = self.join(&format!("m{name}"), &chosen(*topics));
                consumer.rack = of.map(rack);
                consumer.instance = (name % 4 == 0).then(|| format!("i{}", name / 4));
            }
            Change::Leave(who) => {
                someone(self, *who).and_then(|id| self.members.remove(&id));
            }
            Change::Subscribe(who, topics) => {
                if let Some(consumer) = someone(self, *who).and_then(|id| self.members.get_mut(&id))
                {
                    consumer.topics = chosen(*topics).into_iter().map(topic).collect();
                }
            }
            Change::Grow(at, more) => {
                let partitions = self.topics.entry(topic(*at as u128 + 1)).or_default();
                let racks = (0_u8..).map(|number| vec![rack(number), rack(number / 3)]);
                partitions.extend(racks.take(*more));
            }
            Change::Delete(at) => {
                self.topics.remove(&topic(*at as u128 + 1));
            }
            Change::Scramble(seed) => {
                // A group that was assigned by who knows whom, twice and out of bounds.
                for (number, consumer) in (0_u64..).zip(self.members.values_mut()) {
                    let bits = seed.rotate_left(7 * number as u32);
                    let some = (-1..30).filter(|at| bits & (1 << (at + 1)) != 0).collect();
                    consumer.assigned.insert(topic(u128::from(bits % 6)), some);
                }
            }
        }
    }

    fn one_subscription(&mut self, topics: u8) {
        for consumer in self.members.values_mut() {
            consumer.topics = chosen(topics).into_iter().map(topic).collect();
        }
    }
}

/// Members with partitions, all of whom subscribe to the same.
fn same_subscriptions() -> impl Strategy<Value = Group> {
    (vec(0_usize..25, 1..TOPICS), 1_usize..12).prop_map(|(partitions, members)| {
        let mut group = Group::of(&partitions);
        let all: Vec<u128> = (1..=partitions.len() as u128).collect();
        for number in 0..members {
            group.join(&format!("m{}", number * 2 + 1), &all);
        }
        group
    })
}

proptest! {
    #[test]
    fn whatever_befalls_a_group_everything_has_one_owner(changes in vec(change(), 1..30)) {
        for assignor in ASSIGNORS {
            let mut group = Group::of(&[4, 9, 1]);
            for change in &changes {
                group.change(change);
                group.rebalance(assignor);
            }
        }
    }

    #[test]
    fn nothing_moves_where_nothing_changed(changes in vec(change(), 1..30)) {
        for assignor in ASSIGNORS {
            let mut group = Group::of(&[4, 9, 1]);
            changes.iter().for_each(|change| group.change(change));
            group.rebalance(assignor);
            let before = group.assigned();
            prop_assert_eq!(group.assign(assignor), before);
        }
    }

    #[test]
    fn equal_subscriptions_differ_by_one_at_most(
        changes in vec(change(), 1..30),
        topics in any::<u8>(),
    ) {
        let mut group = Group::of(&[4, 9, 1]);
        changes.iter().for_each(|change| group.change(change));
        group.one_subscription(topics);
        group.rebalance(Assignor::Uniform);
        prop_assert!(spread(group.sizes()) <= 1);
    }

    #[test]
    fn no_single_move_would_balance_a_mixed_group_better(changes in vec(change(), 1..30)) {
        let mut group = Group::of(&[4, 9, 1]);
        changes.iter().for_each(|change| group.change(change));
        group.rebalance(Assignor::Uniform);
        for giver in group.members.values() {
            for taker in group.members.values() {
                let shared = giver.assigned.keys().any(|topic| taker.topics.contains(topic));
                let (most, least) = (size(&giver.assigned), size(&taker.assigned));
                prop_assert!(!shared || most <= least + 1);
            }
        }
    }

    #[test]
    fn who_joins_is_given_its_part_and_nothing_else_moves(group in same_subscriptions()) {
        let mut group = group;
        group.rebalance(Assignor::Uniform);
        let topics = group.members.values().next().unwrap().topics.clone();
        group.members.insert("m4".into(), Consumer { topics, ..Consumer::default() });
        let moved = group.rebalance(Assignor::Uniform);
        let all: usize = group.sizes().iter().sum();
        prop_assert_eq!(moved, all / group.members.len());
    }

    #[test]
    fn when_one_leaves_only_its_part_is_given_on(
        group in same_subscriptions(),
        who in any::<usize>(),
    ) {
        let mut group = group;
        group.join("m4", &[]).topics = group.members["m1"].topics.clone();
        group.rebalance(Assignor::Uniform);
        let id = group.members.keys().nth(who % group.members.len()).unwrap().clone();
        group.members.remove(&id);
        prop_assert_eq!(group.rebalance(Assignor::Uniform), 0);
        prop_assert!(spread(group.sizes()) <= 1);
    }
}
