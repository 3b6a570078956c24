//! A group that the tests change and have assigned, and what must be true of any assignment.

mod kafka;
mod large;
mod properties;
mod stories;

use std::collections::{BTreeMap, BTreeSet};

use milena_protocol::Uuid;

use super::{Assignment, Assignor, Member, Topic};

type Assignments = BTreeMap<String, Assignment>;

#[derive(Debug, Clone, Default)]
struct Consumer {
    instance: Option<String>,
    rack: Option<String>,
    topics: BTreeSet<Uuid>,
    assigned: Assignment,
}

#[derive(Debug, Clone, Default)]
struct Group {
    /// The racks of each partition of each topic.
    topics: BTreeMap<Uuid, Vec<Vec<String>>>,
    members: BTreeMap<String, Consumer>,
}

fn topic(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

impl Group {
    fn of(partitions: &[usize]) -> Self {
        let racks = partitions.iter().map(|count| vec![Vec::new(); *count]);
        Self { topics: (1..).map(topic).zip(racks).collect(), ..Self::default() }
    }

    /// Subscribes to the topics of these numbers.
    fn join(&mut self, id: &str, topics: &[u128]) -> &mut Consumer {
        let topics = topics.iter().copied().map(topic).collect();
        self.members.entry(id.into()).or_insert(Consumer { topics, ..Consumer::default() })
    }

    fn assign(&self, assignor: Assignor) -> Assignments {
        let members = self.members.iter().map(|(id, consumer)| (id.as_str(), consumer.member()));
        let topics = self.topics.iter().map(|(id, partitions)| {
            let racks: Vec<Vec<&str>> =
                partitions.iter().map(|racks| racks.iter().map(String::as_str).collect()).collect();
            (*id, Topic { partitions: i32::try_from(partitions.len()).unwrap(), racks })
        });
        let assignments = assignor.assign(&members.collect(), &topics.collect());
        assignments.into_iter().map(|(id, assignment)| (id.to_owned(), assignment)).collect()
    }

    /// Assigns, proves the assignment valid, and makes it what members have. Tells how many
    /// partitions went from one member to another.
    fn rebalance(&mut self, assignor: Assignor) -> usize {
        let assignments = self.assign(assignor);
        self.prove_valid(&assignments);
        let moved = self.moved(&assignments);
        for (id, assignment) in assignments {
            self.members.get_mut(&id).unwrap().assigned = assignment;
        }
        moved
    }

    /// Every partition with a subscriber has one owner, who subscribes to it; no other is owned.
    fn prove_valid(&self, assignments: &Assignments) {
        assert!(assignments.keys().eq(self.members.keys()), "an entry for every member");
        let mut owned = BTreeSet::new();
        for (id, topic, partition) in flat(assignments) {
            assert!(self.members[id].topics.contains(&topic), "{id} does not subscribe to {topic}");
            assert!(owned.insert((topic, partition)), "{topic}-{partition} is owned twice");
        }
        let subscribed: BTreeSet<_> =
            self.members.values().flat_map(|consumer| &consumer.topics).collect();
        let there: BTreeSet<_> = self
            .topics
            .iter()
            .filter(|(id, _)| subscribed.contains(id))
            .flat_map(|(id, racks)| (0..).zip(racks).map(|(partition, _)| (*id, partition)))
            .collect();
        assert_eq!(owned, there);
    }

    /// How many partitions have another owner than before, where there was one.
    fn moved(&self, assignments: &Assignments) -> usize {
        let before = self.assigned();
        let before: BTreeMap<_, _> =
            flat(&before).map(|(id, topic, partition)| ((topic, partition), id)).collect();
        flat(assignments)
            .filter(|(id, topic, partition)| {
                before.get(&(*topic, *partition)).is_some_and(|owner| owner != id)
            })
            .count()
    }

    /// How many partitions have a replica in their owner's rack.
    fn near(&self) -> usize {
        let is_near = |(id, topic, partition): &(&str, Uuid, i32)| {
            let racks = &self.topics[topic][usize::try_from(*partition).unwrap()];
            self.members[*id].rack.as_ref().is_some_and(|rack| racks.contains(rack))
        };
        flat(&self.assigned()).filter(is_near).count()
    }

    fn assigned(&self) -> Assignments {
        let of = |(id, consumer): (&String, &Consumer)| (id.clone(), consumer.assigned.clone());
        self.members.iter().map(of).collect()
    }

    fn sizes(&self) -> Vec<usize> {
        self.members.values().map(|consumer| size(&consumer.assigned)).collect()
    }
}

impl Consumer {
    fn member(&self) -> Member<'_> {
        Member {
            instance_id: self.instance.as_deref(),
            rack_id: self.rack.as_deref(),
            topics: &self.topics,
            assigned: &self.assigned,
        }
    }
}

fn flat(assignments: &Assignments) -> impl Iterator<Item = (&str, Uuid, i32)> {
    assignments.iter().flat_map(|(id, assignment)| {
        assignment.iter().flat_map(|(topic, partitions)| {
            partitions.iter().map(|partition| (id.as_str(), *topic, *partition))
        })
    })
}

fn size(assignment: &Assignment) -> usize {
    assignment.values().map(BTreeSet::len).sum()
}

/// By how much the largest assignment is larger than the smallest.
fn spread(sizes: impl IntoIterator<Item = usize>) -> usize {
    let sizes: Vec<usize> = sizes.into_iter().collect();
    sizes.iter().max().unwrap_or(&0) - sizes.iter().min().unwrap_or(&0)
}
